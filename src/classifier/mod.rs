//! Image classifiers, for metrics on the images that a model draws, and classifiers of noisy images, which guide models.
//!
//! `freeguide classifier` trains a [`Classifier`] for a data set. A bundle may contain its file, [`CLASSIFIER_FILE`], so
//! that a page can measure what its visitors draw. Other feature networks of `freeguide eval` use the same layers and the
//! [`ResNet`].

mod error;
mod file;
pub mod layers;
mod noisy;
mod normalisation;
mod resize;
mod resnet;
mod tensors;

pub use error::ClassifierError;
pub use file::{CLASSIFIER_FILE, DESCRIPTION_KEY, Description};
pub use noisy::{HeldOut, NOISY_DESCRIPTION_KEY, NoisyClassifier, NoisyDescription};
pub use normalisation::Normalisation;
pub use resize::Resize;
pub use resnet::ResNet;
pub use tensors::{LayerError, Tensors};

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use file::{File, MAX_SIZE};

/// A classifier trained by `freeguide classifier`.
#[derive(Debug)]
pub struct Classifier {
    description: Description,
    network: ResNet,
    device: Device,
}

impl Classifier {
    /// Loads a file of `freeguide classifier`, with weights in 32 or 16 bits.
    ///
    /// # Errors
    ///
    /// [`ClassifierError`] if the file is invalid.
    pub fn read(bytes: &[u8], device: &Device) -> Result<Self, ClassifierError> {
        let file = File::read(bytes)?;
        let network = ResNet::load(&file, device)?;
        let description = file.description;
        description.check(network.classes())?;
        Ok(Self {
            description,
            network,
            device: device.clone(),
        })
    }

    /// The description.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The length of a feature vector.
    pub fn features(&self) -> usize {
        self.network.features()
    }

    /// Features and class probabilities of images. `pixels` is `[count, side, side, channels]`, from 0 to 255, with the
    /// channels grey, RGB or RGBA, of which the opacity is ignored. Images of another size than the classifier's are resized
    /// as in `freeguide eval`: bilinearly, with anti-aliasing when they shrink.
    ///
    /// # Shapes
    ///
    /// `[count, features]` and `[count, classes]`.
    ///
    /// # Errors
    ///
    /// [`ClassifierError::Images`] if `pixels` is not a number of whole images with at most 4096 pixels per side.
    pub fn classify(
        &self,
        pixels: &[u8],
        side: usize,
        channels: usize,
    ) -> Result<(Tensor<2>, Tensor<2>), ClassifierError> {
        let bytes = side.saturating_mul(side).saturating_mul(channels);
        if bytes == 0 || side > MAX_SIZE || pixels.is_empty() || !pixels.len().is_multiple_of(bytes)
        {
            return Err(ClassifierError::Images {
                bytes: pixels.len(),
                side,
                channels,
            });
        }
        let (size, count) = (self.description.size, pixels.len() / bytes);
        let resize = Resize::new(side, size, true);
        let mut plane = Vec::with_capacity(side * side);
        let mut values = vec![0.0; count * 3 * size * size];
        let mut planes = values.chunks_exact_mut(size * size);
        for image in pixels.chunks_exact(bytes) {
            for (channel, out) in (0..3).zip(&mut planes) {
                let place = if channels < 3 { 0 } else { channel };
                plane.clear();
                plane.extend(image.chunks_exact(channels).map(|p| f32::from(p[place])));
                resize.plane(&plane, out);
            }
        }
        self.description
            .normalisation
            .apply(&mut values, size * size);
        let data = TensorData::new(values, [count, 3, size, size]);
        let (features, logits) = self.network.forward(Tensor::from_data(data, &self.device));
        Ok((features, softmax(logits, 1)))
    }
}

#[cfg(test)]
mod tests;
