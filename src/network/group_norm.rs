//! Group normalisation (Wu & He 2018) with the modulation and the activation that follow it.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, activation::silu};

/// Added to the variance, as in ADM.
const EPSILON: f64 = 1e-5;

/// Group normalisation over `channels / groups` channels and all pixels of an image, then a
/// learned scale and shift per channel.
#[derive(Module, Debug)]
pub struct GroupNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    groups: usize,
}

impl GroupNorm {
    pub(super) fn new(groups: usize, channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            groups,
        }
    }

    /// `norm(x)`, as `x` of shape `[batch, channels, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [channels] = self.weight.dims();
        let scale = self.weight.val().reshape([1, channels, 1, 1]);
        let shift = self.bias.val().reshape([1, channels, 1, 1]);
        self.normalize(x, scale, shift)
    }

    /// `silu(norm(x))`, as `x` of shape `[batch, channels, height, width]`.
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        silu(self.forward(x))
    }

    /// `silu(norm(x) · (1 + scale) + shift)`, ADM's scale-shift normalisation, which they call
    /// adaptive group normalisation.
    ///
    /// # Shapes
    ///
    /// `x` and the result: `[batch, channels, height, width]`; `scale`, `shift`:
    /// `[batch, channels]`.
    pub fn forward_modulated_silu(
        &self,
        x: Tensor<4>,
        scale: Tensor<2>,
        shift: Tensor<2>,
    ) -> Tensor<4> {
        let [batch, channels] = scale.dims();
        // The two affine maps are one: computed on [batch, channels], not on every pixel.
        let factor = scale + 1.0;
        let weight = self.weight.val().reshape([1, channels]) * factor.clone();
        let bias = self.bias.val().reshape([1, channels]) * factor + shift;
        silu(self.normalize(
            x,
            weight.reshape([batch, channels, 1, 1]),
            bias.reshape([batch, channels, 1, 1]),
        ))
    }

    fn normalize(&self, x: Tensor<4>, scale: Tensor<4>, shift: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let grouped = x.reshape([batch, self.groups, channels / self.groups * height * width]);
        let mean = grouped.clone().mean_dim(2);
        let centred = grouped - mean;
        let variance = centred.clone().square().mean_dim(2);
        let normalized = centred * (variance + EPSILON).sqrt().recip();
        normalized.reshape([batch, channels, height, width]) * scale + shift
    }
}
