//! ADM's residual block.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::{DropoutMasks, GroupNorm, Modulation, Resample, UNetConfig};
use crate::initial::linear;
use crate::kernels::{Panels, SameConv2d, WeightCache};

/// A residual block: normalise, activate, (resample,) convolve; normalise with the scale and
/// shift of the (λ, class) embedding (or only shifted by it), activate, convolve; add the input.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    pub(super) norm_in: GroupNorm,
    pub(super) conv_in: SameConv2d,
    pub(super) modulation: Linear,
    #[module(skip)]
    pub(super) modulation_cache: Arc<WeightCache<Panels>>,
    pub(super) norm_out: GroupNorm,
    pub(super) conv_out: SameConv2d,
    pub(super) skip: Option<SameConv2d>,
    dropout: f64,
    #[module(skip)]
    pub(super) resample: Resample,
    #[module(skip)]
    pub(super) how: Modulation,
}

impl ResidualBlock {
    /// The probability of dropout.
    #[cfg(all(feature = "flex", feature = "autodiff"))]
    pub(super) fn dropout(&self) -> f64 {
        self.dropout
    }

    pub(super) fn new(
        config: &UNetConfig,
        [input, output]: [usize; 2],
        resample: Resample,
        device: &Device,
    ) -> Self {
        let norm =
            |channels| GroupNorm::new(config.norm_groups, channels, config.norm_epsilon, device);
        let modulation = match config.modulation {
            Modulation::ScaleShift => 2 * output,
            Modulation::Add => output,
        };
        Self {
            norm_in: norm(input),
            conv_in: SameConv2d::new([input, output], 3, device),
            modulation: linear(config.embedding(), modulation, device),
            modulation_cache: Arc::default(),
            norm_out: norm(output),
            conv_out: SameConv2d::zeros([output, output], 3, device),
            skip: (input != output).then(|| SameConv2d::new([input, output], 1, device)),
            dropout: config.dropout,
            resample,
            how: config.modulation,
        }
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, input channels, height, width]`.
    /// - `embedding`: `[at least batch, width]`, from [`Conditioning::forward`](super::Conditioning::forward).
    /// - result: `[batch, output channels, height', width']`, resampled.
    ///
    /// `masks` are there in training only.
    pub fn forward(
        &self,
        x: Tensor<4>,
        embedding: Tensor<2>,
        masks: Option<&DropoutMasks>,
    ) -> Tensor<4> {
        self.modulation_cache.clear();
        let [batch, ..] = x.dims();
        let hidden = self.resample.apply(self.norm_in.forward_silu(x.clone()));
        let hidden = self.conv_in.forward(hidden);
        let modulation = self.modulation.forward(embedding);
        let hidden = match self.how {
            Modulation::ScaleShift => self.norm_out.forward_modulated_silu(hidden, modulation),
            Modulation::Add => {
                let [_, channels] = modulation.dims();
                let shift = modulation.narrow(0, 0, batch);
                let shift = shift.reshape([batch, channels, 1, 1]);
                self.norm_out.forward_silu(hidden + shift)
            }
        };
        let hidden = match masks {
            Some(masks) => masks.apply(hidden, self.dropout),
            None => hidden,
        };
        let x = self.resample.apply(x);
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        x + self.conv_out.forward(hidden)
    }
}
