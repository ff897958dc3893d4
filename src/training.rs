//! Training the joint network (Ho & Salimans 2022, Algorithm 1): what is drawn for a batch, and
//! the loss.

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::denoiser::Denoiser;
use crate::noise::{NoiseStream, Purpose};
use crate::noise_level::{LogSnr, LogSnrRange};
use crate::prediction::Target;

/// How the noise levels of a batch are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Levels {
    /// Independent u ~ U\[0, 1\], as in the paper.
    Uniform,
    /// One u in each of `batch` equal parts of \[0, 1\]: the same distribution of every single u,
    /// less variance of the loss (the low-discrepancy sampler of Kingma et al. 2021, appendix I).
    #[default]
    Stratified,
}

/// How the squared error is weighted over noise levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// 1: the plain squared error of the target, as in the paper.
    #[default]
    Uniform,
    /// Min-SNR with γ = 5 (Hang et al. 2023): the error of x, with weights min(SNR, γ).
    MinSnr,
}

/// γ of min-SNR weighting, the value that its paper recommends.
const MIN_SNR_GAMMA: f64 = 5.0;

impl Weighting {
    /// The factor on the squared error of `target` at one noise level.
    pub fn weight(self, target: Target, level: LogSnr) -> f64 {
        match self {
            Self::Uniform => 1.0,
            Self::MinSnr => {
                let snr = libm::exp(level.0);
                // |x − x̃|² = |ε − ε̃|² / SNR = |v − ṽ|² / (SNR + 1).
                match target {
                    Target::Epsilon => snr.min(MIN_SNR_GAMMA) / snr,
                    Target::V => snr.min(MIN_SNR_GAMMA) / (snr + 1.0),
                }
            }
        }
    }
}

/// What the network is trained to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The prediction target.
    pub target: Target,
    /// The range of λ.
    pub log_snr: LogSnrRange,
    /// The probability with which the class is replaced by ∅.
    pub p_uncond: f64,
    /// How noise levels are drawn.
    pub levels: Levels,
    /// How they are weighted.
    pub weighting: Weighting,
}

/// Everything random about one batch, drawn on the host from (seed, step) alone: a step can be
/// repeated on any device and after any interruption.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// λ of each image.
    pub log_snr: Vec<LogSnr>,
    /// The class of each image, or the id of ∅ where it was dropped.
    pub classes: Vec<u32>,
    /// ε, `[batch, channels, height, width]`.
    pub noise: Vec<f32>,
}

/// The streams of [`Purpose::Training`]: one for each use.
mod stream {
    pub const ORDER: u64 = 0;
    pub const LEVELS: u64 = 1;
    pub const DROP: u64 = 2;
    pub const NOISE: u64 = 3;
    pub const FLIP: u64 = 4;
}

impl Objective {
    /// Draws for one batch with these labels; `values` is the size of an image,
    /// channels · height · width, and `null` the id of ∅.
    pub fn draw(&self, seed: u64, step: u32, labels: &[u32], null: u32, values: usize) -> Draw {
        let stream = |id| NoiseStream::new(Purpose::Training, seed, id, step);
        let (mut levels, mut drop) = (stream(stream::LEVELS), stream(stream::DROP));
        let batch = labels.len() as f64;
        let log_snr = (0..labels.len())
            .map(|i| match self.levels {
                Levels::Uniform => levels.uniform(),
                Levels::Stratified => (i as f64 + levels.uniform()) / batch,
            })
            .map(|u| self.log_snr.log_snr(u))
            .collect();
        let classes = labels
            .iter()
            .map(|&label| {
                if drop.uniform() < self.p_uncond {
                    null
                } else {
                    label
                }
            })
            .collect();
        let mut noise = vec![0f32; labels.len() * values];
        stream(stream::NOISE).fill_normal(&mut noise);
        Draw {
            log_snr,
            classes,
            noise,
        }
    }

    /// The weighted mean squared error of the prediction for images `x` of shape
    /// `[batch, channels, height, width]` in [−1, 1]; a scalar, `[1]`.
    pub fn loss<D: Denoiser + ?Sized>(&self, denoiser: &D, x: Tensor<4>, draw: Draw) -> Tensor<1> {
        let (device, shape) = (x.device(), x.dims());
        let batch = shape[0];
        let column = |value: &dyn Fn(LogSnr) -> f64| {
            let values: Vec<f32> = draw.log_snr.iter().map(|&l| value(l) as f32).collect();
            Tensor::<4>::from_data(TensorData::new(values, [batch, 1, 1, 1]), &device)
        };
        let alpha = column(&LogSnr::alpha);
        let sigma = column(&LogSnr::sigma);
        let log_snr = column(&|l| l.0).reshape([batch]);
        let weight = (self.weighting != Weighting::Uniform)
            .then(|| column(&|l| self.weighting.weight(self.target, l)));
        let classes: Vec<i32> = draw.classes.iter().map(|&c| c as i32).collect();
        let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [batch]), &device);
        let epsilon = Tensor::<4>::from_data(TensorData::new(draw.noise, shape), &device);

        let z = x.clone() * alpha.clone() + epsilon.clone() * sigma.clone();
        let target = self.target.of(x, epsilon, alpha, sigma);
        let error = (denoiser.predict(z, log_snr, classes) - target).square();
        match weight {
            Some(weight) => (error * weight).mean(),
            None => error.mean(),
        }
    }
}

