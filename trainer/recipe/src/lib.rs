//! Recipes: all settings of a training in one TOML file.
//!
//! ```
//! use std::path::Path;
//! use freeguide_recipe::Recipe;
//!
//! let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/recipes/emoji16.toml");
//! let recipe = Recipe::load(&path, &["train.batch=64".to_owned()])?;
//! assert_eq!(recipe.train.batch, 64);
//! # Ok::<(), anyhow::Error>(())
//! ```

mod decays;
mod precision;
mod student;
mod toml_text;
mod validation;

use std::path::Path;

use anyhow::{Context, Result};
use freeguide::network::UNetConfig;
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::settings::SamplingDefaults;
use freeguide::training::{Jumps, Levels, LogNormal, Method, Objective, Weighting};
use serde::{Deserialize, Serialize};

use freeguide_data::DataRecipe;
use freeguide_native::usage::Usage;
use toml_text::{assign, explain};

pub use decays::Decays;
pub use precision::Precision;

/// A recipe. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// A short name. It becomes the name of the bundle unless another is given.
    pub name: String,
    /// The images, and how they are prepared for the network.
    pub data: DataRecipe,
    /// The U-Net.
    pub network: UNetConfig,
    /// The prediction target and the noise levels.
    pub diffusion: DiffusionRecipe,
    /// The optimiser and the length of the training.
    pub train: TrainRecipe,
    /// How a student learns to draw in few steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<DistillRecipe>,
    /// The default settings of sampling, also used for the sample grids of the training.
    #[serde(default)]
    pub sampling: SamplingDefaults,
    /// What the bundle states about the data.
    #[serde(default)]
    pub provenance: ProvenanceRecipe,
}

/// `[diffusion]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffusionRecipe {
    /// `"v"`, `"epsilon"` (the paper's), `"velocity"` (flow matching) or `"edm"` (Karras et al. 2022).
    #[serde(default)]
    pub target: Target,
    /// The range of λ = log α²/σ², in nats: `{ min = -20, max = 20 }` in the paper.
    #[serde(default)]
    pub log_snr: LogSnrRange,
    /// The probability of replacing the class by ∅ in training: 0.1, 0.2 or 0.5 in the paper.
    pub p_uncond: f64,
    /// For networks with attributes or a number: the probability of leaving out each of them on its own. Left out, it is drawn
    /// anew for every image, from 0 to 1, so that subsets of every size are equally frequent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_drop: Option<f64>,
    /// `"stratified"` (Kingma et al. 2021), `"uniform"` (the paper's) or `"log-normal"` (Karras et
    /// al. 2022).
    #[serde(default)]
    pub levels: Levels,
    /// For `levels = "log-normal"`: the distribution of ln σ, `{ mean = -1.2, std = 1.2 }` in EDM's
    /// paper.
    #[serde(default)]
    pub log_normal: LogNormal,
    /// `"uniform"` (the paper's) or `"min-snr"` (Hang et al. 2023).
    #[serde(default)]
    pub weighting: Weighting,
}

/// `[train]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainRecipe {
    /// The number of optimiser steps.
    pub steps: u64,
    /// The number of images per step.
    pub batch: usize,
    /// Gradient accumulation: the number of parts into which a batch is split. They are computed one after
    /// the other and their gradients are added, which needs only the memory of one part.
    #[serde(default = "default_accumulate")]
    pub accumulate: usize,
    /// The precision of the network's activations and gradients: `"f32"`, `"bf16"` or `"f16"`. The
    /// weights, their averages and the optimiser stay in f32 (Micikevicius et al. 2018).
    #[serde(default)]
    pub precision: Precision,
    /// Recompute cheap activations in the backward pass instead of keeping them (Chen et al. 2016): less
    /// memory, more time.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// The highest learning rate of AdamW.
    pub learning_rate: f64,
    /// The number of steps over which the learning rate rises from 0.
    #[serde(default)]
    pub warmup: u64,
    /// The learning rate of the last step as a fraction of the highest. The rate follows a cosine; 1 keeps
    /// it constant.
    #[serde(default = "default_final_rate")]
    pub final_rate: f64,
    /// AdamW's decoupled weight decay.
    #[serde(default)]
    pub weight_decay: f64,
    /// AdamW's β₁ and β₂.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// The global norm to which gradients are clipped.
    #[serde(default = "default_clip_norm")]
    pub clip_norm: f64,
    /// The decay of the exponential moving average of the weights, which is sampled and exported. Several
    /// decays, `[0.999, 0.9999]`, keep several averages: the first is the default, and `export --ema`
    /// selects another.
    pub ema_decay: Decays,
    /// The number of steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps whose checkpoints are saved and kept beside the last two, for `export --step`: an early model is what
    /// autoguidance leads away from (Karras et al. 2024).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_steps: Vec<u64>,
    /// The number of steps between sample grids and loss curves.
    pub sample_every: u64,
    /// The seed of all random numbers.
    #[serde(default)]
    pub seed: u64,
}

