//! Training of the joint network (Ho & Salimans 2022, Algorithm 1): the random numbers of a batch, and the loss.

mod attributes;
#[cfg(feature = "teaching")]
mod clip;
mod distillation;
#[cfg(feature = "teaching")]
mod ema;
mod flow_map;
mod levels;
mod order;
mod trajectories;
mod weighting;

#[cfg(feature = "teaching")]
pub use clip::clip_global_norm;
#[cfg(feature = "teaching")]
pub use ema::Ema;
pub use flow_map::{Jump, Jumps, Method};
pub use levels::{Levels, LogNormal};
pub use order::{Order, flips};
pub use trajectories::{Trajectories, Ways};
pub use weighting::Weighting;

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::condition::Joint;
use crate::denoiser::Denoiser;
use crate::network::{GuidanceInput, OtherInputs};
use crate::noise::{NoiseStream, Purpose};
use crate::noise_level::{LogSnr, LogSnrRange};
use crate::prediction::Target;

/// The training objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The prediction target.
    pub target: Target,
    /// The range of λ.
    pub log_snr: LogSnrRange,
    /// The probability with which the class, or all attributes and the number, are replaced by ∅.
    pub p_uncond: f64,
    /// The probability with which each attribute, and the number, is left out on its own; see
    /// [`draw_joints`](Self::draw_joints).
    pub p_drop: Option<f64>,
    /// How noise levels are drawn.
    pub levels: Levels,
    /// The distribution of [`Levels::LogNormal`].
    pub log_normal: LogNormal,
    /// The weighting of the loss over noise levels.
    pub weighting: Weighting,
    /// The strengths w that a student is taught, if it is taught by a guided model.
    pub guidance: Option<GuidanceInput>,
    /// The jumps of a student that is taught few steps.
    pub jumps: Option<Jumps>,
}

/// Some of the images of a step: the whole batch, a micro-batch of gradient accumulation, or the share of one rank. The
/// random numbers of an image do not depend on the part that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The seed of the training.
    pub seed: u64,
    /// The step, from 0.
    pub step: u32,
    /// The size of the whole batch.
    pub batch: usize,
    /// Its images, as indices within the batch.
    pub images: Range<usize>,
}

impl Part {
    /// The whole batch.
    pub fn whole(seed: u64, step: u32, batch: usize) -> Self {
        Self {
            seed,
            step,
            batch,
            images: 0..batch,
        }
    }

    fn stream(&self, id: u64) -> NoiseStream {
        NoiseStream::new(Purpose::Training, self.seed, id, self.step)
    }
}

/// The random numbers of a part of a batch. They are drawn on the host and depend on (seed, step, image) only, so that a
/// step can be repeated on any device, in any parts and after any interruption.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// λ of each image.
    pub log_snr: Vec<LogSnr>,
    /// The class of each image, or the id of ∅ if it was dropped.
    pub classes: Vec<u32>,
    /// What each image is conditioned on, where that may be more than a class; else empty.
    pub joints: Vec<Joint>,
    /// ε, `[images, channels, height, width]`.
    pub noise: Vec<f32>,
    /// w of each image, uniform over the range of [`Objective::guidance`]; empty without one.
    pub guidance: Vec<f64>,
    /// The jump of each image, which starts at its λ; empty without [`Objective::jumps`].
    pub jumps: Vec<Jump>,
}

impl Draw {
    /// z_λ of images `x`, `[images, channels, height, width]`, and λ of each, `[images]`: what a classifier of noisy images
    /// is trained on.
    pub fn noisy(&self, x: Tensor<4>) -> (Tensor<4>, Tensor<1>) {
        let noisy = Noisy::new(x, self);
        (noisy.z, noisy.log_snr)
    }
}

/// The streams of [`Purpose::Training`], one for each use. Dropout uses those from 2³² on.
mod stream {
    pub const ORDER: u64 = 0;
    pub const LEVELS: u64 = 1;
    pub const DROP: u64 = 2;
    pub const NOISE: u64 = 3;
    pub const FLIP: u64 = 4;
    pub const GUIDANCE: u64 = 5;
    pub const JUMPS: u64 = 6;
    pub const PATH_CLASSES: u64 = 7;
    pub const PATH_DROP: u64 = 8;
    pub const PATH_GUIDANCE: u64 = 9;
    pub const ATTRIBUTES: u64 = 10;
}

impl Objective {
    /// Draws the random numbers of a part of a batch whose images have these labels. `values` is the size of an image,
    /// channels · height · width, and `null` the id of ∅.
    pub fn draw(&self, part: &Part, labels: &[u32], null: u32, values: usize) -> Draw {
        let first = part.images.start as u64;
        let mut drop = part.stream(stream::DROP);
        drop.skip(2 * first);
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
        part.stream(stream::NOISE)
            .fill_normal_from(first * values as u64, &mut noise);
        let jumps = self.jumps.map_or(Vec::new(), |jumps| jumps.draw(part));
        let log_snr = match self.jumps {
            Some(_) => jumps
                .iter()
                .map(|jump| self.log_snr.log_snr(jump.from))
                .collect(),
            None => self.levels.draw(part, self.log_snr, self.log_normal),
        };
        Draw {
            log_snr,
            classes,
            joints: Vec::new(),
            noise,
            guidance: self.strengths(part),
            jumps,
        }
    }

