//! CFG++ (Chung et al. 2024, "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion
//! Models", algorithm 1).

use super::{Branches, Strength};
use crate::prediction::Estimate;

/// The guided x̃ with the unconditional noise: x̃ of `ε(∅) + (1 + w)(ε(c) − ε(∅))`, and ε(∅) for the re-noising. The
/// paper's λ, from 0 to 1, is 1 + w: here w is from −1 to 0.
///
/// The two are not consistent with the z of the evaluation. A sampler therefore continues from z = α x̃ + σ ε(∅), with
/// which they are. With DDIM that is exactly the paper's algorithm.
pub fn plus_plus(branches: &Branches, w: &Strength) -> Estimate {
    Estimate {
        x: branches.read(branches.mix(w)).x,
        epsilon: branches.read(branches.unconditional.clone()).epsilon,
    }
}
