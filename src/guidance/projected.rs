//! Adaptive projected guidance (Sadat et al. 2024, "Eliminating Oversaturation and Artifacts of
//! High Guidance Scales in Diffusion Models", section 4 and algorithm 1).

use burn::tensor::Tensor;

use super::{Branches, Projection, Strength};
use crate::prediction::Estimate;

/// The guided estimate of APG, which acts on x̃: Δ = x̃(c) − x̃(∅) is averaged over the steps with the momentum β and
/// limited to the norm r. Its component Δ∥ along x̃(c), which causes saturation, is scaled down and the orthogonal
/// component Δ⊥ is kept: `x̃ = x̃(c) + w (Δ⊥ + η Δ∥)`.
///
/// `average` is the running average of the previous steps. It is updated.
pub fn projected(
    branches: &Branches,
    w: &Strength,
    settings: &Projection,
    average: &mut Option<Tensor<4>>,
) -> Estimate {
    let conditional = branches.read(branches.conditional.clone()).x;
    let unconditional = branches.read(branches.unconditional.clone()).x;
    let mut direction = conditional.clone() - unconditional;
    if settings.momentum != 0.0 {
        if let Some(previous) = average.take() {
            direction = direction + previous * settings.momentum;
        }
        *average = Some(direction.clone());
    }
    if let Some(most) = settings.norm_threshold {
        let norm = dot(&direction, &direction).sqrt().clamp_min(1e-12);
        direction = direction * (norm.recip() * most).clamp_max(1.0);
    }
    let along = dot(&direction, &conditional) / dot(&conditional, &conditional).clamp_min(1e-12);
    let parallel = conditional.clone() * along;
    // Δ⊥ + η Δ∥ = Δ − (1 − η) Δ∥.
    let change = direction - parallel * (1.0 - settings.eta);
    branches.read_clean(conditional + w.times(change, |w| w))
}

/// The inner product of two images, `[images, 1, 1, 1]`.
fn dot(a: &Tensor<4>, b: &Tensor<4>) -> Tensor<4> {
    (a.clone() * b.clone()).sum_dims(&[1, 2, 3])
}
