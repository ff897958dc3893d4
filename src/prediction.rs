//! Prediction targets, and the estimates of the clean image and of the noise that follow from a prediction.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::clip::Clip;
use crate::noise_level::LogSnr;

/// σ of the data in EDM's preconditioning (Karras et al. 2022, table 1).
const SIGMA_DATA: f64 = 0.5;

/// The prediction target. Guidance is the same linear mix on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The noise ε (Ho et al. 2020), as in the paper.
    Epsilon,
    /// v = α ε − σ x (Salimans & Ho 2022), well conditioned at every λ.
    #[default]
    V,
    /// The velocity u = ε − x of flow matching (Lipman et al. 2023; Liu et al. 2023), whose networks are shown
    /// (1 − t) x + t ε = z/(α + σ), with t = σ/(α + σ).
    Velocity,
    /// The network F of EDM (Karras et al. 2022, equation 7), which is shown an input of unit variance and predicts a mix
    /// of x and ε of unit variance: F = (σ x − d² α ε)/(d r), with σ_data = d = ½ and r² = σ² + d² α².
    Edm,
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
    /// `x`, `epsilon`: `[batch, channels, height, width]`; `alpha`, `sigma`: `[batch, 1, 1, 1]`; or any others that
    /// broadcast.
    pub fn of<const D: usize>(
        self,
        x: Tensor<D>,
        epsilon: Tensor<D>,
        alpha: Tensor<D>,
        sigma: Tensor<D>,
    ) -> Tensor<D> {
        match self {
            Self::Epsilon => epsilon,
            Self::V => alpha * epsilon - sigma * x,
            Self::Velocity => epsilon - x,
            Self::Edm => {
                let variance = SIGMA_DATA * SIGMA_DATA;
                let root = edm_roots(alpha.clone(), sigma.clone());
                (sigma * x - alpha * epsilon * variance) / (root * SIGMA_DATA)
            }
        }
    }

    /// What z is divided by before the network is shown it, at per-image `alpha` and `sigma`; none where it is shown z
    /// itself.
    pub fn divisors<const D: usize>(self, alpha: Tensor<D>, sigma: Tensor<D>) -> Option<Tensor<D>> {
        match self {
            Self::Epsilon | Self::V => None,
            Self::Velocity => Some(alpha + sigma),
            Self::Edm => Some(edm_roots(alpha, sigma)),
        }
    }

    /// What the network is shown of z at one level, `[batch, channels, height, width]`.
    pub fn input(self, z: Tensor<4>, level: LogSnr) -> Tensor<4> {
        match self {
            Self::Epsilon | Self::V => z,
            Self::Velocity => z / (level.alpha() + level.sigma()),
            Self::Edm => z / edm_root(level),
        }
    }

    /// The factor between the mean squared error of x̃ and that of the target: ‖Δtarget‖² = factor · ‖Δx‖², at the same z.
    pub fn error_factor(self, level: LogSnr) -> f64 {
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let root = match self {
            Self::Epsilon => alpha / sigma,
            Self::V => 1.0 / sigma,
            Self::Velocity => (alpha + sigma) / sigma,
            Self::Edm => edm_root(level) / (SIGMA_DATA * sigma),
        };
        root * root
    }

    /// x̃ of a prediction at per-image `alpha` and `sigma`, the inverse of [`of`](Self::of).
    ///
    /// # Shapes
    ///
    /// `output`, `z` and the result: `[batch, channels, height, width]`; `alpha`, `sigma`: `[batch, 1, 1, 1]`.
    pub fn clean(
        self,
        output: Tensor<4>,
        z: Tensor<4>,
        alpha: Tensor<4>,
        sigma: Tensor<4>,
    ) -> Tensor<4> {
        match self {
            Self::Epsilon => (z - output * sigma) / alpha,
            Self::V => z * alpha - output * sigma,
            Self::Velocity => (z - output * sigma.clone()) / (alpha + sigma),
            Self::Edm => {
                let share = edm_roots(alpha.clone(), sigma.clone()).recip() * SIGMA_DATA;
                (z * alpha * share.clone() + output * sigma) * share
            }
        }
    }

    /// x̃ and ε̃ for an output of the network at one noise level, all
    /// `[batch, channels, height, width]`.
    ///
    /// ε-target: x̃ = (z − σ ε̃)/α. v-target: x̃ = α z − σ v. Velocity: x̃ = (z − σ u)/(α + σ). EDM: x̃ = (d² α z)/r² +
    /// (d σ/r) F, its c_skip and c_out. Where `clip` says so, x̃ is brought into
    /// [−1, 1] and ε̂ = (z − α x̃)/σ is recomputed from it (Ho & Salimans 2022, Algorithm 2). At the
    /// first step α is e⁻¹⁰: without clipping, the division destroys the image.
    pub fn read(self, output: Tensor<4>, z: &Tensor<4>, level: LogSnr, clip: Clip) -> Estimate {
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let x = match self {
            Self::Epsilon => (z.clone() - output.clone() * sigma) / alpha,
            Self::V => z.clone() * alpha - output.clone() * sigma,
            Self::Velocity => (z.clone() - output.clone() * sigma) / (alpha + sigma),
            Self::Edm => {
                let root = edm_root(level);
                let skip = SIGMA_DATA * SIGMA_DATA * alpha / (root * root);
                z.clone() * skip + output.clone() * (SIGMA_DATA * sigma / root)
            }
        };
        if let Some(x) = clip.apply(&x) {
            let epsilon = (z.clone() - x.clone() * alpha) / sigma;
            Estimate { x, epsilon }
        } else {
            let epsilon = match self {
                Self::Epsilon => output,
                Self::V => z.clone() * sigma + output * alpha,
                Self::Velocity => (z.clone() + output * alpha) / (alpha + sigma),
                Self::Edm => {
                    let root = edm_root(level);
                    z.clone() * (sigma / (root * root)) - output * (SIGMA_DATA * alpha / root)
                }
            };
            Estimate { x, epsilon }
        }
    }
}

