//! The ResNets for CIFAR-10 (He et al. 2015, section 4.2) with parameter-free shortcuts (option A), as in
//! `akamaster/pytorch_resnet_cifar10`. `freeguide classifier` trains networks of this form too, so widths, depth and the
//! number of classes are read off the weights.

use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use super::layers::{Conv, ConvShape, Linear, global_average};
use super::{FeatureError, Weights};

/// PyTorch's ε of batch normalisation.
const EPSILON: f32 = 1e-5;

/// A ResNet of three stages with `blocks` residual blocks each; 6 · blocks + 2 layers.
#[derive(Debug)]
pub struct ResNet {
    stem: Conv,
    blocks: Vec<Block>,
    linear: Linear,
    blocks_a_stage: usize,
    features: usize,
    classes: usize,
}

#[derive(Debug)]
struct Block {
    conv1: Conv,
    conv2: Conv,
    stride: usize,
}

impl ResNet {
    /// Reads depth, widths and classes off the weights.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Missing`], [`FeatureError::Shape`].
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, FeatureError> {
        let width = weights.shape("conv1.weight")?[0];
        let blocks_a_stage = (0..)
            .take_while(|k| weights.has(&format!("layer1.{k}.conv1.weight")))
            .count();
        let conv =
            |conv: &str, norm: &str, shape| Conv::load(weights, conv, norm, EPSILON, shape, device);
        let stem = conv("conv1", "bn1", ConvShape::new(3, width, [3, 3]))?;
        let (mut blocks, mut input) = (Vec::new(), width);
        for stage in 0..3 {
            let output = width << stage;
            for k in 0..blocks_a_stage {
                let name = format!("layer{}.{k}", stage + 1);
                let stride = if stage > 0 && k == 0 { 2 } else { 1 };
                let first = ConvShape::new(input, output, [3, 3]).stride(stride);
                let second = ConvShape::new(output, output, [3, 3]);
                blocks.push(Block {
                    conv1: conv(&format!("{name}.conv1"), &format!("{name}.bn1"), first)?,
                    conv2: conv(&format!("{name}.conv2"), &format!("{name}.bn2"), second)?,
                    stride,
                });
                input = output;
            }
        }
        let classes = weights.shape("linear.weight")?[0];
        Ok(Self {
            stem,
            blocks,
            linear: Linear::load(weights, "linear", [input, classes], true, device)?,
            blocks_a_stage,
            features: input,
            classes,
        })
    }

    /// Layers with weights on the longest path, the number in the name.
    pub fn depth(&self) -> usize {
        6 * self.blocks_a_stage + 2
    }

    /// The length of a feature vector.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Pooled features and logits of normalised images.
    ///
    /// # Shapes
    ///
    /// `[batch, 3, height, width]` to `[batch, features]` and `[batch, classes]`.
    pub fn forward(&self, x: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
        let x = self
            .blocks
            .iter()
            .fold(self.stem.relu(x), |x, block| block.forward(x));
        let features = global_average(x);
        let logits = self.linear.forward(features.clone());
        (features, logits)
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let residual = self.conv2.forward(self.conv1.relu(x.clone()));
        let output = residual.dims()[1];
        relu(residual + shortcut(x, output, self.stride))
    }
}

/// Option A: every second pixel, and zeros for the channels that are new, half before and half after the old ones.
pub fn shortcut(x: Tensor<4>, output: usize, stride: usize) -> Tensor<4> {
    if stride == 1 {
        return x;
    }
    // The largest of one pixel, every second of them: a stride that every backend has, also with gradients.
    let options = MaxPoolOptions::new([1, 1]).with_stride([stride; 2]);
    let x = max_pool2d(x, options);
    let [batch, input, height, width] = x.dims();
    let zeros = Tensor::zeros([batch, (output - input) / 2, height, width], &x.device());
    Tensor::cat(vec![zeros.clone(), x, zeros], 1)
}
