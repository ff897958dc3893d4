//! One sampling, step by step.

mod classifier;
mod counting;
mod evaluation;
mod guide_network;
mod state;

pub use counting::{evaluations, rows};
pub use evaluation::Evaluation;
pub use state::{OtherState, RunState};

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use counting::count_evaluations;
use evaluation::predict;
use guide_network::GuideNetwork;

use super::ancestral::ancestral;
use super::at_rest::AtRest;
use super::ddim::ddim;
use super::dpm_solver::dpm_solver;
use super::heun::heun;
use super::source_image::{Source, noise_again};
use super::step::{Next, Predictor, Step};
use super::symmetry::Symmetric;
use super::tiling::Offset;
use super::{Plan, PreviousStep, SeedInterpolation, Solver};
use crate::denoiser::Denoiser;
use crate::guidance::{ClassGradient, Guide, GuideModel, Guided};
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::kernels::unet::GuidedImages;
use crate::noise::sampling_noise;
use crate::noise_level::{LogSnr, LogSnrRange};
use crate::prediction::Target;

/// The first evaluation of the last step taken, from which [`Run::branches`] reads both estimates.
#[derive(Debug)]
pub(super) struct LastEvaluation {
    pub(super) output: Tensor<4>,
    pub(super) z: Tensor<4>,
    pub(super) level: LogSnr,
}

/// x̃ of the conditional and of the unconditional estimate; `None` where the run did not need it. With
/// a negative class, the second is the estimate of that class.
#[derive(Debug, Clone)]
pub struct BranchEstimates {
    /// x̃(c), `[1, channels, height, width]`.
    pub conditional: Option<Tensor<4>>,
    /// x̃(∅), `[1, channels, height, width]`.
    pub unconditional: Option<Tensor<4>>,
}

/// The noise of a plan at one step, as [`sampling_noise`].
fn noise(plan: &Plan, images: &[u64], step: u32, shape: [usize; 3], device: &Device) -> Tensor<4> {
    let of = |seed| sampling_noise(seed, images, step, shape, device);
    match plan.seed_interpolation {
        None => of(plan.seed),
        Some(SeedInterpolation { seed, t }) => {
            let (sin, cos) = libm::sincos(core::f64::consts::FRAC_PI_2 * t);
            of(plan.seed) * cos + of(seed) * sin
        }
    }
}

fn guide(plan: &Plan, null: u32, model: Option<&GuideModel>) -> Guide {
    if plan.guidance_input {
        return Guide::of_input(&plan.classes, &plan.guidance, null);
    }
    let (policy, interval) = (plan.policy, plan.guidance_interval);
    let (classes, guidance, negative) = (&plan.classes, &plan.guidance, plan.negative);
    match model {
        Some(model) => Guide::of_model(classes, guidance, policy, interval, null, negative, model),
        None => Guide::new(classes, guidance, policy, interval, null, negative),
    }
}

