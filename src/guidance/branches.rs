//! The two branches of guidance: the conditional and the unconditional prediction.

use burn::tensor::Tensor;

use super::Strength;
use crate::clip::Clip;
use crate::noise_level::LogSnr;
use crate::prediction::{Estimate, Target};

/// The network's two predictions for the same latents at one level, with what is needed to turn them into estimates.
///
/// # Shapes
///
/// All tensors `[images, channels, height, width]`.
#[derive(Debug, Clone)]
pub struct Branches {
    /// f(z, c), the network's prediction with the class.
    pub conditional: Tensor<4>,
    /// f(z, ∅).
    pub unconditional: Tensor<4>,
    /// The latents z.
    pub z: Tensor<4>,
    /// λ.
    pub level: LogSnr,
    /// What the network predicts.
    pub target: Target,
    /// How x̃ is brought into [−1, 1].
    pub clip: Clip,
}

impl Branches {
    /// `(1 + w) f(z, c) − w f(z, ∅)` (equation 6), which is the same for ε, v and x̃.
    pub fn mix(&self, w: &Strength) -> Tensor<4> {
        let direction = self.conditional.clone() - self.unconditional.clone();
        self.conditional.clone() + w.times(direction, |w| w)
    }

    /// x̃ and ε̃ for a prediction of the network.
    pub fn read(&self, output: Tensor<4>) -> Estimate {
        self.target.read(output, &self.z, self.level, self.clip)
    }

    /// The estimate whose clean image is `x`, clipped if estimates are.
    pub fn read_clean(&self, x: Tensor<4>) -> Estimate {
        let x = self.clip.apply(&x).unwrap_or(x);
        let epsilon = (self.z.clone() - x.clone() * self.level.alpha()) / self.level.sigma();
        Estimate { x, epsilon }
    }
}
