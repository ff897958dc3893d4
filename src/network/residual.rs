//! ADM's residual block.

use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Linear, LinearConfig,
    conv::{Conv2d, Conv2dConfig},
};
use burn::tensor::{
    Device, Tensor,
    module::{avg_pool2d, interpolate},
    ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions},
};

use super::{GroupNorm, UNetConfig, conditioning::Conditioning, conv3x3, zero_conv3x3};
use crate::kernels::convolve;

/// What a residual block does to the size of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// Nothing.
    None,
    /// Halves it, by averaging 2×2 pixels.
    Down,
    /// Doubles it, by repeating pixels.
    Up,
}

impl Resample {
    fn apply(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::None => x,
            Self::Down => avg_pool2d(x, AvgPoolOptions::new([2, 2]).with_stride([2, 2])),
            Self::Up => {
                let [_, _, h, w] = x.dims();
                let nearest = InterpolateOptions::new(InterpolateMode::Nearest);
                interpolate(x, nearest.with_output_size([2 * h, 2 * w]))
            }
        }
    }
}

/// A residual block: normalise, activate, (resample,) convolve; normalise with the scale and
/// shift of the (λ, class) embedding, activate, convolve; add the input.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    norm_in: GroupNorm,
    conv_in: Conv2d,
    modulation: Linear,
    norm_out: GroupNorm,
    dropout: Dropout,
    conv_out: Conv2d,
    skip: Option<Conv2d>,
    #[module(skip)]
    resample: Resample,
}

impl ResidualBlock {
    pub(super) fn new(
        config: &UNetConfig,
        [input, output]: [usize; 2],
        resample: Resample,
        device: &Device,
    ) -> Self {
        let embedding = Conditioning::width(config.base_channels);
        Self {
            norm_in: GroupNorm::new(config.norm_groups, input, device),
            conv_in: conv3x3([input, output], device),
            modulation: LinearConfig::new(embedding, 2 * output).init(device),
            norm_out: GroupNorm::new(config.norm_groups, output, device),
            dropout: DropoutConfig::new(config.dropout).init(),
            conv_out: zero_conv3x3([output, output], device),
            skip: (input != output)
                .then(|| Conv2dConfig::new([input, output], [1, 1]).init(device)),
            resample,
        }
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, input channels, height, width]`.
    /// - `embedding`: `[at least batch, width]`, from [`Conditioning::forward`].
    /// - result: `[batch, output channels, height', width']`, resampled.
    pub fn forward(&self, x: Tensor<4>, embedding: Tensor<2>) -> Tensor<4> {
        let [batch, ..] = x.dims();
        let hidden = self.resample.apply(self.norm_in.forward_silu(x.clone()));
        let hidden = convolve(&self.conv_in, hidden);
        let [_, channels, ..] = hidden.dims();
        let modulation = self.modulation.forward(embedding).narrow(0, 0, batch);
        let scale = modulation.clone().narrow(1, 0, channels);
        let shift = modulation.narrow(1, channels, channels);
        let hidden = self.norm_out.forward_modulated_silu(hidden, scale, shift);
        let hidden = convolve(&self.conv_out, self.dropout.forward(hidden));
        let x = self.resample.apply(x);
        match &self.skip {
            Some(skip) => convolve(skip, x) + hidden,
            None => x + hidden,
        }
    }
}