/// The state of one sampling (Ho & Salimans 2022, Algorithm 2): call [`advance`](Self::advance)
/// until it answers `false`, then take [`denoised`](Self::denoised).
///
/// Whoever evaluates the network elsewhere takes [`evaluation`](Self::evaluation) and hands its
/// answer to [`accept`](Self::accept) instead, once or, with Heun's method, twice a step.
#[derive(Debug)]
pub struct Run<D> {
    denoiser: D,
    pub(super) plan: Plan,
    pub(super) guide: Guide,
    /// The other network that answers the second rows, where there is one.
    guide_network: Option<GuideNetwork<D>>,
    classifier: Option<Arc<dyn ClassGradient + Send + Sync>>,
    pub(super) target: Target,
    pub(super) levels: Vec<LogSnr>,
    /// The largest λ of the model.
    clean: LogSnr,
    pub(super) images: Vec<u64>,
    shape: [usize; 3],
    device: Device,
    pub(super) z: Tensor<4>,
    pub(super) x: Tensor<4>,
    pub(super) source: Option<Source>,
    symmetric: Option<Symmetric>,
    pub(super) step: usize,
    /// How often the current step has been taken.
    repetition: usize,
    pub(super) predictor: Option<Predictor>,
    pub(super) last: Option<LastEvaluation>,
    /// Where images are finished once they no longer change.
    pub(super) at_rest: Option<AtRest>,
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) guided: Option<GuidedImages>,
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
        let guide = guide(&plan, denoiser.classes() as u32, None);
        let levels = plan.levels(range);
        let source = plan.source.as_deref();
        let source = source.map(|image| Source::new(image, shape, device));
        let symmetric = plan
            .symmetry
            .map(|symmetry| Symmetric::new(symmetry, shape[2], device));
        let noise = noise(&plan, &images, 0, shape, device);
        let mut z = match (&source, levels.first()) {
            (Some(source), Some(&level)) if plan.steps_taken() < plan.steps => {
                source.latent(noise, level)
            }
            _ => noise,
        };
        if let Some(symmetric) = &symmetric {
            z = symmetric.copied(z);
        }
        let count = images.len();
        let at_rest = plan.tolerance;
        let at_rest = at_rest.map(|tolerance| AtRest::new(tolerance, count, device));
        Self {
            // From here, which costs a GPU no kernel.
            x: Tensor::from_data(TensorData::zeros::<f32, _>(z.dims()), device),
            guide,
            guide_network: None,
            classifier: None,
            levels,
            clean: LogSnr(range.max),
            source,
            symmetric,
            device: device.clone(),
            denoiser,
            plan,
            target,
            images,
            shape,
            z,
            step: 0,
            repetition: 0,
            predictor: None,
            last: None,
            at_rest,
            #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
            guided: None,
        }
    }

    /// One step; `false` where there was none left to take.
    pub fn advance(&mut self) -> bool {
        let step = self.step;
        while self.step == step {
            let Some(output) = self.answer() else {
                return false;
            };
            self.accept(output);
        }
        true
    }

    /// The network's answer to the next evaluation; `None` once the run is done.
    fn answer(&self) -> Option<Tensor<4>> {
        let (level, z) = self.shown()?;
        let rows = self.guide.rows(level);
        let (target, next) = (self.target, self.next_level());
        Some(predict(&self.denoiser, target, rows, &z, level, next))
    }

    /// What the network has to answer next; `None` once the run is done. What a [guide](Self::with_guide) has to answer is
    /// not part of it: [`accept`](Self::accept) asks it.
    pub fn evaluation(&self) -> Option<Evaluation> {
        let (level, z) = self.shown()?;
        let rows = self.guide.rows(level);
        let (target, next) = (self.target, self.next_level());
        Some(Evaluation::new(target, rows, &z, level, next))
    }

    /// λ that the next step leads to, where the network is told it.
    fn next_level(&self) -> Option<LogSnr> {
        // After the last level comes the clean image.
        let next = self.levels.get(self.step + 1).copied();
        self.plan.flow_map.then_some(next.unwrap_or(self.clean))
    }

    /// The level of the evaluation that the run awaits, and the latents that it starts from.
    pub(super) fn awaited(&self) -> Option<(LogSnr, &Tensor<4>)> {
        match &self.predictor {
            Some(predictor) => Some((*self.levels.get(self.step + 1)?, &predictor.z)),
            None => Some((*self.levels.get(self.step)?, &self.z)),
        }
    }

    /// The same, as the network is shown them.
    fn shown(&self) -> Option<(LogSnr, Tensor<4>)> {
        let (level, z) = self.awaited()?;
        let z = z.clone();
        Some((
            level,
            match self.offset() {
                Some(offset) => offset.shift(z),
                None => z,
            },
        ))
    }

    /// By how much the network is shown shifted latents, where images are to be tileable.
    fn offset(&self) -> Option<Offset> {
        let [_, height, width] = self.shape;
        let step = self.noise_step(self.repetition);
        let of_step = || Offset::new(self.plan.seed, step, [height, width]);
        self.plan.tileable.then(of_step)
    }

    /// Continues with the answer to [`evaluation`](Self::evaluation), and says whether that
    /// completed a step. Once the run is done nothing happens.
    pub fn accept(&mut self, output: Tensor<4>) -> bool {
        let completed = self.take_answer(output);
        if completed && let Some(at_rest) = &mut self.at_rest {
            let level = self.levels[self.step - 1];
            self.x = at_rest.follow(self.x.clone(), level);
        }
        completed
    }

    fn take_answer(&mut self, output: Tensor<4>) -> bool {
        let Some((level, z)) = self.awaited() else {
            return false;
        };
        let z = z.clone();
        let mut output = self.guide.rows(level).merged(output);
        if let Some(other) = self.guide_answer() {
            output = Tensor::cat(vec![output, other], 0);
        }
        if let Some(shift) = self.classifier_shift() {
            let rows = self.guide.rows(level);
            // Added to both estimates of an image it is added to what any policy makes of them.
            let of_rows = match rows.guided() {
                0 => shift,
                _ => Tensor::cat(vec![shift.clone(), rows.pick(shift)], 0),
            };
            output = output + of_rows;
        }
        if let Some(offset) = self.offset() {
            output = offset.shift_back(output);
        }
        if let Some(symmetric) = &self.symmetric {
            output = symmetric.averaged(output);
        }
        #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
        if let Some(completed) = self.accept_on_kernels(&output) {
            return completed;
        }
        let (target, clip) = (self.target, self.plan.clipping());
        let mut guided = self.guide.mix(&output, &z, level, target, clip);
        if let Some(source) = &self.source {
            guided = source.keep(guided, &z, level);
        }
        let previous = self.previous();
        if self.predictor.is_none() {
            self.last = Some(LastEvaluation { output, z, level });
            self.x = guided.estimate.x.clone();
        }
        match self.solve(guided, previous) {
            Some(Next::Evaluate(predictor)) => {
                self.predictor = Some(predictor);
                return false;
            }
            Some(Next::Latent(z)) => {
                self.repetition += 1;
                if self.repetition < self.plan.resampling {
                    self.z = self.noise_again(z);
                    return false;
                }
                self.z = z;
            }
            // At the cleanest level x̃ is the result.
            None => {}
        }
        self.step += 1;
        self.repetition = 0;
        true
    }

    /// Noise that this step draws: the first time at the step's own number, then at numbers above those of all steps, which
    /// are at most 10,000.
    pub(super) fn noise(&self, times: usize) -> Tensor<4> {
        let step = self.noise_step(times);
        let noise = noise(&self.plan, &self.images, step, self.shape, &self.device);
        match &self.symmetric {
            Some(symmetric) => symmetric.copied(noise),
            None => noise,
        }
    }

    fn noise_step(&self, times: usize) -> u32 {
        (times as u32) << 20 | (self.step as u32 + 1)
    }

    /// Latents of the next level, brought back to the level of this step.
    fn noise_again(&self, z: Tensor<4>) -> Tensor<4> {
        let (noisy, clean) = (self.levels[self.step], self.levels[self.step + 1]);
        let noise = self.noise(2 * self.repetition - 1);
        noise_again(z, clean, noisy, noise)
    }

    /// The step before this one, where there is one.
    pub(super) fn previous(&self) -> Option<PreviousStep> {
        let level = self.levels[self.step.checked_sub(1)?];
        let x = self.x.clone();
        Some(PreviousStep { x, level })
    }

    /// What the solver makes of the guided estimate; `None` at the cleanest level.
    fn solve(&mut self, guided: Guided, previous: Option<PreviousStep>) -> Option<Next> {
        let step = Step {
            plan: &self.plan,
            index: self.step,
            from: self.levels[self.step],
            to: *self.levels.get(self.step + 1)?,
            is_last: self.step + 2 == self.levels.len(),
        };
        Some(match self.plan.sampler {
            Solver::Ddim => ddim(&step, &guided.estimate),
            Solver::Ancestral => {
                let noise = self.noise(2 * self.repetition);
                ancestral(&step, guided, noise)
            }
            Solver::DpmSolver => dpm_solver(&step, &guided.estimate, previous.as_ref()),
            Solver::Heun => heun(&step, guided.estimate, self.predictor.take()),
        })
    }

    /// The network.
    pub fn denoiser(&self) -> &D {
        &self.denoiser
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

    /// 1 for every image that is finished because it no longer changes, else 0, `[images, 1, 1, 1]`; `None` where the plan has
    /// no tolerance. Whoever reads only ones may [`stop`](Self::stop) the run.
    pub fn at_rest(&self) -> Option<Tensor<4>> {
        self.at_rest
            .as_ref()
            .map(|at_rest| at_rest.images().clone())
    }

    /// Ends the run after the steps that it has taken, at least one: [`denoised`](Self::denoised) is the result.
    pub fn stop(&mut self) {
        self.levels.truncate(self.step.max(1));
    }

    /// Network evaluations (NFE) of the whole run for image `image`: two where an evaluation is
    /// guided, one where guidance has no effect; Heun's method evaluates most steps twice.
    pub fn evaluations(&self, image: usize) -> usize {
        count_evaluations(&self.plan, &self.guide, &self.levels, image)
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

    /// The two estimates behind x̃ of the last step taken, for every image in order; empty before
    /// the first step. Where an estimate was not needed it was not made, and is `None`; a network that takes w as an input
    /// makes neither.
    pub fn branches(&self) -> Vec<BranchEstimates> {
        let Some(last) = &self.last else {
            return Vec::new();
        };
        let rows = self.guide.rows(last.level);
        let row = |row: usize, image: usize| {
            let at = |of: &Tensor<4>, place: usize| of.clone().narrow(0, place, 1);
            let output = at(&last.output, row);
            let z = at(&last.z, image);
            self.target
                .read(output, &z, last.level, self.plan.clipping())
                .x
        };
        if rows.input().is_some() {
            let neither = BranchEstimates {
                conditional: None,
                unconditional: None,
            };
            return vec![neither; self.images.len()];
        }
        (0..self.images.len())
            .map(|image| {
                let own = row(image, image);
                match rows.second_row(image) {
                    Some(second) => BranchEstimates {
                        conditional: Some(own),
                        unconditional: Some(row(second, image)),
                    },
                    None if !rows.is_conditional(image) => BranchEstimates {
                        conditional: None,
                        unconditional: Some(own),
                    },
                    None => BranchEstimates {
                        conditional: Some(own),
                        unconditional: None,
                    },
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{Grid, Spacing};

    #[test]
    fn rows_are_counted_at_the_levels_that_are_visited() {
        // Two timesteps, of which the second is guided. Two levels equally in u, the ends of the range, are not.
        let plan = Plan {
            timestep_levels: Some(vec![LogSnr(-10.0), LogSnr(0.0)]),
            ..Plan::new(vec![Some(0)], 2)
                .with_guidance(1.0)
                .with_grid(Grid::new(Spacing::Trailing))
                .with_guidance_interval(LogSnrRange {
                    min: -1.0,
                    max: 1.0,
                })
        };
        assert_eq!(evaluations(&plan, LogSnrRange::PAPER), [3]);
        assert_eq!(rows(&plan, LogSnrRange::PAPER), 2);
    }
}
