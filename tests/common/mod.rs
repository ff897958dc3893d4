//! A mixture of Gaussians, whose denoiser is known exactly, conditional and unconditional.

#![allow(dead_code)]

use burn::tensor::{Device, Int, Tensor, TensorData};
use freeguide::denoiser::Denoiser;
use freeguide::noise_level::LogSnr;
use freeguide::prediction::Target;

/// "Images" of one pixel with two channels: points of the plane.
pub const SHAPE: [usize; 3] = [2, 1, 1];

/// One isotropic Gaussian for each class, all equally probable.
#[derive(Clone)]
pub struct Mixture {
    pub means: Vec<[f64; 2]>,
    pub deviations: Vec<f64>,
    pub target: Target,
}

impl Mixture {
    /// Three classes that overlap, as in the paper's Figure 2.
    pub fn three(target: Target) -> Self {
        Self {
            means: vec![[0.5, 0.0], [-0.3, 0.45], [-0.25, -0.4]],
            deviations: vec![0.2, 0.25, 0.15],
            target,
        }
    }

    /// E[x | z, class]: the posterior mean of one Gaussian.
    pub fn conditional(&self, z: [f64; 2], level: LogSnr, class: usize) -> [f64; 2] {
        let (a, s2, v) = (
            level.alpha(),
            level.sigma().powi(2),
            self.deviations[class].powi(2),
        );
        let total = a * a * v + s2;
        std::array::from_fn(|i| (a * v * z[i] + s2 * self.means[class][i]) / total)
    }

    /// E[x | z]: the posterior means, weighted by the posterior probabilities of the classes.
    pub fn unconditional(&self, z: [f64; 2], level: LogSnr) -> [f64; 2] {
        let (a, s2) = (level.alpha(), level.sigma().powi(2));
        let log_weights: Vec<f64> = (0..self.means.len())
            .map(|k| {
                let total = a * a * self.deviations[k].powi(2) + s2;
                let square: f64 = (0..2).map(|i| (z[i] - a * self.means[k][i]).powi(2)).sum();
                -0.5 * square / total - total.ln()
            })
            .collect();
        let largest = log_weights.iter().fold(f64::MIN, |m, &w| m.max(w));
        let weights: Vec<f64> = log_weights.iter().map(|w| (w - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mut x = [0.0; 2];
        for (k, weight) in weights.iter().enumerate() {
            let mean = self.conditional(z, level, k);
            (0..2).for_each(|i| x[i] += weight / sum * mean[i]);
        }
        x
    }

    /// x̃ of the guided estimate. Guidance is linear in ε, and so in x at one z.
    pub fn guided(&self, z: [f64; 2], level: LogSnr, class: usize, w: f64) -> [f64; 2] {
        let (c, u) = (
            self.conditional(z, level, class),
            self.unconditional(z, level),
        );
        std::array::from_fn(|i| (1.0 + w) * c[i] - w * u[i])
    }
}

impl Denoiser for Mixture {
    fn classes(&self) -> usize {
        self.means.len()
    }

    fn predict(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4> {
        let (device, dims) = (z.device(), z.dims());
        let points: Vec<f64> = z.into_data().iter::<f64>().collect();
        let levels: Vec<f64> = log_snr.into_data().iter::<f64>().collect();
        let classes: Vec<i64> = class.into_data().iter::<i64>().collect();
        let mut out = Vec::with_capacity(points.len());
        for (row, point) in points.chunks_exact(2).enumerate() {
            let (z, level) = ([point[0], point[1]], LogSnr(levels[row]));
            let x = match classes[row] as usize {
                k if k < self.means.len() => self.conditional(z, level, k),
                _ => self.unconditional(z, level),
            };
            for i in 0..2 {
                let epsilon = (z[i] - level.alpha() * x[i]) / level.sigma();
                out.push(match self.target {
                    Target::Epsilon => epsilon,
                    Target::V => level.alpha() * epsilon - level.sigma() * x[i],
                } as f32);
            }
        }
        Tensor::from_data(TensorData::new(out, dims), &device)
    }
}

/// The points of a batch `[n, 2, 1, 1]`.
pub fn points(batch: Tensor<4>) -> Vec<[f64; 2]> {
    let values: Vec<f64> = batch.into_data().iter::<f64>().collect();
    values.chunks_exact(2).map(|p| [p[0], p[1]]).collect()
}

/// The CPU.
pub fn device() -> Device {
    Device::flex()
}
