//! Heun's method (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative
//! Models", algorithm 1).

use burn::tensor::Tensor;

use super::ddim_step;
use super::step::{Next, Predictor, Step};
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::kernels::unet::Factors;
use crate::noise_level::LogSnr;
use crate::prediction::Estimate;

/// The corrected step from λ_t = `from` to λ_{t+1} = `to`: `first` is the estimate at λ_t, `second`
/// the one at λ_{t+1}, made of the latent that [`ddim_step`] leads to.
///
/// In the variables of that paper, z/α and σ/α, the slope of the probability flow is ε̃, and DDIM
/// is Euler's method; the corrected step takes the mean of both slopes.
///
/// # Shapes
///
/// The result, as the estimates: `[batch, channels, height, width]`.
pub fn heun_step(first: &Estimate, second: &Estimate, from: LogSnr, to: LogSnr) -> Tensor<4> {
    let step = euler_step(from, to);
    ddim_step(first, to) + (second.epsilon.clone() - first.epsilon.clone()) * (0.5 * step)
}

/// Heun's method: Euler's step, then an evaluation where it leads, then the corrected step. The last step, and where the
/// grid says so the one before it, is Euler's alone ([`Plan::is_corrected`](super::Plan::is_corrected)).
///
/// `predictor`: what this function answered to the first evaluation of this step; `None` at the first.
pub(super) fn heun(step: &Step<'_>, estimate: Estimate, predictor: Option<Predictor>) -> Next {
    match predictor {
        Some(Predictor { first, .. }) => {
            Next::Latent(heun_step(&first, &estimate, step.from, step.to))
        }
        None if step.plan.is_corrected(step.index) => Next::Evaluate(Predictor {
            z: ddim_step(&estimate, step.to),
            first: estimate,
        }),
        None => Next::Latent(ddim_step(&estimate, step.to)),
    }
}

/// α_{t+1} (σ_{t+1}/α_{t+1} − σ_t/α_t).
fn euler_step(from: LogSnr, to: LogSnr) -> f64 {
    to.sigma() - to.alpha() * libm::exp(-0.5 * from.0)
}

/// [`heun_step`] as a sum of the latent that Euler's step has led to, of the second ε̃ and of the first.
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub(super) fn correction_factors(from: LogSnr, to: LogSnr) -> Factors {
    let half = 0.5 * euler_step(from, to);
    Factors {
        x: 0.0,
        epsilon: half,
        z: 1.0,
        other: -half,
    }
}
