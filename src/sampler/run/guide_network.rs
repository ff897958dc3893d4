//! A run that another model guides.

use burn::tensor::{Tensor, TensorData};

use super::{Run, guide, predict};
use crate::clip::Clip;
use crate::denoiser::Denoiser;
use crate::noise_level::LogSnr;
use crate::prediction::Target;

/// The network of the model that guides, and what it predicts.
#[derive(Debug)]
pub(super) struct GuideNetwork<D> {
    denoiser: D,
    target: Target,
}

impl<D: Denoiser> Run<D> {
    /// The run with the other network of its plan's [`guide`](crate::sampler::Plan::guide), which predicts `target`. Without
    /// this, guidance leads away from the run's own unconditional estimate.
    pub fn with_guide(mut self, denoiser: D, target: Target) -> Self {
        let null = self.denoiser.classes() as u32;
        self.guide = guide(&self.plan, null, self.plan.guide.as_ref());
        self.guide_network = Some(GuideNetwork { denoiser, target });
        self
    }

    /// The network of the model that guides, where there is one.
    pub fn guide_denoiser(&self) -> Option<&D> {
        self.guide_network.as_ref().map(|guide| &guide.denoiser)
    }

    /// What the other network answers for the guided images of the evaluation that the run awaits, as a prediction of this
    /// model's target; `None` where nothing is asked of another network.
    pub(super) fn guide_answer(&self) -> Option<Tensor<4>> {
        let network = self.guide_network.as_ref()?;
        let (level, z) = self.shown()?;
        let rows = self.guide.rows(level);
        let asked = rows.of_guide()?;
        let z = rows.pick(z);
        let output = predict(&network.denoiser, network.target, asked, &z, level, None);
        let output = asked.merged(output);
        Some(self.as_own_target(output, &z, level, network.target))
    }

    /// A prediction of `target` as one of this model's target, at the same z.
    ///
    /// x̃ of a noise prediction is divided by α, which is e⁻¹⁰ at the first step. It is clipped as the run's own estimates
    /// are, because other targets have no such division.
    fn as_own_target(
        &self,
        output: Tensor<4>,
        z: &Tensor<4>,
        level: LogSnr,
        target: Target,
    ) -> Tensor<4> {
        if target == self.target {
            return output;
        }
        let clip = match target {
            Target::Epsilon => self.plan.clipping(),
            _ => Clip::Off,
        };
        let read = target.read(output, z, level, clip);
        let scalar = |value: f64| {
            Tensor::<4>::from_data(
                TensorData::new(vec![value as f32], [1, 1, 1, 1]),
                &self.device,
            )
        };
        let (alpha, sigma) = (scalar(level.alpha()), scalar(level.sigma()));
        self.target.of(read.x, read.epsilon, alpha, sigma)
    }
}