    /// The weighted mean squared error of the prediction for images `x` of shape
    /// `[images, channels, height, width]` in [−1, 1]; a scalar, `[1]`.
    pub fn loss<D: Denoiser + ?Sized>(&self, denoiser: &D, x: Tensor<4>, draw: Draw) -> Tensor<1> {
        let noisy = Noisy::new(x.clone(), &draw);
        let divisors = self
            .target
            .divisors(noisy.alpha.clone(), noisy.sigma.clone());
        let input = match divisors {
            Some(divisors) => noisy.z / divisors,
            None => noisy.z,
        };
        let others = match draw.joints.is_empty() {
            true => OtherInputs::default(),
            false => OtherInputs::of_joints(&draw.joints, denoiser.classes(), &input.device()),
        };
        let prediction = denoiser.predict_with(input, noisy.log_snr, noisy.classes, others);
        let target = self.target.of(x, noisy.epsilon, noisy.alpha, noisy.sigma);
        self.error(prediction, target, &draw)
    }

    /// The weighted mean squared error of a prediction; a scalar, `[1]`.
    fn error(&self, prediction: Tensor<4>, target: Tensor<4>, draw: &Draw) -> Tensor<1> {
        // The error is computed in the target's type, also if the network answers in half precision.
        let error = (prediction.cast(target.dtype()) - target).square();
        match self.weighting {
            Weighting::Uniform => error.mean(),
            weighting => {
                let weight = |l: LogSnr| weighting.weight(self.target, l);
                let weight = column(&draw.log_snr, weight, &error.device());
                (error * weight).mean()
            }
        }
    }
}

/// A part of a batch with its noise, on the device.
struct Noisy {
    z: Tensor<4>,
    epsilon: Tensor<4>,
    alpha: Tensor<4>,
    sigma: Tensor<4>,
    log_snr: Tensor<1>,
    classes: Tensor<1, Int>,
}

impl Noisy {
    fn new(x: Tensor<4>, draw: &Draw) -> Self {
        let (device, shape) = (x.device(), x.dims());
        let column = |value: fn(LogSnr) -> f64| column(&draw.log_snr, value, &device);
        let (alpha, sigma) = (column(LogSnr::alpha), column(LogSnr::sigma));
        let classes: Vec<i32> = draw.classes.iter().map(|&c| c as i32).collect();
        let classes = TensorData::new(classes, [shape[0]]);
        let epsilon = TensorData::new(draw.noise.clone(), shape);
        let epsilon = Tensor::<4>::from_data(epsilon, &device);
        Self {
            z: x * alpha.clone() + epsilon.clone() * sigma.clone(),
            epsilon,
            alpha,
            sigma,
            log_snr: column(|l| l.0).reshape([shape[0]]),
            classes: Tensor::from_data(classes, &device),
        }
    }
}

/// A number for each image, `[images, 1, 1, 1]`.
fn column(levels: &[LogSnr], value: impl Fn(LogSnr) -> f64, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = levels.iter().map(|&l| value(l) as f32).collect();
    let shape = [values.len(), 1, 1, 1];
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective() -> Objective {
        Objective {
            target: Target::V,
            log_snr: LogSnrRange::PAPER,
            p_uncond: 0.2,
            p_drop: None,
            levels: Levels::Stratified,
            log_normal: LogNormal::default(),
            weighting: Weighting::Uniform,
            guidance: None,
            jumps: None,
        }
    }

    #[test]
    fn classes_are_dropped_as_often_as_asked() {
        let labels = vec![3; 20_000];
        let draw = objective().draw(&Part::whole(1, 0, 20_000), &labels, 9, 1);
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
        let draw = |step| objective().draw(&Part::whole(1, step, 3), &labels, 3, 12);
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn the_parts_of_a_batch_are_the_batch() {
        let labels: Vec<u32> = (0..7).collect();
        // An odd number of values: parts begin between the two numbers of a pair.
        let whole = objective().draw(&Part::whole(1, 5, 7), &labels, 9, 25);
        for cut in 0..=7 {
            let part = |images: Range<usize>| {
                let labels = labels[images.clone()].to_vec();
                let part = Part {
                    images,
                    ..Part::whole(1, 5, 7)
                };
                objective().draw(&part, &labels, 9, 25)
            };
            let (first, second) = (part(0..cut), part(cut..7));
            assert_eq!([first.log_snr, second.log_snr].concat(), whole.log_snr);
            assert_eq!([first.classes, second.classes].concat(), whole.classes);
            assert_eq!([first.noise, second.noise].concat(), whole.noise);
        }
    }

    /// A network that always answers 0.
    struct Zero;
    impl Denoiser for Zero {
        fn classes(&self) -> usize {
            1
        }
        fn predict_with(
            &self,
            z: Tensor<4>,
            _: Tensor<1>,
            _: Tensor<1, Int>,
            _: OtherInputs,
        ) -> Tensor<4> {
            z.zeros_like()
        }
    }

    #[test]
    fn the_loss_of_nothing_is_the_power_of_the_target() {
        let device = Device::flex();
        let x = Tensor::<4>::full([512, 1, 4, 4], 0.5, &device);
        let both = 0.5 * (1.0 + 0.25);
        for (target, expected) in [
            (Target::Epsilon, 1.0),
            (Target::V, both),
            (Target::Velocity, 1.0 + 0.25),
            // σ²x² + α² d⁴ over d² (σ² + d² α²), with x = d: 1 at every level but for the noise of the batch.
            (Target::Edm, 1.0),
        ] {
            let objective = Objective {
                target,
                ..objective()
            };
            let draw = objective.draw(&Part::whole(2, 0, 512), &[0; 512], 1, 16);
            let loss = objective.loss(&Zero, x.clone(), draw).into_scalar::<f32>();
            assert!(
                (f64::from(loss) - expected).abs() < 0.05,
                "{target:?} {loss}"
            );
        }
    }
}
