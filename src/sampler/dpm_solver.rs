//! DPM-Solver++(2M) (Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
//! Probabilistic Models", algorithm 2).

use burn::tensor::Tensor;

use super::ddim_step;
use super::step::{Next, PreviousStep, Step};
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::kernels::unet::Factors;
use crate::noise_level::LogSnr;
use crate::prediction::Estimate;

/// One step from λ_t = `from` to λ_{t+1} = `to`, of second order with the previous step; of first
/// order, which is DDIM, without it.
///
/// z_{t+1} = (σ_{t+1}/σ_t) z_t − α_{t+1} (e^{−h} − 1) D with D = x̃_t + (x̃_t − x̃_{t−1}) / 2r. In
/// that paper λ is log(α/σ), half of ours: h = (λ_{t+1} − λ_t)/2 here, and r = h_{t−1}/h_t.
///
/// # Shapes
///
/// The result, as the estimate: `[batch, channels, height, width]`.
pub fn dpm_solver_step(
    estimate: &Estimate,
    previous: Option<&PreviousStep>,
    from: LogSnr,
    to: LogSnr,
) -> Tensor<4> {
    // (σ_{t+1}/σ_t) z_t and the part of D that is x̃_t, with z_t = α x̃ + σ ε̂.
    let first = ddim_step(estimate, to);
    let Some(previous) = previous else {
        return first;
    };
    let change = estimate.x.clone() - previous.x.clone();
    first + change * change_factor(previous.level, from, to)
}

/// DPM-Solver++(2M): every step but the first looks back at the one before it. Where the grid says so, the last step is of
/// first order.
pub(super) fn dpm_solver(
    step: &Step<'_>,
    estimate: &Estimate,
    previous: Option<&PreviousStep>,
) -> Next {
    let first_order = step.plan.grid.lower_order_last && step.is_last;
    let previous = previous.filter(|_| !first_order);
    Next::Latent(dpm_solver_step(estimate, previous, step.from, step.to))
}

/// −α_{t+1} (e^{−h} − 1) / 2r.
fn change_factor(previous: LogSnr, from: LogSnr, to: LogSnr) -> f64 {
    let gain = -libm::expm1(0.5 * (from.0 - to.0));
    let ratio = (from.0 - previous.0) / (to.0 - from.0);
    to.alpha() * gain / (2.0 * ratio)
}

/// [`dpm_solver_step`] of second order as a sum, with x̃ of the step before as the other tensor.
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub(super) fn factors(previous: LogSnr, from: LogSnr, to: LogSnr) -> Factors {
    let change = change_factor(previous, from, to);
    let first = super::ddim::factors(to);
    Factors {
        x: first.x + change,
        other: -change,
        ..first
    }
}
