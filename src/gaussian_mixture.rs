//! A mixture of Gaussians in the plane, one for each class. Its denoiser is known exactly, with and without a class, and
//! with it the correct result of every sampler and of guidance.
//!
//! Ho & Salimans show guidance on three of them (2022, Figure 2). A point of the plane is an "image" of one pixel
//! with two channels.

use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, TensorData};

use crate::denoiser::{Class, Denoiser};
use crate::network::OtherInputs;
use crate::noise_level::LogSnr;
use crate::prediction::Target;

/// `[channels, height, width]` of a point as an image.
pub const POINT_SHAPE: [usize; 3] = [2, 1, 1];

/// Isotropic Gaussians in the plane, all equally probable, each of them a class.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianMixture {
    /// The mean of each class.
    pub means: Vec<[f64; 2]>,
    /// The standard deviation of each class, as many as there are means.
    pub deviations: Vec<f64>,
    /// The prediction target of [`predict`](Denoiser::predict).
    pub target: Target,
}

impl GaussianMixture {
    /// Three classes that overlap, as in Figure 2 of the paper.
    pub fn three(target: Target) -> Self {
        Self {
            means: vec![[0.5, 0.0], [-0.3, 0.45], [-0.25, -0.4]],
            deviations: vec![0.2, 0.25, 0.15],
            target,
        }
    }

    /// log p(z | class) of a noisy point `z` at `level`, or log p(z) without a class. At λ = ∞ it is the density of the
    /// data.
    pub fn log_density(&self, z: [f64; 2], level: LogSnr, class: Class) -> f64 {
        match class {
            Some(class) => self.log_densities(z, level)[class as usize],
            None => {
                let all = self.log_densities(z, level);
                log_sum_exp(&all) - libm::log(all.len() as f64)
            }
        }
    }

    /// log p(x | class) p(class | x)^w of a clean point up to a constant, the density that guidance of strength w
    /// stands for (Ho & Salimans 2022, section 3: p̃(z | c) ∝ p(z | c) p(c | z)^w).
    pub fn log_guided_density(&self, x: [f64; 2], class: u32, w: f64) -> f64 {
        let clean = LogSnr(f64::INFINITY);
        let conditional = self.log_density(x, clean, Some(class));
        conditional + w * (conditional - self.log_density(x, clean, None))
    }

    /// log N(z; α m, α² s² + σ²) for every class.
    fn log_densities(&self, z: [f64; 2], level: LogSnr) -> Vec<f64> {
        let (a, s2) = (level.alpha(), level.sigma().powi(2));
        let classes = self.means.iter().zip(&self.deviations);
        classes
            .map(|(mean, deviation)| {
                let variance = (a * deviation).powi(2) + s2;
                let square: f64 = (0..2).map(|i| (z[i] - a * mean[i]).powi(2)).sum();
                -0.5 * square / variance - libm::log(core::f64::consts::TAU * variance)
            })
            .collect()
    }

    /// E[x | z, class], the posterior mean of one Gaussian.
    pub fn conditional(&self, z: [f64; 2], level: LogSnr, class: usize) -> [f64; 2] {
        let (a, s2) = (level.alpha(), level.sigma().powi(2));
        let variance = self.deviations[class].powi(2);
        let total = a * a * variance + s2;
        std::array::from_fn(|i| (a * variance * z[i] + s2 * self.means[class][i]) / total)
    }

    /// E[x | z], the posterior means weighted by the posterior probabilities of the classes.
    pub fn unconditional(&self, z: [f64; 2], level: LogSnr) -> [f64; 2] {
        let all = self.log_densities(z, level);
        let sum = log_sum_exp(&all);
        let mut x = [0.0; 2];
        for (class, log_density) in all.iter().enumerate() {
            let mean = self.conditional(z, level, class);
            let weight = libm::exp(log_density - sum);
            (0..2).for_each(|i| x[i] += weight * mean[i]);
        }
        x
    }

    /// x̃ of the guided estimate. Guidance is linear in ε, and so in x at one z.
    pub fn guided(&self, z: [f64; 2], level: LogSnr, class: usize, w: f64) -> [f64; 2] {
        let conditional = self.conditional(z, level, class);
        let unconditional = self.unconditional(z, level);
        std::array::from_fn(|i| (1.0 + w) * conditional[i] - w * unconditional[i])
    }
}

fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::MIN, f64::max);
    largest + libm::log(values.iter().map(|v| libm::exp(v - largest)).sum())
}

/// Uses tensor operations only, so that it also runs on devices from which nothing can be read synchronously.
impl Denoiser for GaussianMixture {
    fn classes(&self) -> usize {
        self.means.len()
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        _: OtherInputs,
    ) -> Tensor<4> {
        let (device, dims, count) = (z.device(), z.dims(), self.means.len());
        let rows = dims[0];
        let constant = |values: Vec<f32>, shape: [usize; 3]| {
            Tensor::<3>::from_data(TensorData::new(values, shape), &device)
        };
        let means = constant(
            self.means.iter().flatten().map(|&v| v as f32).collect(),
            [1, count, 2],
        );
        let variances = constant(
            self.deviations.iter().map(|d| (d * d) as f32).collect(),
            [1, count, 1],
        );
        // α² = 1/(1 + e^−λ) and σ² = 1/(1 + e^λ), each without cancellation.
        let level = log_snr.reshape([rows, 1, 1]);
        let alpha2 = ((-level.clone()).exp() + 1.0).recip();
        let sigma2 = (level.exp() + 1.0).recip();
        let (alpha, sigma) = (alpha2.clone().sqrt(), sigma2.clone().sqrt());
        let z = z.reshape([rows, 1, 2]);
        let z = match self.target.divisors(alpha.clone(), sigma.clone()) {
            Some(divisors) => z * divisors,
            None => z,
        };

        // Every class at once, [rows, classes, 2].
        let total = alpha2 * variances.clone() + sigma2.clone();
        let offset = z - alpha.clone() * means.clone();
        let square = offset.clone().square().sum_dim(2);
        let log_density = -(square / total.clone() * 0.5) - total.clone().log();
        // Computed from the offset, because z − α x̃ cancels where there is little noise.
        let epsilon = offset.clone() * sigma.clone() / total.clone();
        let prediction = match self.target {
            Target::Epsilon => epsilon,
            target => {
                let x = offset * alpha.clone() * variances / total + means;
                target.of(x, epsilon, alpha, sigma)
            }
        };

        // The weight of each class: 1 for the row's class, or the posterior probabilities. [rows, classes, 1].
        let ids: Vec<i32> = (0..count as i32).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, count]), &device);
        let class = class.reshape([rows, 1]);
        let chosen = class.clone().equal(ids).float();
        let null = class.equal_elem(count as i32).float();
        let posterior = softmax(log_density, 1).reshape([rows, count]);
        let weights = (chosen + null * posterior).reshape([rows, count, 1]);
        (prediction * weights).sum_dim(1).reshape(dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_of_the_density_is_the_noise_that_the_denoiser_predicts() {
        // Tweedie's formula, ε = −σ ∇ log p(z): the densities and the denoiser check each other.
        let mixture = GaussianMixture::three(Target::Epsilon);
        for (z, lambda) in [([0.3, -0.2], 2.0), ([-0.9, 0.4], -1.0), ([0.1, 0.1], 5.0)] {
            let level = LogSnr(lambda);
            for class in [None, Some(0), Some(2)] {
                let x = match class {
                    Some(class) => mixture.conditional(z, level, class as usize),
                    None => mixture.unconditional(z, level),
                };
                for i in 0..2 {
                    let h = 1e-5;
                    let at = |delta: f64| {
                        let mut moved = z;
                        moved[i] += delta;
                        mixture.log_density(moved, level, class)
                    };
                    let score = (at(h) - at(-h)) / (2.0 * h);
                    let epsilon = (z[i] - level.alpha() * x[i]) / level.sigma();
                    assert!(
                        (epsilon + level.sigma() * score).abs() < 1e-6,
                        "{class:?} {z:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_guided_density_of_strength_0_is_the_class_and_of_minus_1_the_mixture() {
        let mixture = GaussianMixture::three(Target::V);
        let clean = LogSnr(f64::INFINITY);
        let x = [0.2, 0.1];
        let class = mixture.log_density(x, clean, Some(1));
        assert!((mixture.log_guided_density(x, 1, 0.0) - class).abs() < 1e-12);
        let all = mixture.log_density(x, clean, None);
        assert!((mixture.log_guided_density(x, 1, -1.0) - all).abs() < 1e-12);
    }
}