/// r = √(σ² + d² α²).
fn edm_root(level: LogSnr) -> f64 {
    libm::hypot(level.sigma(), SIGMA_DATA * level.alpha())
}

/// r of each image.
fn edm_roots<const D: usize>(alpha: Tensor<D>, sigma: Tensor<D>) -> Tensor<D> {
    (sigma.square() + alpha.square() * (SIGMA_DATA * SIGMA_DATA)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    const ALL: [Target; 4] = [Target::Epsilon, Target::V, Target::Velocity, Target::Edm];

    /// The truth, given as any target, reads back as itself.
    #[test]
    fn all_targets_describe_the_same_image() {
        let device = Device::flex();
        let x = Tensor::<1>::from_floats([-0.9, 0.1, 0.5, 0.7], &device).reshape([1, 1, 2, 2]);
        let e = Tensor::<1>::from_floats([1.2, -0.3, 0.8, -2.0], &device).reshape([1, 1, 2, 2]);
        for lambda in [-4.0, 0.0, 3.0] {
            let level = LogSnr(lambda);
            let scalar = |v: f64| Tensor::<4>::full([1, 1, 1, 1], v, &device);
            let z = x.clone() * level.alpha() + e.clone() * level.sigma();
            for target in ALL {
                for clip in [false, true] {
                    let truth = target.of(
                        x.clone(),
                        e.clone(),
                        scalar(level.alpha()),
                        scalar(level.sigma()),
                    );
                    let read = target.read(truth, &z, level, clip.into());
                    let tolerance = Tolerance::<f32>::absolute(2e-5);
                    read.x.into_data().assert_approx_eq(&x.to_data(), tolerance);
                    read.epsilon
                        .into_data()
                        .assert_approx_eq(&e.to_data(), tolerance);
                }
            }
        }
    }

    /// Karras et al. 2022, table 1, in EDM's own terms: x + s n with s = σ/α, c_in, c_skip and c_out.
    #[test]
    fn edm_is_its_preconditioning() {
        let device = Device::flex();
        for lambda in [-6.0, -1.0, 2.0, 9.0] {
            let level = LogSnr(lambda);
            let s = level.sigma() / level.alpha();
            let (noisy, output) = (1.7, -0.6);
            let sum = s * s + 0.25;
            let (skip, out) = (0.25 / sum, s * 0.5 / sum.sqrt());
            let scalar = |v: f64| Tensor::<4>::full([1, 1, 1, 1], v, &device);
            let z = scalar(noisy * level.alpha());
            let input = Target::Edm.input(z.clone(), level).into_scalar::<f32>();
            assert!((f64::from(input) - noisy / sum.sqrt()).abs() < 1e-6);
            let read = Target::Edm.read(scalar(output), &z, level, Clip::Off);
            let x = read.x.into_scalar::<f32>();
            assert!((f64::from(x) - (skip * noisy + out * output)).abs() < 1e-6);
        }
    }

    /// Liu et al. 2023: the network sees the point (1 − t) x + t ε of the straight line, and its velocity leads to both ends.
    #[test]
    fn velocity_is_that_of_the_straight_line() {
        let device = Device::flex();
        let (x, epsilon, t) = (0.3, -1.1, 0.4f64);
        let level = LogSnr(2.0 * ((1.0 - t) / t).ln());
        let scalar = |v: f64| Tensor::<4>::full([1, 1, 1, 1], v, &device);
        let z = scalar(level.alpha() * x + level.sigma() * epsilon);
        let point = Target::Velocity.input(z.clone(), level);
        assert!(
            (f64::from(point.into_scalar::<f32>()) - ((1.0 - t) * x + t * epsilon)).abs() < 1e-6
        );
        let read = Target::Velocity.read(scalar(epsilon - x), &z, level, Clip::Off);
        assert!((f64::from(read.x.into_scalar::<f32>()) - x).abs() < 1e-6);
        assert!((f64::from(read.epsilon.into_scalar::<f32>()) - epsilon).abs() < 1e-6);
    }

    #[test]
    fn errors_of_the_target_and_of_the_image_are_proportional() {
        let device = Device::flex();
        let scalar = |v: f64| Tensor::<4>::full([1, 1, 1, 1], v, &device);
        for target in ALL {
            for lambda in [-3.0, 0.0, 2.0] {
                let level = LogSnr(lambda);
                let x = |output: f64| {
                    target
                        .read(scalar(output), &scalar(0.2), level, Clip::Off)
                        .x
                };
                let change = (x(1.0) - x(0.0)).into_scalar::<f32>();
                let factor = target.error_factor(level) * f64::from(change).powi(2);
                assert!((factor - 1.0).abs() < 1e-5, "{target:?} {lambda} {factor}");
            }
        }
    }

    #[test]
    fn clipping_changes_the_noise_with_the_image() {
        let device = Device::flex();
        let z = Tensor::<4>::full([1, 1, 1, 1], 3.0, &device);
        let level = LogSnr(0.0);
        let read = Target::Epsilon.read(
            Tensor::zeros([1, 1, 1, 1], &device),
            &z,
            level,
            Clip::Static,
        );
        assert_eq!(read.x.clone().into_scalar::<f32>(), 1.0);
        let back = read.x * level.alpha() + read.epsilon * level.sigma();
        assert!((back.into_scalar::<f32>() - 3.0).abs() < 1e-5);
    }
}
