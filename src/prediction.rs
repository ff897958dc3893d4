//! Prediction targets, and the estimates of the clean image and of the noise that follow from a prediction.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::noise_level::LogSnr;

/// The prediction target. Guidance is the same linear mix on either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The noise ε (Ho et al. 2020), as in the paper.
    Epsilon,
    /// v = α ε − σ x (Salimans & Ho 2022), well conditioned at every λ.
    #[default]
    V,
}

/// The clean image and the noise that a prediction implies at one noise level, `z = α x + σ ε`.
///
/// # Shapes
///
/// Both `[batch, channels, height, width]`.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// x̃, the estimate of the clean image, in [−1, 1] when clipped.
    pub x: Tensor<4>,
    /// ε̃, the estimate of the noise. It is consistent with `x`: z = α x̃ + σ ε̃.
    pub epsilon: Tensor<4>,
}

impl Target {
    /// The training target for images `x` with noise `epsilon` at per-image `alpha` and `sigma`.
    ///
    /// # Shapes
    ///
    /// `x`, `epsilon`: `[batch, channels, height, width]`; `alpha`, `sigma`: `[batch, 1, 1, 1]`.
    pub fn of(
        self,
        x: Tensor<4>,
        epsilon: Tensor<4>,
        alpha: Tensor<4>,
        sigma: Tensor<4>,
    ) -> Tensor<4> {
        match self {
            Self::Epsilon => epsilon,
            Self::V => alpha * epsilon - sigma * x,
        }
    }

    /// x̃ and ε̃ for an output of the network at one noise level, all
    /// `[batch, channels, height, width]`.
    ///
    /// ε-target: x̃ = (z − σ ε̃)/α. v-target: x̃ = α z − σ v. With `clip`, x̃ is clipped to
    /// [−1, 1] and ε̂ = (z − α x̃)/σ is recomputed from it (Ho & Salimans 2022, Algorithm 2). At the
    /// first step α is e⁻¹⁰: without clipping, the division destroys the image.
    pub fn read(self, output: Tensor<4>, z: &Tensor<4>, level: LogSnr, clip: bool) -> Estimate {
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let x = match self {
            Self::Epsilon => (z.clone() - output.clone() * sigma) / alpha,
            Self::V => z.clone() * alpha - output.clone() * sigma,
        };
        if clip {
            let x = x.clamp(-1.0, 1.0);
            let epsilon = (z.clone() - x.clone() * alpha) / sigma;
            Estimate { x, epsilon }
        } else {
            let epsilon = match self {
                Self::Epsilon => output,
                Self::V => z.clone() * sigma + output * alpha,
            };
            Estimate { x, epsilon }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    /// The truth, given as either target, reads back as itself.
    #[test]
    fn both_targets_describe_the_same_image() {
        let device = Device::flex();
        let x = Tensor::<1>::from_floats([-0.9, 0.1, 0.5, 0.7], &device).reshape([1, 1, 2, 2]);
        let e = Tensor::<1>::from_floats([1.2, -0.3, 0.8, -2.0], &device).reshape([1, 1, 2, 2]);
        for lambda in [-4.0, 0.0, 3.0] {
            let level = LogSnr(lambda);
            let scalar = |v: f64| Tensor::<4>::full([1, 1, 1, 1], v, &device);
            let z = x.clone() * level.alpha() + e.clone() * level.sigma();
            for target in [Target::Epsilon, Target::V] {
                for clip in [false, true] {
                    let truth = target.of(
                        x.clone(),
                        e.clone(),
                        scalar(level.alpha()),
                        scalar(level.sigma()),
                    );
                    let read = target.read(truth, &z, level, clip);
                    let tolerance = Tolerance::<f32>::absolute(2e-5);
                    read.x.into_data().assert_approx_eq(&x.to_data(), tolerance);
                    read.epsilon
                        .into_data()
                        .assert_approx_eq(&e.to_data(), tolerance);
                }
            }
        }
    }

    #[test]
    fn clipping_changes_the_noise_with_the_image() {
        let device = Device::flex();
        let z = Tensor::<4>::full([1, 1, 1, 1], 3.0, &device);
        let level = LogSnr(0.0);
        let read = Target::Epsilon.read(Tensor::zeros([1, 1, 1, 1], &device), &z, level, true);
        assert_eq!(read.x.clone().into_scalar::<f32>(), 1.0);
        let back = read.x * level.alpha() + read.epsilon * level.sigma();
        assert!((back.into_scalar::<f32>() - 3.0).abs() < 1e-5);
    }
}
