//! What a run does: the images that it draws, and how.

use std::sync::Arc;

use super::{Grid, SeedInterpolation, Solver, SourceImage, Symmetry, VARIANCE_INTERPOLATION};
use crate::clip::Clip;
use crate::condition::Condition;
use crate::denoiser::Class;
use crate::guidance::{ClassifierGuidance, GuideModel, Policy};
use crate::noise_level::{LogSnr, LogSnrRange};

/// Everything that a run needs to know beside the model: a request that has been checked against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What each image is drawn of.
    pub classes: Vec<Condition>,
    /// The class that guidance leads away from, of all images; ∅ where there is none.
    pub negative: Class,
    /// Another model, whose estimate takes the place of the unconditional one.
    pub guide: Option<GuideModel>,
    /// A classifier of noisy images, whose gradient guides as well.
    pub classifier: Option<ClassifierGuidance>,
    /// w of each image.
    pub guidance: Vec<f64>,
    /// T.
    pub steps: usize,
    /// The solver.
    pub sampler: Solver,
    /// The levels that it visits.
    pub grid: Grid,
    /// These levels themselves, where they are those of timesteps.
    pub timestep_levels: Option<Vec<LogSnr>>,
    /// What is made of the two estimates.
    pub policy: Policy,
    /// The λ, in nats, that are guided; all where there is none.
    pub guidance_interval: Option<LogSnrRange>,
    /// Whether the network takes w as an input, and answers one row an image.
    pub guidance_input: bool,
    /// Whether the network is told the level that a step leads to.
    pub flow_map: bool,
    /// The seed.
    pub seed: u64,
    /// A second seed, between which and `seed` the noise is interpolated.
    pub seed_interpolation: Option<SeedInterpolation>,
    /// Index of the first image.
    pub first_image: u64,
    /// Whether x̃ is clipped.
    pub clip: bool,
    /// The quantile of dynamic thresholding, which takes the place of clipping where it is given.
    pub dynamic_threshold: Option<f64>,
    /// ν.
    pub variance_interpolation: f64,
    /// A picture to start from, of all images.
    pub source: Option<Arc<SourceImage>>,
    /// The share of the T steps that a run from a picture takes, the last ones; all of them, from noise alone, if `None`.
    pub strength: Option<f64>,
    /// An image is finished once it changes by no more than this, in 1/255 of the range of its values, while λ rises by 1.
    pub tolerance: Option<f64>,
    /// Whether images fit to themselves at opposite edges.
    pub tileable: bool,
    /// The symmetry of all images, where they are to have one.
    pub symmetry: Option<Symmetry>,
    /// How often every step is taken, with noise added again in between (RePaint's resampling). 1 takes each once.
    pub resampling: usize,
}

impl Plan {
    /// A plan for images of these classes in `steps` steps, the rest by default (w = 0, seed 0).
    pub fn new(classes: Vec<Class>, steps: usize) -> Self {
        let sampler = Solver::default();
        Self {
            guidance: vec![0.0; classes.len()],
            classes: classes.into_iter().map(Condition::Class).collect(),
            negative: None,
            guide: None,
            classifier: None,
            steps,
            sampler,
            grid: sampler.grid(),
            timestep_levels: None,
            policy: Policy::default(),
            guidance_interval: None,
            guidance_input: false,
            flow_map: false,
            seed: 0,
            seed_interpolation: None,
            first_image: 0,
            clip: true,
            dynamic_threshold: None,
            variance_interpolation: VARIANCE_INTERPOLATION,
            source: None,
            strength: None,
            tolerance: None,
            tileable: false,
            symmetry: None,
            resampling: 1,
        }
    }

    /// Steps that a run takes: T, or the share of them that the strength leaves, at least one.
    pub fn steps_taken(&self) -> usize {
        let share = libm::round(self.strength.unwrap_or(1.0) * self.steps as f64) as usize;
        share.clamp(1, self.steps.max(1))
    }

    /// Whether step `step`, from 0, is evaluated twice, as Heun's method does with all but the last
    /// and, where the grid says so, the one before.
    pub(crate) fn is_corrected(&self, step: usize) -> bool {
        let plain = 1 + usize::from(self.grid.lower_order_last);
        self.sampler == Solver::Heun && step + plain < self.steps_taken()
    }

    /// The levels of a run, from noise to clean, of a model that was trained on the levels
    /// `trained`.
    pub fn levels(&self, trained: LogSnrRange) -> Vec<LogSnr> {
        let all = match &self.timestep_levels {
            Some(levels) => levels.clone(),
            None => self.grid.levels(trained, self.steps),
        };
        let skipped = all.len() - self.steps_taken().min(all.len());
        all[skipped..].to_vec()
    }

    /// How x̃ is brought into [−1, 1].
    pub fn clipping(&self) -> Clip {
        match self.dynamic_threshold {
            Some(quantile) => Clip::Dynamic { quantile },
            None => self.clip.into(),
        }
    }

    /// The same strength w for every image.
    pub fn with_guidance(mut self, w: f64) -> Self {
        self.guidance = vec![w; self.classes.len()];
        self
    }

    /// The seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The solver, with its own grid.
    pub fn with_sampler(mut self, sampler: Solver) -> Self {
        self.sampler = sampler;
        self.grid = sampler.grid();
        self
    }

    /// The levels.
    pub fn with_grid(mut self, grid: Grid) -> Self {
        self.grid = grid;
        self
    }

    /// What is made of the two estimates.
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The λ, in nats, that are guided.
    pub fn with_guidance_interval(mut self, interval: LogSnrRange) -> Self {
        self.guidance_interval = Some(interval);
        self
    }

    /// Whether x̃ is clipped.
    pub fn with_clip(mut self, clip: bool) -> Self {
        self.clip = clip;
        self
    }
}
