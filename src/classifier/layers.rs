//! The layers of feature networks. These are only evaluated, so batch normalisation is folded into the preceding
//! convolution.

use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, linear};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::{LayerError, Tensors};

/// The padding of a convolution.
#[derive(Debug, Clone, Copy)]
pub enum Padding {
    /// Pixels at [top and bottom, left and right].
    Explicit([usize; 2]),
    /// TensorFlow's "SAME": the output has ⌈input / stride⌉ pixels. An odd pixel of padding is at the bottom or right.
    Same,
}

/// A convolution with its batch normalisation folded in: w γ/√(σ² + ε), β − μ γ/√(σ² + ε).
#[derive(Debug)]
pub struct Conv {
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
    padding: Padding,
    groups: usize,
}

/// The shape of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct ConvShape {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride in both directions.
    pub stride: usize,
    /// Padding.
    pub padding: Padding,
    /// Groups.
    pub groups: usize,
}

impl ConvShape {
    /// One group, stride 1, and padding that keeps the size for odd kernels.
    pub fn new(input: usize, output: usize, kernel: [usize; 2]) -> Self {
        Self {
            input,
            output,
            kernel,
            stride: 1,
            padding: Padding::Explicit(kernel.map(|k| k / 2)),
            groups: 1,
        }
    }

    /// Sets the stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Sets the padding.
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// A depthwise convolution.
    pub fn depthwise(self) -> Self {
        Self {
            groups: self.input,
            ..self
        }
    }
}

impl Conv {
    /// Loads the convolution `conv` and the batch normalisation `norm` with this ε from `weights`.
    ///
    /// # Errors
    ///
    /// [`LayerError`].
    pub fn load(
        weights: &impl Tensors,
        conv: &str,
        norm: &str,
        epsilon: f32,
        shape: ConvShape,
        device: &Device,
    ) -> Result<Self, LayerError> {
        let inputs = shape.input / shape.groups;
        let [height, width] = shape.kernel;
        let dims = [shape.output, inputs, height, width];
        let mut filters = weights.values(&format!("{conv}.weight"), &dims)?;
        let vector = |part: &str| weights.values(&format!("{norm}.{part}"), &[shape.output]);
        let (gamma, beta) = (vector("weight")?, vector("bias")?);
        let (mean, variance) = (vector("running_mean")?, vector("running_var")?);
        let factors: Vec<f32> = gamma
            .iter()
            .zip(variance)
            .map(|(g, v)| g / (v + epsilon).sqrt())
            .collect();
        let each = filters.chunks_exact_mut(inputs * height * width);
        for (filter, factor) in each.zip(&factors) {
            filter.iter_mut().for_each(|weight| *weight *= factor);
        }
        let bias: Vec<f32> = (0..shape.output)
            .map(|i| beta[i] - mean[i] * factors[i])
            .collect();
        Ok(Self {
            weight: Tensor::from_data(TensorData::new(filters, dims), device),
            bias: Tensor::from_data(TensorData::new(bias, [shape.output]), device),
            stride: shape.stride,
            padding: shape.padding,
            groups: shape.groups,
        })
    }

    /// # Shapes
    ///
    /// `[batch, input, height, width]` to `[batch, output, …, …]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let [_, _, kernel_height, kernel_width] = self.weight.dims();
        let mut options = ConvOptions::new([self.stride; 2], [0; 2], [1; 2], self.groups);
        options.padding = match self.padding {
            Padding::Explicit([y, x]) => [(y, y), (x, x)],
            Padding::Same => [
                same(height, kernel_height, self.stride),
                same(width, kernel_width, self.stride),
            ],
        };
        conv2d(x, self.weight.clone(), Some(self.bias.clone()), options)
    }

    /// [`forward`](Self::forward), followed by ReLU.
    pub fn relu(&self, x: Tensor<4>) -> Tensor<4> {
        relu(self.forward(x))
    }

    /// [`forward`](Self::forward), followed by ReLU6.
    pub fn relu6(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward(x).clamp(0.0, 6.0)
    }
}

/// TensorFlow's padding before and after, along one dimension.
fn same(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
    (total / 2, total - total / 2)
}

/// A linear layer with weights `[output, input]`, as in PyTorch.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// Loads the layer `name` from `weights`, with or without its bias.
    ///
    /// # Errors
    ///
    /// [`LayerError`].
    pub fn load(
        weights: &impl Tensors,
        name: &str,
        [input, output]: [usize; 2],
        biased: bool,
        device: &Device,
    ) -> Result<Self, LayerError> {
        let weight = weights.tensor(&format!("{name}.weight"), [output, input], device)?;
        let bias = match biased {
            true => Some(weights.tensor(&format!("{name}.bias"), [output], device)?),
            false => None,
        };
        Ok(Self {
            weight: weight.transpose(),
            bias,
        })
    }

    /// # Shapes
    ///
    /// `[batch, input]` to `[batch, output]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, self.weight.clone(), self.bias.clone())
    }
}

/// Every `stride`-th pixel, with zeros for the new channels, half of them before and half after the old ones: option A of
/// He et al. 2015, as a 1×1 convolution.
pub(super) fn shortcut(input: usize, output: usize, stride: usize, device: &Device) -> Conv {
    let before = (output - input) / 2;
    let mut weight = vec![0.0; output * input];
    (0..input).for_each(|channel| weight[(before + channel) * input + channel] = 1.0);
    Conv {
        weight: Tensor::from_data(TensorData::new(weight, [output, input, 1, 1]), device),
        bias: Tensor::zeros([output], device),
        stride,
        padding: Padding::Explicit([0, 0]),
        groups: 1,
    }
}

/// The mean over all pixels: `[batch, channels, height, width]` to `[batch, channels]`.
pub fn global_average(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width])
        .mean_dim(2)
        .reshape([batch, channels])
}