/// The order in which training sees `images` images: every epoch a new permutation, keyed by
/// (seed, epoch), so that any step can be found again.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    epoch: Option<u64>,
    permutation: Vec<usize>,
}

impl Order {
    /// An order of `images` images.
    pub fn new(seed: u64, images: usize) -> Self {
        Self {
            seed,
            epoch: None,
            permutation: (0..images).collect(),
        }
    }

    /// The images of a step; a batch may reach from one epoch into the next.
    pub fn batch(&mut self, step: u64, batch: usize) -> Vec<usize> {
        (0..batch as u64)
            .map(|k| self.image(step * batch as u64 + k))
            .collect()
    }

    fn image(&mut self, position: u64) -> usize {
        let count = self.permutation.len() as u64;
        let epoch = position / count;
        if self.epoch != Some(epoch) {
            self.permutation.sort_unstable();
            NoiseStream::new(Purpose::Training, self.seed, stream::ORDER, epoch as u32)
                .shuffle(&mut self.permutation);
            self.epoch = Some(epoch);
        }
        self.permutation[(position % count) as usize]
    }
}

/// Which images of a step's batch are mirrored, each with probability ½.
pub fn flips(seed: u64, step: u32, batch: usize) -> Vec<bool> {
    let mut stream = NoiseStream::new(Purpose::Training, seed, stream::FLIP, step);
    (0..batch).map(|_| stream.uniform() < 0.5).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn objective() -> Objective {
        Objective {
            target: Target::V,
            log_snr: LogSnrRange::PAPER,
            p_uncond: 0.2,
            levels: Levels::Stratified,
            weighting: Weighting::Uniform,
        }
    }

    #[test]
    fn classes_are_dropped_as_often_as_asked() {
        let labels = vec![3; 20_000];
        let draw = objective().draw(1, 0, &labels, 9, 1);
        let dropped = draw.classes.iter().filter(|&&c| c == 9).count() as f64 / 20_000.0;
        assert!(
            (dropped - 0.2).abs() < 5.0 * (0.16f64 / 20_000.0).sqrt(),
            "{dropped}"
        );
        assert!(draw.classes.iter().all(|&c| c == 9 || c == 3));
    }

    #[test]
    fn a_step_is_drawn_again_as_it_was() {
        let labels = [0, 1, 2];
        assert_eq!(
            objective().draw(1, 5, &labels, 3, 12),
            objective().draw(1, 5, &labels, 3, 12)
        );
        assert_ne!(
            objective().draw(1, 5, &labels, 3, 12),
            objective().draw(1, 6, &labels, 3, 12)
        );
    }

    #[test]
    fn stratified_levels_fall_into_every_part() {
        let draw = objective().draw(1, 0, &[0; 64], 1, 1);
        assert!(draw.log_snr.windows(2).all(|w| w[0].0 > w[1].0));
    }

    #[test]
    fn an_epoch_sees_every_image_once() {
        let mut order = Order::new(1, 10);
        let mut seen: Vec<usize> = (0..5).flat_map(|step| order.batch(step, 4)).collect();
        let again = order.batch(1, 4);
        assert_eq!(again, seen[4..8]);
        let second = seen.split_off(10);
        assert_ne!(seen, second);
        for mut epoch in [seen, second] {
            epoch.sort_unstable();
            assert_eq!(epoch, (0..10).collect::<Vec<_>>());
        }
    }

    /// A network that always answers 0.
    struct Zero;
    impl Denoiser for Zero {
        fn classes(&self) -> usize {
            1
        }
        fn predict(&self, z: Tensor<4>, _: Tensor<1>, _: Tensor<1, Int>) -> Tensor<4> {
            z.zeros_like()
        }
    }

    #[test]
    fn the_loss_of_nothing_is_the_power_of_the_target() {
        let device = Device::flex();
        let x = Tensor::<4>::full([512, 1, 4, 4], 0.5, &device);
        for (target, expected) in [(Target::Epsilon, 1.0), (Target::V, 0.5 * (1.0 + 0.25))] {
            let objective = Objective {
                target,
                ..objective()
            };
            let draw = objective.draw(2, 0, &[0; 512], 1, 16);
            let loss = objective.loss(&Zero, x.clone(), draw).into_scalar::<f32>();
            assert!(
                (f64::from(loss) - expected).abs() < 0.05,
                "{target:?} {loss}"
            );
        }
    }

    #[test]
    fn min_snr_weights_the_same_error_alike_on_both_targets() {
        for lambda in [-5.0, 0.0, 1.0, 6.0] {
            let level = LogSnr(lambda);
            let epsilon = Weighting::MinSnr.weight(Target::Epsilon, level) * lambda.exp();
            let v = Weighting::MinSnr.weight(Target::V, level) * (lambda.exp() + 1.0);
            assert!((epsilon - v).abs() < 1e-9 * v);
        }
    }
}
