//! What one asks of a model: classes, strength, steps, solver, seed.

mod class_name;
mod conditional;
mod error;
mod request;

pub use class_name::{ClassName, resolve_class};
pub use error::RequestError;
pub use request::{Guidance, Request, Toward};

use serde::{Deserialize, Serialize};

use crate::denoiser::Class;
use crate::guidance::Policy;
use crate::noise_level::{LogSnr, LogSnrRange};
use crate::sampler::{Grid, Solver};
use crate::timesteps::Timesteps;

/// The most steps that a run may take.
pub const MAX_STEPS: usize = 10_000;
/// The most images that a run may draw at once.
pub const MAX_IMAGES: usize = 4_096;
/// The largest |w| that is taken. The paper goes to 4.
pub const MAX_GUIDANCE: f64 = 1_000.0;

/// How a model is sampled unless one asks otherwise; the `sampling` of a bundle's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingDefaults {
    /// The solver.
    #[serde(default)]
    pub sampler: Solver,
    /// T, the number of steps.
    #[serde(default = "default_steps")]
    pub steps: usize,
    /// w: 0 is the plain conditional model.
    #[serde(default = "default_guidance")]
    pub guidance: f64,
    /// Whether x̃ is clipped to [−1, 1] in every step.
    #[serde(default = "default_clip")]
    pub clip: bool,
    /// ν, the exponent between the two variances of the ancestral sampler: 0.3 at 64×64 in the
    /// paper, 0.2 at 128×128.
    #[serde(default = "default_variance_interpolation")]
    pub variance_interpolation: f64,
    /// The levels of this model's own solver; [`Solver::grid`] unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// What is made of the two estimates.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub guidance_policy: Policy,
    /// The λ, in nats, that are guided; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance_interval: Option<LogSnrRange>,
}

fn default_steps() -> usize {
    32
}
fn default_guidance() -> f64 {
    2.0
}
fn default_clip() -> bool {
    true
}
fn default_variance_interpolation() -> f64 {
    0.3
}

impl Default for SamplingDefaults {
    fn default() -> Self {
        Self {
            sampler: Solver::default(),
            steps: default_steps(),
            guidance: default_guidance(),
            clip: default_clip(),
            variance_interpolation: default_variance_interpolation(),
            grid: None,
            guidance_policy: Policy::default(),
            guidance_interval: None,
        }
    }
}

/// A request that has been checked against a model: everything that a run needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The class of each image.
    pub classes: Vec<Class>,
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
    /// The seed.
    pub seed: u64,
    /// Another seed, part of the way to which the noise is taken.
    pub toward: Option<Toward>,
    /// Index of the first image.
    pub first_image: u64,
    /// Whether x̃ is clipped.
    pub clip: bool,
    /// ν.
    pub variance_interpolation: f64,
}

impl Plan {
    /// A plan for images of these classes in `steps` steps, the rest by default (w = 0, seed 0).
    pub fn new(classes: Vec<Class>, steps: usize) -> Self {
        let defaults = SamplingDefaults::default();
        Self {
            guidance: vec![0.0; classes.len()],
            classes,
            steps,
            sampler: defaults.sampler,
            grid: defaults.sampler.grid(),
            timestep_levels: None,
            policy: defaults.guidance_policy,
            guidance_interval: defaults.guidance_interval,
            seed: 0,
            toward: None,
            first_image: 0,
            clip: defaults.clip,
            variance_interpolation: defaults.variance_interpolation,
        }
    }

    /// Whether step `step`, from 0, is evaluated twice, as Heun's method does with all but the last
    /// and, where the grid says so, the one before.
    pub(crate) fn is_corrected(&self, step: usize) -> bool {
        let plain = 1 + usize::from(self.grid.lower_order_last);
        self.sampler == Solver::Heun && step + plain < self.steps
    }

    /// The levels of a run, from noise to clean, of a model that was trained on the levels
    /// `trained`.
    pub fn levels(&self, trained: LogSnrRange) -> Vec<LogSnr> {
        match &self.timestep_levels {
            Some(levels) => levels.clone(),
            None => self.grid.levels(trained, self.steps),
        }
    }

    /// The plan for a model that was trained on these timesteps, or on continuous time.
    ///
    /// # Errors
    ///
    /// [`RequestError`] where the grid is one of timesteps and the model has none, or not so many.
    pub fn on_timesteps(mut self, timesteps: Option<&Timesteps>) -> Result<Self, RequestError> {
        let spacing = self.grid.spacing;
        if !spacing.is_of_timesteps() {
            return Ok(self);
        }
        let Some(timesteps) = timesteps else {
            return Err(RequestError::Incompatible {
                one: format!("grid {}", spacing.name()),
                other: "this model".to_owned(),
                why: "it was trained on continuous time and has no timesteps; take another grid",
            });
        };
        if self.steps > timesteps.count {
            return Err(RequestError::OutOfRange {
                field: "steps",
                value: self.steps.to_string(),
                expected: format!(
                    "from 1 to the model's {} timesteps with the grid {}",
                    timesteps.count,
                    spacing.name()
                ),
            });
        }
        let levels = timesteps.levels();
        let visited = spacing.timesteps(timesteps.count, self.steps);
        let at = |visited: Vec<usize>| visited.into_iter().filter_map(|t| levels.get(t).copied());
        self.timestep_levels = visited.map(|visited| at(visited).collect());
        Ok(self)
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
