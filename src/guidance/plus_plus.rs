//! CFG++ (Chung et al. 2024, "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion
//! Models", algorithm 1).

use super::{Branches, Strength};
use crate::prediction::Estimate;

/// The guided x̃ with the noise of the unconditional estimate: x̃ of `ε(∅) + (1 + w)(ε(c) − ε(∅))`,
/// and ε(∅) to noise it again with. The paper's λ is 1 + w, from 0 to 1: here w is from −1 to 0.
///
/// The two do not belong to the z that they were read from. A solver therefore goes on from the
/// z that they do belong to, α x̃ + σ ε(∅); with DDIM that is the paper's algorithm to the letter.
pub fn plus_plus(branches: &Branches, w: &Strength) -> Estimate {
    Estimate {
        x: branches.read(branches.mix(w)).x,
        epsilon: branches.read(branches.unconditional.clone()).epsilon,
    }
}
