//! Feature networks: classifiers whose last hidden layer and whose answers the metrics look at.
//!
//! Every figure is named after its network, since figures of two networks cannot be compared. Only those made with
//! FID's own Inception-v3 are called FID, IS and KID.

mod efficientnet_lite0;
mod error;
mod inception;
mod onnx;
mod onnx_sizes;
#[cfg(test)]
mod onnx_tests;
mod open;
mod recognise;
mod resize;
mod rows;
#[cfg(test)]
mod tests;
mod weights;

pub use efficientnet_lite0::EfficientNetLite0;
pub use error::FeatureError;
pub use freeguide::classifier::Normalisation;
pub use onnx::{MAX_VALUES, OnnxNetwork};
pub use open::{built_in, open};
pub use recognise::{Recognised, Unrecognised, recognise};
pub use rows::Rows;
pub use weights::Weights;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use freeguide::bundle::{ClassNames, hex};
use freeguide::classifier::ResNet;
use sha2::{Digest, Sha256};

use inception::Inception;

/// The largest number of images in a batch. Larger batches only take more memory.
const BATCH_PIXELS: usize = 1 << 20;

/// The kinds of networks.
enum Body {
    ResNet(Box<ResNet>),
    EfficientNetLite0(Box<EfficientNetLite0>),
    Inception(Box<Inception>),
    Onnx(Box<OnnxNetwork>),
}

/// A network that turns images into features and class probabilities.
pub struct FeatureNetwork {
    /// The name that metrics carry, such as `ResNet56`.
    name: String,
    /// The SHA-256 of its weights file.
    sha256: String,
    /// The height and width of its input images.
    input: usize,
    normalisation: Normalisation,
    /// The names of its classes, if they are known.
    classes: ClassNames,
    /// Its accuracy on images that it was not trained on, if the file states it.
    accuracy: Option<f64>,
    body: Body,
    device: Device,
}

/// The output of a network for images.
#[derive(Debug, Clone, PartialEq)]
pub struct Extracted {
    /// `[images, features]`.
    pub features: Rows,
    /// p(y | x), `[images, classes]`.
    pub probabilities: Rows,
}

impl Extracted {
    /// An empty output of a network of this form, with capacity for `count` images.
    pub fn with_capacity(network: &FeatureNetwork, count: usize) -> Self {
        Self {
            features: Rows::with_capacity(network.features(), count),
            probabilities: Rows::with_capacity(network.class_count(), count),
        }
    }

    /// Appends.
    pub fn append(&mut self, other: &Self) {
        self.features.append(&other.features);
        self.probabilities.append(&other.probabilities);
    }
}

impl FeatureNetwork {
    /// The name that metrics carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 of its weights file, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A key of everything that its output depends on besides the images: its weights and, for networks in ONNX, the
    /// normalisation, which their file does not state.
    pub fn key(&self) -> String {
        match self.body {
            Body::Onnx(_) => {
                let mut hash = Sha256::new_with_prefix(&self.sha256);
                let Normalisation { mean, deviation } = self.normalisation;
                for value in mean.iter().chain(&deviation) {
                    hash.update(value.to_le_bytes());
                }
                hex(&hash.finalize())
            }
            _ => self.sha256.clone(),
        }
    }

    /// The height and width of its input images. Other images are resized.
    pub fn input(&self) -> usize {
        self.input
    }

    /// The names of its classes; empty if they are not known.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// Its accuracy on images that it was not trained on, if its file states it.
    pub fn accuracy(&self) -> Option<f64> {
        self.accuracy
    }

    /// The name of the Fréchet distance of its features.
    pub fn distance_name(&self) -> String {
        self.figure("FID", "FD")
    }

    /// The name of the Inception Score of its predictions.
    pub fn score_name(&self) -> String {
        self.figure("IS", "IS")
    }

    /// The name of the kernel distance of its features.
    pub fn kernel_name(&self) -> String {
        self.figure("KID", "KD")
    }

