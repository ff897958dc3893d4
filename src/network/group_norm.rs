//! Group normalisation (Wu & He 2018) with the modulation and the activation that follow it.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation::silu};

use super::widened;
use crate::initial::Initial;
use crate::kernels::{self, GroupNormOptions};

/// Group normalisation over `channels / groups` channels and all pixels of an image, then a
/// learned scale and shift per channel. Of half precision, it is computed in f32.
#[derive(Module, Debug)]
pub struct GroupNorm {
    pub(super) weight: Param<Tensor<1>>,
    pub(super) bias: Param<Tensor<1>>,
    groups: usize,
    /// Added to the variance.
    epsilon: f64,
}

impl GroupNorm {
    pub(super) fn new(groups: usize, channels: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Initial::Ones.parameter([channels], device),
            bias: Initial::Zeros.parameter([channels], device),
            groups,
            epsilon,
        }
    }

    /// `norm(x)`, as `x` of shape `[batch, channels, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [scale, shift] = self.affine();
        self.normalize(x, scale, shift, false)
    }

    /// `silu(norm(x))`, as `x` of shape `[batch, channels, height, width]`.
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        let [scale, shift] = self.affine();
        self.normalize(x, scale, shift, true)
    }

    /// `silu(norm(x) · (1 + scale) + shift)`, ADM's scale-shift normalisation, which they call
    /// adaptive group normalisation.
    ///
    /// # Shapes
    ///
    /// `x` and the result: `[batch, channels, height, width]`; `modulation`, scales and then
    /// shifts: `[at least batch, 2 · channels]`.
    pub fn forward_modulated_silu(&self, x: Tensor<4>, modulation: Tensor<2>) -> Tensor<4> {
        let [batch, ..] = x.dims();
        let [scale, shift] = self.modulated(modulation.narrow(0, 0, batch));
        self.normalize(x, scale, shift, true)
    }

    /// The learned scale and shift with a modulation, `[batch, channels]` each; `modulation`: `[batch, 2 · channels]`.
    pub(super) fn modulated(&self, modulation: Tensor<2>) -> [Tensor<2>; 2] {
        let [channels] = self.weight.dims();
        let scale = widened(modulation.clone().narrow(1, 0, channels));
        let shift = widened(modulation.narrow(1, channels, channels));
        // The two affine maps are one: computed on [batch, channels], not on every pixel.
        let [weight, bias] = self.affine();
        let factor = scale + 1.0;
        [weight * factor.clone(), bias * factor + shift]
    }

    pub(super) fn options(&self, silu: bool) -> GroupNormOptions {
        GroupNormOptions {
            groups: self.groups,
            epsilon: self.epsilon,
            silu,
        }
    }

    /// The learned scale and shift, `[1, channels]`.
    fn affine(&self) -> [Tensor<2>; 2] {
        let [channels] = self.weight.dims();
        [&self.weight, &self.bias].map(|parameter| widened(parameter.val()).reshape([1, channels]))
    }

    /// `scale`, `shift`: `[batch, channels]` or `[1, channels]`.
    fn normalize(
        &self,
        x: Tensor<4>,
        scale: Tensor<2>,
        shift: Tensor<2>,
        activate: bool,
    ) -> Tensor<4> {
        let options = self.options(activate);
        let dtype = x.dtype();
        let (x, scale, shift) = (widened(x), widened(scale), widened(shift));
        if let Some(y) = kernels::group_norm(&x, &scale, &shift, options) {
            return y.cast(dtype);
        }
        let [batch, channels, height, width] = x.dims();
        let grouped = x.reshape([batch, self.groups, channels / self.groups * height * width]);
        let mean = grouped.clone().mean_dim(2);
        let centred = grouped - mean;
        let variance = centred.clone().square().mean_dim(2);
        let normalized = centred * (variance + self.epsilon).sqrt().recip();
        let [rows, _] = scale.dims();
        let y = normalized.reshape([batch, channels, height, width])
            * scale.reshape([rows, channels, 1, 1])
            + shift.reshape([rows, channels, 1, 1]);
        let y = if activate { silu(y) } else { y };
        y.cast(dtype)
    }
}