fn default_accumulate() -> usize {
    1
}
fn default_final_rate() -> f64 {
    1.0
}
fn default_betas() -> [f64; 2] {
    [0.9, 0.999]
}
fn default_clip_norm() -> f64 {
    1.0
}

/// `[distill]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillRecipe {
    /// Where the landings of a flow map's jumps come from: `"trajectories"`, `"rollout"`,
    /// `"bootstrap"` or `"consistency"`.
    #[serde(default)]
    pub method: Method,
    /// The teacher's steps from noise to clean: a power of two, at least twice `network.flow_map.max_steps`.
    #[serde(default = "default_teacher_steps")]
    pub teacher_steps: usize,
    /// For `method = "trajectories"`: how many pictures the teacher draws, at least one batch of them.
    #[serde(default = "default_trajectories")]
    pub trajectories: usize,
}

impl Default for DistillRecipe {
    fn default() -> Self {
        Self {
            method: Method::default(),
            teacher_steps: default_teacher_steps(),
            trajectories: default_trajectories(),
        }
    }
}

fn default_teacher_steps() -> usize {
    16
}

fn default_trajectories() -> usize {
    2048
}

/// `[provenance]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenanceRecipe {
    /// The name and the source of the data set.
    #[serde(default)]
    pub dataset: String,
    /// The licence of the model, or the terms of the data.
    #[serde(default)]
    pub license: String,
    /// The people or organisations to credit.
    #[serde(default)]
    pub attribution: String,
}

impl Recipe {
    /// Reads a recipe and applies `--set section.key=value` to it.
    pub fn load(path: &Path, set: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the recipe {}", path.display()))?;
        Self::parse(&text, set).map_err(|error| match error.is::<Usage>() {
            true => error,
            false => error.context(format!("the recipe {}", path.display())),
        })
    }

    /// Like [`load`](Self::load), from the text of a recipe.
    ///
    /// # Errors
    ///
    /// [`Usage`], if the recipe is valid and what was set is not.
    pub fn parse(text: &str, set: &[String]) -> Result<Self> {
        if set.is_empty() {
            return Self::read(text);
        }
        let mut table: toml::Table = text.parse().map_err(|e| explain(&e, text))?;
        for assignment in set {
            assign(&mut table, assignment)?;
        }
        Self::read(&table.to_string()).map_err(|error| match Self::read(text) {
            // Line numbers of the changed text mean nothing to the user, so name what was set.
            Ok(_) => Usage(format!(
                "--set {}: {}",
                set.join(" --set "),
                error.root_cause()
            ))
            .into(),
            Err(error) => error,
        })
    }

    /// The recipe of `processes` that train together, of which each computes a batch of this recipe's: the batch is that
    /// of all of them, so that one process can continue the run.
    ///
    /// # Errors
    ///
    /// [`Usage`] where that batch is larger than a recipe may have.
    pub fn for_processes(mut self, processes: usize) -> Result<Self> {
        let each = self.train.batch;
        self.train.batch = each.saturating_mul(processes);
        self.validate().map_err(|error| {
            Usage(format!(
                "{processes} processes with a batch of {each} each: {error:#}"
            ))
        })?;
        Ok(self)
    }

    fn read(text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text).map_err(|e| explain(&e, text))?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// The training objective.
    pub fn objective(&self) -> Objective {
        let d = &self.diffusion;
        Objective {
            target: d.target,
            log_snr: d.log_snr,
            p_uncond: d.p_uncond,
            p_drop: d.p_drop,
            levels: d.levels,
            log_normal: d.log_normal,
            weighting: d.weighting,
            guidance: self.network.guidance,
            jumps: self.network.flow_map.map(|map| {
                let how = self.distill.unwrap_or_default();
                Jumps {
                    map,
                    method: how.method,
                    teacher_steps: how.teacher_steps,
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests;
