//! A model that can be sampled.

use burn::tensor::Device;

use super::Config;
use super::guide::{Classifying, Guiding};
use crate::denoiser::Denoiser;
use crate::guidance::ClassifierGuidance;
use crate::low_resolution::Enlarging;
use crate::network::UNet;
use crate::noise_level::LogSnr;
use crate::sampler::{Run, evaluations, rows};
use crate::settings::{ClassName, Plan, Request, RequestError};

/// A model that has been loaded: checked from its configuration to its last weight.
#[derive(Debug, Clone)]
pub struct Model<N = UNet> {
    pub(super) config: Config,
    pub(super) network: N,
    pub(super) device: Device,
    pub(super) half: bool,
    pub(super) guide: Option<Box<Guiding<N>>>,
    pub(super) classifier: Option<Classifying>,
}

impl<N: Denoiser + Clone> Model<N> {
    /// A model of a network in hand, for instance one that is being trained.
    pub fn new(config: Config, network: N, device: Device) -> Self {
        Self {
            config,
            network,
            device,
            half: false,
            guide: None,
            classifier: None,
        }
    }

    /// The classifier that guides this model, where there is one.
    pub fn classifier(&self) -> Option<&ClassifierGuidance> {
        self.classifier.as_ref().map(|of| &of.guidance)
    }

    /// The configuration of the model that guides this one, where there is one.
    pub fn guide(&self) -> Option<&Config> {
        self.guide.as_ref().map(|guide| &guide.config)
    }

    /// The bundle's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// Whether the network computes in f16, see [`NetworkLoader::keep_half`](super::NetworkLoader::keep_half).
    pub fn computes_in_half(&self) -> bool {
        self.half
    }

    /// Checks a request against this model.
    ///
    /// # Errors
    ///
    /// [`RequestError`], naming what is wrong.
    pub fn plan(&self, request: &Request) -> Result<Plan, RequestError> {
        if let Some((side, _)) = self.config.low_resolution()
            && self.network.takes().low_resolution
        {
            return Err(RequestError::NeedsPicture { side });
        }
        let guide = self.guide.as_ref().map(|guide| &guide.model);
        let plan = self.config.plan_with(request, guide)?;
        Ok(Plan {
            classifier: self.classifier().cloned(),
            ..plan
        })
    }

    /// Network evaluations (NFE) that a plan costs for the image that needs most.
    pub fn evaluations(&self, plan: &Plan) -> usize {
        let each = evaluations(plan, self.config.diffusion.log_snr);
        each.into_iter().max().unwrap_or(0)
    }

    /// The most rows that one evaluation of a plan has, which decide how much memory it takes (see
    /// [`MemoryEstimate::run`](super::MemoryEstimate::run)).
    pub fn rows(&self, plan: &Plan) -> usize {
        rows(plan, self.config.diffusion.log_snr)
    }

    /// The model, without guides, with what `make` makes of its network; `None` where that is nothing.
    pub fn with_network<M>(self, make: impl FnOnce(N, &Config) -> Option<M>) -> Option<Model<M>> {
        Some(Model {
            network: make(self.network, &self.config)?,
            config: self.config,
            device: self.device,
            half: self.half,
            guide: None,
            classifier: None,
        })
    }

    /// The model that enlarges one small picture: `small`, `[channels, side, side]` in [−1, 1], with conditioning augmentation of
    /// this level and seed.
    ///
    /// # Errors
    ///
    /// [`RequestError`], where the model draws alone, the picture has another size, or the model was not trained with the level.
    pub fn enlarging(
        self,
        small: &[f32],
        (seed, level): (u64, f64),
    ) -> Result<Model<Enlarging<N>>, RequestError> {
        let Some((side, highest)) = self.config.low_resolution() else {
            return Err(RequestError::DrawsAlone);
        };
        let shape = self.config.image.dims();
        if small.len() != shape[0] * side * side {
            return Err(RequestError::OutOfRange {
                field: "the small picture",
                value: format!("{} values", small.len()),
                expected: format!("{side}×{side} pixels of {} channels", shape[0]),
            });
        }
        if !(0.0..=highest).contains(&level) {
            return Err(RequestError::OutOfRange {
                field: "augmentation",
                value: level.to_string(),
                expected: format!(
                    "from 0 to {highest}, the levels that the model was trained with"
                ),
            });
        }
        let device = self.device;
        Ok(Model {
            network: Enlarging::new(self.network, (small, side), shape, (seed, level), &device),
            config: self.config,
            device,
            half: self.half,
            guide: None,
            classifier: None,
        })
    }

    /// A run from λ = −1 to λ = 1 of one image by the model's own settings. After its first step, two devices that compute
    /// this model rightly agree about z: in the middle of the levels, no estimate is divided by a small number.
    ///
    /// # Errors
    ///
    /// [`RequestError`], where the model's own settings are wrong.
    pub fn probe(&self) -> Result<Run<N>, RequestError> {
        let class = match self.config.classes.is_empty() {
            true => ClassName::Unconditional,
            false => ClassName::Id(0),
        };
        let plan = self.plan(&Request::new(vec![class]))?;
        Ok(self.run(Plan {
            steps: 2,
            timestep_levels: Some(vec![LogSnr(-1.0), LogSnr(1.0)]),
            ..plan
        }))
    }

    /// A sampling that is ready for its first step.
    pub fn run(&self, plan: Plan) -> Run<N> {
        // Cloning a network shares its weights.
        let run = Run::new(
            self.network.clone(),
            plan,
            self.config.diffusion.target,
            self.config.diffusion.log_snr,
            self.config.image.dims(),
            &self.device,
        );
        let run = match &self.guide {
            Some(guide) => run.with_guide(guide.network.clone(), guide.config.diffusion.target),
            None => run,
        };
        match &self.classifier {
            Some(of) => run.with_classifier(of.classifier.clone()),
            None => run,
        }
    }
}
