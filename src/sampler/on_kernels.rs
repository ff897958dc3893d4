//! A run's step on a GPU: one kernel mixes the estimates and takes the solver's step, after those of the network. What has
//! no kernel is made of burn's operations: guidance and thresholds that measure whole images, other targets than ε and v, and runs that
//! start from a picture.

use burn::tensor::Tensor;

use super::run::{LastEvaluation, Run};
use super::step::Predictor;
use super::{Solver, ancestral, ddim, dpm_solver, heun};
use crate::denoiser::Denoiser;
use crate::guidance::{GuidedRows, Policy};
use crate::kernels::unet::{Factors, GuidedImages, GuidedStep};
use crate::noise_level::LogSnr;
use crate::prediction::{Estimate, Target};

impl<D: Denoiser> Run<D> {
    /// [`accept`](Self::accept) by a kernel; `None` where there is none for this run, or it is not on a GPU.
    pub(super) fn accept_on_kernels(&mut self, output: &Tensor<4>) -> Option<bool> {
        let dynamic = self.plan.dynamic_threshold.is_some();
        if self.source.is_some() || self.plan.resampling > 1 || dynamic {
            return None;
        }
        // The kernel reads these two.
        if !matches!(self.target, Target::Epsilon | Target::V) {
            return None;
        }
        let (level, z) = self.awaited()?;
        let z = z.clone();
        let rows = self.guide.rows(level);
        let unconditional_noise = match self.plan.policy {
            _ if rows.guided() == 0 => false,
            Policy::Cfg { rescale: 0.0 } => false,
            Policy::CfgPlusPlus => true,
            Policy::Cfg { .. } | Policy::Apg(_) => return None,
        };
        let images = guided_images(rows, self.images.len());
        let (mut factors, other) = self.step_factors(level);
        if unconditional_noise && self.predictor.is_none() {
            // The estimates do not belong to the z that the network saw, but to this one.
            factors.x += factors.z * level.alpha();
            factors.epsilon += factors.z * level.sigma();
            factors.z = 0.0;
        }
        if self
            .guided
            .as_ref()
            .is_none_or(|guided| guided.images != images)
        {
            self.guided = Some(GuidedImages::new(&z, images)?);
        }
        let step = GuidedStep {
            output,
            z: &z,
            other: other.as_ref(),
            guided: self.guided.as_ref()?,
            level,
            target: self.target,
            clip: self.plan.clip,
            unconditional_noise,
            factors,
        };
        let (estimate, next) = step.run()?;
        if self.predictor.take().is_some() {
            self.z = next;
            self.step += 1;
            return Some(true);
        }
        self.last = Some(LastEvaluation {
            output: output.clone(),
            z,
            level,
        });
        self.x = estimate.x.clone();
        if self.step + 1 < self.levels.len() {
            if self.plan.is_corrected(self.step) {
                self.predictor = Some(Predictor {
                    first: estimate,
                    z: next,
                });
                return Some(false);
            }
            self.z = next;
        }
        self.step += 1;
        Some(true)
    }

    /// What the next latents are the sum of, for the evaluation at this level, and the other tensor among it.
    fn step_factors(&self, level: LogSnr) -> (Factors, Option<Tensor<4>>) {
        if let Some(predictor) = &self.predictor {
            let factors = heun::correction_factors(self.levels[self.step], level);
            return (factors, Some(predictor.first.epsilon.clone()));
        }
        let Some(&to) = self.levels.get(self.step + 1) else {
            return Default::default();
        };
        match self.plan.sampler {
            Solver::Ddim | Solver::Heun => (ddim::factors(to), None),
            Solver::DpmSolver => {
                let is_last = self.step + 2 == self.levels.len();
                let first_order = self.plan.grid.lower_order_last && is_last;
                match self.previous().filter(|_| !first_order) {
                    Some(previous) => {
                        let factors = dpm_solver::factors(previous.level, level, to);
                        (factors, Some(previous.x))
                    }
                    None => (ddim::factors(to), None),
                }
            }
            Solver::Ancestral => {
                let nu = self.plan.variance_interpolation;
                (ancestral::factors(level, to, nu), Some(self.noise(0)))
            }
        }
    }
}

/// The estimates of guided rows without clipping, by a kernel; `None` where they are not on a GPU.
pub(crate) fn estimate_on_kernels(
    output: &Tensor<4>,
    z: &Tensor<4>,
    rows: &GuidedRows,
    level: LogSnr,
    target: Target,
) -> Option<Estimate> {
    let [images, ..] = z.dims();
    let step = GuidedStep {
        output,
        z,
        other: None,
        guided: &GuidedImages::new(z, guided_images(rows, images))?,
        level,
        target,
        clip: false,
        unconditional_noise: false,
        factors: Factors::default(),
    };
    Some(step.run()?.0)
}

/// Of each image w and its unconditional row, where it is guided.
fn guided_images(rows: &GuidedRows, images: usize) -> Vec<Option<(f64, usize)>> {
    let mut guided = vec![None; images];
    for (w, image) in rows.strength().each().iter().zip(rows.guided_images()) {
        guided[*image] = rows.second_row(*image).map(|row| (*w, row));
    }
    guided
}

#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests;
