//! Whole trajectories of a teacher, drawn once with a solver of second order: what a flow map learns from at the least cost.

use burn::tensor::{Device, Tensor, TensorData};

use super::distillation::strengths;
use super::{Draw, Jump, Objective, Part, stream};
use crate::denoiser::Denoiser;
use crate::noise::{MAX_SEED, NoiseStream};
use crate::noise_level::LogSnr;
use crate::sampler::{Plan, Run, Solver};

/// The teacher's guided trajectories of the images of a part, each with a class and a w of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectories {
    classes: Vec<u32>,
    guidance: Vec<f64>,
    /// The latents of each image at u = 1, 1 − 1/T … 0, T the most steps of the student: `[T + 1]` of `[images, values]`.
    states: Vec<Vec<f32>>,
}

/// Where jumps begin and end, with everything that their images are conditioned on.
#[derive(Debug, Clone, PartialEq)]
pub struct Ways {
    /// The draw that they belong to, with the classes and strengths of the trajectories.
    pub draw: Draw,
    /// The latents where they begin, `[images, values]`.
    pub starts: Vec<f32>,
    /// The latents where they end.
    pub landings: Vec<f32>,
}

impl Objective {
    /// Draws the trajectories of round `part.step` for the images of a part: classes as frequent as `class_counts` says, ∅
    /// with p_uncond, and w more often small than large, because the effect of w is largest there: w − min is the range
    /// times the square of a uniform number.
    ///
    /// The teacher takes `teacher_steps` steps of DPM-Solver++(2M) and one more towards the clean image, and clips x̃. `shape`:
    /// `[channels, height, width]`; `takes_guidance`: whether the teacher is a student that takes w; `device`: without
    /// gradients.
    ///
    /// # Panics
    ///
    /// If the objective is not of a flow map.
    pub fn trajectories<T: Denoiser + ?Sized>(
        &self,
        (teacher, takes_guidance): (&T, bool),
        part: &Part,
        class_counts: &[usize],
        shape: [usize; 3],
        device: &Device,
    ) -> Trajectories {
        let jumps = self.jumps.as_ref().expect("an objective of a flow map");
        let guidance = self.path_strengths(part);
        let classes = self.path_classes(part, class_counts);
        let null = class_counts.len() as u32;
        let ids = classes.iter().map(|&id| (id != null).then_some(id));
        // Half a step before the end: what a solver's last steps leave out is what a picture's edges consist of.
        let short = 1.0 / jumps.teacher_steps as f64;
        let places = (0..jumps.teacher_steps).map(|k| 1.0 - k as f64 * short);
        let levels: Vec<LogSnr> = places
            .chain([0.5 * short, 0.0])
            .map(|u| self.log_snr.log_snr(u))
            .collect();
        let plan = Plan {
            guidance: guidance.clone(),
            guidance_input: takes_guidance,
            first_image: u64::from(part.step) * part.batch as u64 + part.images.start as u64,
            // Seeds of pictures begin at 0: none that anyone is likely to draw is among those that the student learns on.
            seed: MAX_SEED - part.seed,
            timestep_levels: Some(levels.clone()),
            ..Plan::new(ids.collect(), levels.len()).with_sampler(Solver::DpmSolver)
        };
        let mut run = Run::new(teacher, plan, self.target, self.log_snr, shape, device);
        let every = jumps.teacher_steps / jumps.map.max_steps;
        let mut states = Vec::with_capacity(jumps.map.max_steps + 1);
        for step in 0..levels.len() {
            if step % every == 0 && step < jumps.teacher_steps {
                states.push(numbers(run.latent()));
            }
            run.advance();
        }
        states.push(numbers(run.denoised()));
        Trajectories {
            classes,
            guidance,
            states,
        }
    }

    fn path_strengths(&self, part: &Part) -> Vec<f64> {
        let Some(range) = self.guidance else {
            return vec![0.0; part.images.len()];
        };
        let mut stream = path_stream(part, stream::PATH_GUIDANCE);
        let mut draw = || {
            let share = stream.uniform();
            range.min + (range.max - range.min) * share * share
        };
        part.images.clone().map(|_| draw()).collect()
    }

    fn path_classes(&self, part: &Part, counts: &[usize]) -> Vec<u32> {
        let all: usize = counts.iter().sum();
        let mut stream = path_stream(part, stream::PATH_CLASSES);
        let mut drop = path_stream(part, stream::PATH_DROP);
        let mut draw = || {
            let mut rest = stream.uniform() * all as f64;
            let class = counts.iter().position(|&count| {
                rest -= count as f64;
                rest < 0.0
            });
            match drop.uniform() < self.p_uncond {
                true => counts.len() as u32,
                false => class.unwrap_or(0) as u32,
            }
        };
        part.images.clone().map(|_| draw()).collect()
    }

    /// The weighted mean squared error of the student on jumps of trajectories, each prediction against that with which a
    /// DDIM step lands where the teacher did; a scalar, `[1]`. `shape`: of the images, `[images, channels, height, width]`.
    pub fn trajectory_loss<D: Denoiser + ?Sized>(
        &self,
        student: &D,
        ways: &Ways,
        shape: [usize; 4],
        device: &Device,
    ) -> Tensor<1> {
        let tensor = |values: &[f32]| {
            Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device)
        };
        let (z, landing) = (tensor(&ways.starts), tensor(&ways.landings));
        let lesson = self.prediction_to(z.clone(), landing, &ways.draw);
        let classes: Vec<i32> = ways.draw.classes.iter().map(|&c| c as i32).collect();
        let classes = Tensor::from_data(TensorData::new(classes, [shape[0]]), device);
        let w = strengths(&ways.draw, &z);
        let levels = self.jump_levels(&ways.draw, &z);
        let prediction = student.predict_jump(z, levels, classes, w);
        self.error(prediction, lesson, &ways.draw)
    }
}

impl Trajectories {
    /// The jumps of a draw for the same images, along their trajectories.
    pub fn ways(&self, draw: &Draw) -> Ways {
        let most = self.states.len() - 1;
        let values = self.states[0].len() / self.classes.len();
        let state = |image: usize, u: f64| {
            let place = libm::round((1.0 - u) * most as f64) as usize;
            self.states[place][image * values..][..values].iter()
        };
        let all = |at: fn(&Jump) -> f64| {
            let jumps = draw.jumps.iter().enumerate();
            jumps
                .flat_map(|(image, jump)| state(image, at(jump)))
                .copied()
                .collect()
        };
        Ways {
            starts: all(|jump| jump.from),
            landings: all(|jump| jump.to),
            draw: Draw {
                classes: self.classes.clone(),
                guidance: self.guidance.clone(),
                ..draw.clone()
            },
        }
    }
}

fn path_stream(part: &Part, id: u64) -> NoiseStream {
    let mut stream = part.stream(id);
    stream.skip(2 * part.images.start as u64);
    stream
}

fn numbers(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests;