    fn figure(&self, inception: &str, other: &str) -> String {
        match self.body {
            Body::Inception(_) => inception.to_owned(),
            _ => format!("{other}-{}", self.name),
        }
    }

    /// The length of a feature vector.
    pub fn features(&self) -> usize {
        match &self.body {
            Body::ResNet(network) => network.features(),
            Body::EfficientNetLite0(_) => efficientnet_lite0::FEATURES,
            Body::Inception(_) => inception::FEATURES,
            Body::Onnx(network) => network.features(),
        }
    }

    /// The number of classes.
    pub fn class_count(&self) -> usize {
        match &self.body {
            Body::ResNet(network) => network.classes(),
            Body::EfficientNetLite0(_) => efficientnet_lite0::CLASSES,
            Body::Inception(_) => inception::CLASSES,
            Body::Onnx(network) => network.classes(),
        }
    }

    /// Features and class probabilities of images, `[count, size, size, channels]`, 0 … 255, grey or RGB.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Run`], if the device fails.
    pub fn extract(
        &self,
        pixels: &[u8],
        size: usize,
        channels: usize,
    ) -> Result<Extracted, FeatureError> {
        let batch = (BATCH_PIXELS / (self.input * self.input).max(1)).clamp(1, 64);
        let count = pixels.len() / (size * size * channels).max(1);
        let mut all = Extracted::with_capacity(self, count);
        for chunk in pixels.chunks((batch * size * size * channels).max(1)) {
            let planes = planes(chunk, size, channels);
            let antialias = !matches!(self.body, Body::Inception(_));
            let mut images = resize::bilinear(&planes, 3, size, self.input, antialias);
            self.normalisation
                .apply(&mut images, self.input * self.input);
            all.append(&self.forward(images)?);
        }
        Ok(all)
    }

    fn forward(&self, images: Vec<f32>) -> Result<Extracted, FeatureError> {
        let size = self.input;
        let count = images.len() / (3 * size * size);
        let tensor = |values| {
            Tensor::<4>::from_data(
                TensorData::new(values, [count, 3, size, size]),
                &self.device,
            )
        };
        let (features, logits) = match &self.body {
            Body::ResNet(network) => read_pair(network.forward(tensor(images)))?,
            Body::EfficientNetLite0(network) => read_pair(network.forward(tensor(images)))?,
            Body::Inception(network) => read_pair(network.forward(tensor(images)))?,
            Body::Onnx(network) => {
                let (features, logits) = network.forward(&images)?;
                let shape = [logits.len(), logits.width()];
                let logits = TensorData::new(logits.values().to_vec(), shape);
                (features, Tensor::from_data(logits, &Device::flex()))
            }
        };
        Ok(Extracted {
            features,
            probabilities: read(softmax(logits, 1))?,
        })
    }
}

fn read_pair(
    (features, logits): (Tensor<2>, Tensor<2>),
) -> Result<(Rows, Tensor<2>), FeatureError> {
    Ok((read(features)?, logits))
}

fn read(tensor: Tensor<2>) -> Result<Rows, FeatureError> {
    let [_, width] = tensor.dims();
    let data = tensor
        .try_into_data()
        .map_err(|e| FeatureError::Run(e.to_string()))?;
    Ok(Rows::new(width, data.iter::<f32>().collect()))
}

/// `[count, size, size, channels]` bytes as `[count, 3, size, size]` values, 0 … 255.
fn planes(pixels: &[u8], size: usize, channels: usize) -> Vec<f32> {
    let area = size * size;
    let count = pixels.len() / (area * channels).max(1);
    let mut out = vec![0.0; count * 3 * area];
    for (image, out) in pixels
        .chunks_exact(area * channels)
        .zip(out.chunks_exact_mut(3 * area))
    {
        for (at, pixel) in image.chunks_exact(channels).enumerate() {
            for channel in 0..3 {
                out[channel * area + at] = f32::from(pixel[channel.min(channels - 1)]);
            }
        }
    }
    out
}
