//! Classifiers: networks that say what an image shows, for figures on what a model draws.
//!
//! `freeguide classifier` trains a [`Classifier`] for a data set; a bundle may carry its file, [`CLASSIFIER_FILE`], so
//! that a page can measure what its visitors draw. The layers and the [`ResNet`] serve the other feature networks of
//! `freeguide eval` as well.

mod file;
pub mod layers;
mod normalisation;
mod resize;
mod resnet;
mod tensors;

pub use file::{DESCRIPTION_KEY, Description};
pub use normalisation::Normalisation;
pub use resize::Resize;
pub use resnet::ResNet;
pub use tensors::{LayerError, Tensors};

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use crate::bundle::BundleError;
use file::File;

/// The name of a classifier's file beside a bundle's own.
pub const CLASSIFIER_FILE: &str = "classifier.safetensors";
/// The most classes and pixels a side.
const MOST: usize = 4096;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ClassifierError {
    /// The file is damaged.
    #[error(transparent)]
    File(#[from] BundleError),
    /// The file does not say what `freeguide classifier` writes.
    #[error("the classifier's file {0}")]
    Description(String),
    /// Its tensors are not those of the network.
    #[error("the classifier's file: {0}")]
    Layers(#[from] LayerError),
    /// Something else than whole images.
    #[error("{bytes} bytes are not images of {side}×{side} pixels with {channels} channels")]
    Images {
        /// The bytes that came.
        bytes: usize,
        /// Height and width that they should have.
        side: usize,
        /// Values of a pixel.
        channels: usize,
    },
}

/// A classifier that `freeguide classifier` has trained.
#[derive(Debug)]
pub struct Classifier {
    description: Description,
    network: ResNet,
    device: Device,
}

impl Classifier {
    /// Reads a file of `freeguide classifier`, with weights in 32 or 16 bits.
    ///
    /// # Errors
    ///
    /// [`ClassifierError`], saying what is wrong with the file.
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

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The length of a feature vector.
    pub fn features(&self) -> usize {
        self.network.features()
    }

    /// Features and class probabilities of images: `pixels` is `[count, side, side, channels]`, 0 … 255; of one channel,
    /// which is grey, of red, green and blue, or of those and an opacity that is passed over. Images of another size than
    /// the classifier's are resized as in `freeguide eval`: bilinearly, with a filter against aliasing where they shrink.
    ///
    /// # Shapes
    ///
    /// `[count, features]` and `[count, classes]`.
    ///
    /// # Errors
    ///
    /// [`ClassifierError::Images`] where `pixels` is not a number of whole images of at most 4096 pixels a side.
    pub fn classify(
        &self,
        pixels: &[u8],
        side: usize,
        channels: usize,
    ) -> Result<(Tensor<2>, Tensor<2>), ClassifierError> {
        let bytes = side.saturating_mul(side).saturating_mul(channels);
        if bytes == 0 || side > MOST || pixels.is_empty() || !pixels.len().is_multiple_of(bytes) {
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
