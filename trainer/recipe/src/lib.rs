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

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use freeguide::bundle::ClassNames;
use freeguide::network::UNetConfig;
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::settings::{ClassName, Request, SamplingDefaults};
use freeguide::training::{Jumps, Levels, LogNormal, Method, Objective, Weighting};
use serde::{Deserialize, Serialize};

use freeguide_data::DataRecipe;
use freeguide_native::spelling::nearest;
use freeguide_native::usage::Usage;

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
    /// Where the landings of a flow map's jumps come from: `"rollout"`, `"bootstrap"` or `"consistency"`.
    #[serde(default)]
    pub method: Method,
    /// The teacher's steps from noise to clean: a power of two, at least twice `network.flow_map.max_steps`.
    #[serde(default = "default_teacher_steps")]
    pub teacher_steps: usize,
}

impl Default for DistillRecipe {
    fn default() -> Self {
        Self {
            method: Method::default(),
            teacher_steps: default_teacher_steps(),
        }
    }
}

fn default_teacher_steps() -> usize {
    16
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

    fn validate(&self) -> Result<()> {
        let check = |ok: bool, what: &str| if ok { Ok(()) } else { bail!("{what}") };
        check(
            !self.name.trim().is_empty()
                && !self
                    .name
                    .contains(|c: char| "/\\".contains(c) || c.is_control()),
            "name must not be empty, and must not contain slashes or line breaks",
        )?;
        self.data.validate()?;
        self.network.validate(self.data.size as usize)?;
        let (d, t) = (&self.diffusion, &self.train);
        let within = |number: f64, limits: std::ops::RangeInclusive<f64>| limits.contains(&number);
        check(
            d.log_snr.is_valid(),
            "diffusion.log_snr needs finite numbers with min < max",
        )?;
        check(
            within(d.p_uncond, 0.0..=1.0),
            "diffusion.p_uncond must be a probability from 0 to 1",
        )?;
        check(
            (1..=u64::from(u32::MAX)).contains(&t.steps),
            "train.steps must be from 1 to 4294967295",
        )?;
        check(
            (1..=65_536).contains(&t.batch),
            "train.batch must be from 1 to 65536",
        )?;
        check(
            t.accumulate > 0 && t.batch % t.accumulate == 0,
            "train.accumulate must divide train.batch",
        )?;
        check(
            d.log_normal.is_valid(),
            "diffusion.log_normal needs finite numbers with std > 0",
        )?;
        check(
            t.learning_rate > 0.0 && t.learning_rate < 1.0,
            "train.learning_rate must be above 0 and below 1",
        )?;
        check(
            within(t.final_rate, 0.0..=1.0),
            "train.final_rate must be from 0 to 1",
        )?;
        check(
            t.ema_decay.are_valid(),
            "train.ema_decay must be at least 0 and below 1, or a list of up to 8 different such numbers",
        )?;
        check(
            t.betas.iter().all(|b| (0.0..1.0).contains(b)),
            "train.betas must be at least 0 and below 1",
        )?;
        check(
            t.clip_norm > 0.0 && t.clip_norm <= 1e9,
            "train.clip_norm must be above 0 and at most 1e9, which clips nothing",
        )?;
        check(
            within(t.weight_decay, 0.0..=100.0),
            "train.weight_decay must be from 0 to 100",
        )?;
        check(
            t.checkpoint_every > 0 && t.sample_every > 0,
            "train.checkpoint_every and train.sample_every must be at least 1",
        )?;
        if let Some(how) = &self.distill {
            let most = self.network.flow_map.map_or(0, |map| map.max_steps);
            check(
                most > 0,
                "[distill] is for students of few steps: set network.flow_map.max_steps, or leave it out",
            )?;
            let steps = how.teacher_steps;
            check(
                steps.is_power_of_two() && (2 * most..=1024).contains(&steps),
                "distill.teacher_steps must be a power of two from twice network.flow_map.max_steps to 1024",
            )?;
        }
        check(
            t.seed <= freeguide::noise::MAX_SEED,
            "train.seed must be at most 2^53 - 1",
        )?;
        // The defaults are valid if an empty request is.
        let request = Request::new(vec![ClassName::Unconditional]);
        request
            .plan(
                &ClassNames::default(),
                &self.sampling,
                self.diffusion.log_snr,
            )
            .and_then(|plan| plan.on_timesteps(self.network.timesteps.as_ref()))
            .and_then(|plan| match &self.network.guidance {
                Some(input) => plan.with_guidance_input(input),
                None => Ok(plan),
            })
            .and_then(|plan| match &self.network.flow_map {
                Some(map) => plan.with_flow_map(map, self.diffusion.log_snr),
                None => Ok(plan),
            })
            .context("[sampling]")
            .map_err(|e| anyhow!("{e:#}"))?;
        Ok(())
    }

    /// The training objective.
    pub fn objective(&self) -> Objective {
        let d = &self.diffusion;
        Objective {
            target: d.target,
            log_snr: d.log_snr,
            p_uncond: d.p_uncond,
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

/// An error of the TOML parser in one line: where, what and, for an unknown key, a suggestion.
fn explain(error: &toml::de::Error, text: &str) -> anyhow::Error {
    let message = error.message().trim().replace('\n', ", ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let meant = match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(typed)) => nearest(typed, quoted).map(|key| (typed, key)),
        _ => None,
    };
    let what = match meant {
        Some((typed, key)) => anyhow!("unknown field `{typed}`; did you mean `{key}`?"),
        None => anyhow!("{message}"),
    };
    match error.span() {
        Some(span) => {
            let before = text.as_bytes().iter().take(span.start);
            what.context(format!(
                "line {}",
                1 + before.filter(|&&byte| byte == b'\n').count()
            ))
        }
        None => what,
    }
}

/// Applies `section.key=value`. The value is TOML or, if it does not parse, a string.
fn assign(table: &mut toml::Table, assignment: &str) -> Result<()> {
    let Some((path, value)) = assignment.split_once('=') else {
        return Err(Usage(format!(
            "--set {assignment}: expected section.key=value, such as train.batch=64"
        ))
        .into());
    };
    let value = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut t| t.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut at = table;
    for key in keys {
        at = match at
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
        {
            toml::Value::Table(table) => table,
            _ => {
                return Err(Usage(format!(
                    "--set {assignment}: {key} is a value, not a section"
                ))
                .into());
            }
        };
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use freeguide::bundle::parameters;

    #[test]
    fn every_recipe_that_ships_is_good() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/recipes"));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let recipe = Recipe::load(&path, &[]).unwrap();
            assert_eq!(path.file_stem().unwrap().to_str(), Some(&*recipe.name));
            assert!(recipe.train.ema_decay.all().len() >= 2, "{}", recipe.name);
            // What is written into a run folder is read again as the same recipe.
            let written = recipe.to_toml().unwrap();
            assert_eq!(Recipe::parse(&written, &[]).unwrap(), recipe);
            names.push(recipe.name);
        }
        assert!(names.len() >= 5, "{names:?}");
    }

    #[test]
    fn a_recipe_of_several_processes_can_be_read_again() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/recipes"));
        let recipe = |batch: usize| {
            let set = [format!("train.batch={batch}")];
            Recipe::load(&folder.join("emoji16.toml"), &set).unwrap()
        };
        let both = recipe(32_768).for_processes(2).unwrap();
        assert_eq!(both.train.batch, 65_536);
        assert_eq!(Recipe::parse(&both.to_toml().unwrap(), &[]).unwrap(), both);
        let refused = recipe(40_000).for_processes(2).unwrap_err();
        assert!(refused.is::<Usage>());
        assert_eq!(
            refused.to_string(),
            "2 processes with a batch of 40000 each: train.batch must be from 1 to 65536"
        );
        assert!(recipe(3).for_processes(usize::MAX).is_err());
    }

    #[test]
    fn the_papers_recipes_are_the_paper() {
        for (name, p_uncond) in [("p01", 0.1), ("p02", 0.2), ("p05", 0.5)] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/recipes");
            let path = format!("{folder}/imagenet64-{name}.toml");
            let recipe = Recipe::load(Path::new(&path), &[]).unwrap();
            let objective = recipe.objective();
            assert_eq!(objective.p_uncond, p_uncond);
            assert_eq!(objective.target, Target::Epsilon);
            assert_eq!(objective.log_snr, LogSnrRange::PAPER);
            assert_eq!(objective.levels, Levels::Uniform);
            assert_eq!(objective.weighting, Weighting::Uniform);
            assert_eq!(recipe.sampling.steps, 256);
            assert_eq!(recipe.sampling.sampler.name(), "ancestral");
            assert_eq!(recipe.sampling.variance_interpolation, 0.3);
            // ADM's network for 64×64 has 296 million parameters, with learned variances.
            let network = recipe.network.init(64, 3, 1000, &Device::flex());
            let count: usize = parameters(&network)
                .iter()
                .map(|p| p.shape.iter().product::<usize>())
                .sum();
            assert!((294_000_000..298_000_000).contains(&count), "{count}");
        }
    }
}
