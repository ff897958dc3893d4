//! One sampling, step by step.

use burn::tensor::{Device, Tensor};

use super::{Solver, ancestral_step, ddim_step};
use crate::denoiser::Denoiser;
use crate::guidance::GuidedRows;
use crate::noise::sampling_noise;
use crate::noise_level::{LogSnr, LogSnrRange};
use crate::prediction::{Estimate, Target};
use crate::settings::Plan;

/// The state of one sampling (Ho & Salimans 2022, Algorithm 2): call [`advance`](Self::advance)
/// until it answers `false`, then take [`denoised`](Self::denoised).
#[derive(Debug)]
pub struct Run<D> {
    denoiser: D,
    plan: Plan,
    rows: GuidedRows,
    target: Target,
    levels: Vec<LogSnr>,
    images: Vec<u64>,
    shape: [usize; 3],
    device: Device,
    z: Tensor<4>,
    x: Tensor<4>,
    step: usize,
}

impl<D: Denoiser> Run<D> {
    /// Draws z_1 ~ N(0, I) and is ready for the first step.
    ///
    /// `shape`: `[channels, height, width]` of an image; `range`: of the λ that the model was
    /// trained on.
    pub fn new(
        denoiser: D,
        plan: Plan,
        target: Target,
        range: LogSnrRange,
        shape: [usize; 3],
        device: &Device,
    ) -> Self {
        let images: Vec<u64> = (0..plan.classes.len() as u64)
            .map(|k| plan.first_image + k)
            .collect();
        let rows = GuidedRows::new(&plan.classes, &plan.guidance, denoiser.classes() as u32);
        let z = sampling_noise(plan.seed, &images, 0, shape, device);
        Self {
            x: z.zeros_like(),
            rows,
            levels: range.levels(plan.steps),
            device: device.clone(),
            denoiser,
            plan,
            target,
            images,
            shape,
            z,
            step: 0,
        }
    }

    /// One step; `false` where there was none left to take.
    pub fn advance(&mut self) -> bool {
        let Some(&level) = self.levels.get(self.step) else {
            return false;
        };
        let output = self.rows.predict(&self.denoiser, &self.z, level.0);
        let estimate = self.target.read(output, &self.z, level, self.plan.clip);
        if let Some(&next) = self.levels.get(self.step + 1) {
            self.z = self.solve(&estimate, level, next);
        }
        self.x = estimate.x;
        self.step += 1;
        true
    }

    fn solve(&self, estimate: &Estimate, from: LogSnr, to: LogSnr) -> Tensor<4> {
        match self.plan.sampler {
            Solver::Ddim => ddim_step(estimate, to),
            Solver::Ancestral => {
                let step = self.step as u32 + 1;
                let noise =
                    sampling_noise(self.plan.seed, &self.images, step, self.shape, &self.device);
                let nu = self.plan.variance_interpolation;
                ancestral_step(self.z.clone(), estimate, from, to, nu, noise)
            }
        }
    }

    /// Steps taken so far.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Steps in all, T.
    pub fn steps(&self) -> usize {
        self.levels.len()
    }

    /// Whether the last step has been taken.
    pub fn is_done(&self) -> bool {
        self.step >= self.levels.len()
    }

    /// Network evaluations (NFE) of the whole run for image `image`: two a guided step, one where
    /// guidance has no effect.
    pub fn evaluations(&self, image: usize) -> usize {
        self.steps() * self.rows.evaluations(image)
    }

    /// x̃ of the last step taken, `[images, channels, height, width]`, in [−1, 1] when clipped;
    /// zeros before the first step. After the last step it is the result.
    pub fn denoised(&self) -> Tensor<4> {
        self.x.clone()
    }

    /// z, the noisy latent that the next step starts from, as [`denoised`](Self::denoised).
    pub fn latent(&self) -> Tensor<4> {
        self.z.clone()
    }
}
