//! What a solver is given for a step, and what it answers.

use burn::tensor::Tensor;

use super::Plan;
use crate::noise_level::LogSnr;
use crate::prediction::Estimate;

/// One step of a run, from λ_t to λ_{t+1}.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) plan: &'a Plan,
    /// From 0.
    pub(super) index: usize,
    /// λ_t.
    pub(super) from: LogSnr,
    /// λ_{t+1}.
    pub(super) to: LogSnr,
    /// Whether λ_{t+1} is the cleanest level.
    pub(super) is_last: bool,
}

/// x̃ of the step before, for solvers that look back.
#[derive(Debug, Clone)]
pub struct PreviousStep {
    /// x̃_{t−1}, `[batch, channels, height, width]`.
    pub x: Tensor<4>,
    /// λ_{t−1}, the level of its evaluation.
    pub level: LogSnr,
}

/// Heun's method between its two evaluations.
#[derive(Debug)]
pub(super) struct Predictor {
    /// The estimate at λ_t.
    pub(super) first: Estimate,
    /// Where Euler's step leads: the latents of the evaluation at λ_{t+1}.
    pub(super) z: Tensor<4>,
}

/// What a solver answers to an estimate.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made"
)]
pub(super) enum Next {
    /// z_{t+1}: the step is complete.
    Latent(Tensor<4>),
    /// The step needs a second evaluation, at λ_{t+1}.
    Evaluate(Predictor),
}
