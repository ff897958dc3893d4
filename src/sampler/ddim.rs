//! DDIM (Song, Meng & Ermon 2020) in the symbols of the guidance paper.

use burn::tensor::Tensor;

use super::step::{Next, Step};
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::kernels::unet::Factors;
use crate::noise_level::LogSnr;
use crate::prediction::Estimate;

/// One step to λ_{t+1} = `to`: z_{t+1} = α_{t+1} x̃ + σ_{t+1} ε̂, where ε̂ is the noise that belongs
/// to the clipped x̃. (It is not Algorithm 2 with its variance set to 0.)
///
/// # Shapes
///
/// The result, as the estimate: `[batch, channels, height, width]`.
pub fn ddim_step(estimate: &Estimate, to: LogSnr) -> Tensor<4> {
    estimate.x.clone() * to.alpha() + estimate.epsilon.clone() * to.sigma()
}

/// DDIM: a step is one evaluation.
pub(super) fn ddim(step: &Step<'_>, estimate: &Estimate) -> Next {
    Next::Latent(ddim_step(estimate, step.to))
}

/// [`ddim_step`] as a sum.
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub(super) fn factors(to: LogSnr) -> Factors {
    Factors {
        x: to.alpha(),
        epsilon: to.sigma(),
        ..Factors::default()
    }
}
