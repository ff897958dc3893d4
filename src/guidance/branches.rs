//! The two estimates that guidance mixes.

use burn::tensor::Tensor;

use super::Strength;
use crate::noise_level::LogSnr;
use crate::prediction::{Estimate, Target};

/// The network's two answers for the same latents at one level, with all that is needed to read
/// them.
///
/// # Shapes
///
/// All tensors `[images, channels, height, width]`.
#[derive(Debug, Clone)]
pub struct Branches {
    /// f(z, c), the network's ε or v with the class.
    pub conditional: Tensor<4>,
    /// f(z, ∅).
    pub unconditional: Tensor<4>,
    /// The latents z.
    pub z: Tensor<4>,
    /// λ.
    pub level: LogSnr,
    /// What the network predicts.
    pub target: Target,
    /// Whether x̃ is clipped to [−1, 1].
    pub clip: bool,
}

impl Branches {
    /// `(1 + w) f(z, c) − w f(z, ∅)` (equation 6). On ε, on v and on x̃ it is the same mix.
    pub fn mix(&self, w: &Strength) -> Tensor<4> {
        let direction = self.conditional.clone() - self.unconditional.clone();
        self.conditional.clone() + w.times(direction, |w| w)
    }

    /// Reads an answer of the network as x̃ and ε̃.
    pub fn read(&self, output: Tensor<4>) -> Estimate {
        self.target.read(output, &self.z, self.level, self.clip)
    }

    /// The estimate whose clean image is `x`, before it is clipped.
    pub fn read_clean(&self, x: Tensor<4>) -> Estimate {
        let x = if self.clip { x.clamp(-1.0, 1.0) } else { x };
        let epsilon = (self.z.clone() - x.clone() * self.level.alpha()) / self.level.sigma();
        Estimate { x, epsilon }
    }
}
