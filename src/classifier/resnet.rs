//! The ResNets for CIFAR-10 (He et al. 2015, section 4.2) with parameter-free shortcuts (option A), as in
//! `akamaster/pytorch_resnet_cifar10`. `freeguide classifier` trains such networks of several sizes: widths, depth and the
//! number of classes are inferred from the weights.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::layers::{Conv, ConvShape, Linear, global_average, shortcut};
use super::{LayerError, Tensors};

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
    /// The shortcut, if the output has another shape than the input.
    shortcut: Option<Conv>,
}

impl ResNet {
    /// Loads a network, and infers its depth, widths and classes from the weights.
    ///
    /// # Errors
    ///
    /// [`LayerError`].
    pub fn load(weights: &impl Tensors, device: &Device) -> Result<Self, LayerError> {
        let [width, ..] = weights.shape::<4>("conv1.weight")?;
        // Without channels there is nothing to compute.
        let width = width.max(1);
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
                    shortcut: (stride > 1 || input != output)
                        .then(|| shortcut(input, output, stride, device)),
                });
                input = output;
            }
        }
        let [classes, _] = weights.shape("linear.weight")?;
        Ok(Self {
            stem,
            blocks,
            linear: Linear::load(weights, "linear", [input, classes], true, device)?,
            blocks_a_stage,
            features: input,
            classes,
        })
    }

    /// Layers with weights on the longest path, as in the name ResNet-20.
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
        relu(
            residual
                + self
                    .shortcut
                    .as_ref()
                    .map_or(x.clone(), |conv| conv.forward(x)),
        )
    }
}
