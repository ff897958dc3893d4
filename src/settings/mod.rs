//! What one asks of a model: classes, strength, steps, solver, seed.

mod checks;
mod class_name;
mod conditional;
mod conditions;
pub mod description;
mod error;
mod flow_map;
mod guidance_input;
mod guide_model;
mod image_settings;
mod request;
#[cfg(test)]
mod round_trip;
mod source;
mod timesteps;
#[cfg(test)]
mod typescript;

pub use crate::sampler::{Plan, SeedInterpolation};
pub use class_name::{
    ClassMix, ClassName, Label, MAX_ATTRIBUTES, MAX_MIX, resolve_class, resolve_condition,
};
pub use error::RequestError;
pub use image_settings::{ClassifierSettings, ImageSettings};
pub use request::{PerImage, Request};
pub use source::{MAX_RESAMPLING, SourcePixels};

use serde::{Deserialize, Serialize};

use crate::guidance::Policy;
use crate::noise_level::LogSnrRange;
use crate::sampler::{Grid, Solver, VARIANCE_INTERPOLATION};

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
    VARIANCE_INTERPOLATION
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
