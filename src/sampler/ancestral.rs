//! The paper's ancestral sampler (Ho & Salimans 2022, Algorithm 2, lines 5 to 6).

use burn::tensor::Tensor;

use super::step::{Next, Step};
use crate::guidance::Guided;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::kernels::unet::Factors;
use crate::noise_level::LogSnr;
use crate::prediction::Estimate;

/// ν unless another is asked for: what the paper takes at 64×64. It takes 0.2 at 128×128.
pub const VARIANCE_INTERPOLATION: f64 = 0.3;

/// One step from λ_t = `from` to λ_{t+1} = `to`: z_{t+1} ~ N(μ, Var) with
///
/// - μ = e^{λ_t − λ_{t+1}} (α_{t+1}/α_t) z_t + (1 − e^{λ_t − λ_{t+1}}) α_{t+1} x̃
/// - Var = (σ̃²)^{1−ν} (σ²_{t|t+1})^ν, σ̃² = (1 − e^{λ_t − λ_{t+1}}) σ²_{t+1},
///   σ²_{t|t+1} = (1 − e^{λ_t − λ_{t+1}}) σ²_t
///
/// where `nu` is ν, from 0 (the smaller variance) to 1 (the larger).
///
/// # Shapes
///
/// `z`, `noise` and the result: `[batch, channels, height, width]`.
pub fn ancestral_step(
    z: Tensor<4>,
    estimate: &Estimate,
    from: LogSnr,
    to: LogSnr,
    nu: f64,
    noise: Tensor<4>,
) -> Tensor<4> {
    let [by_z, by_x, deviation] = coefficients(from, to, nu);
    z * by_z + estimate.x.clone() * by_x + noise * deviation
}

/// What z_t, x̃ and the noise are multiplied by.
fn coefficients(from: LogSnr, to: LogSnr, nu: f64) -> [f64; 3] {
    let decay = libm::exp(from.0 - to.0);
    // 1 − e^{λ_t − λ_{t+1}}, without cancellation where the levels are close.
    let gain = -libm::expm1(from.0 - to.0);
    let smaller = gain * to.sigma() * to.sigma();
    let larger = gain * from.sigma() * from.sigma();
    let deviation = libm::sqrt(libm::pow(smaller, 1.0 - nu) * libm::pow(larger, nu));
    [
        decay * to.alpha() / from.alpha(),
        gain * to.alpha(),
        deviation,
    ]
}

/// [`ancestral_step`] as a sum, with the noise as the other tensor.
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub(super) fn factors(from: LogSnr, to: LogSnr, nu: f64) -> Factors {
    let [z, x, other] = coefficients(from, to, nu);
    Factors {
        x,
        epsilon: 0.0,
        z,
        other,
    }
}

/// The ancestral sampler: a step is one evaluation and fresh `noise` ~ N(0, I), shaped as z.
pub(super) fn ancestral(step: &Step<'_>, guided: Guided, noise: Tensor<4>) -> Next {
    let nu = step.plan.variance_interpolation;
    let Guided { estimate, z } = guided;
    Next::Latent(ancestral_step(z, &estimate, step.from, step.to, nu, noise))
}
