//! The limits of a recipe's values, checked when it is read.

use std::ops::RangeInclusive;

use anyhow::{Context, Result, anyhow, ensure};
use freeguide::bundle::ClassNames;
use freeguide::network::UNetConfig;
use freeguide::noise::MAX_SEED;
use freeguide::settings::{ClassName, Request};

use crate::{DiffusionRecipe, DistillRecipe, Recipe, TrainRecipe};

impl Recipe {
    /// Refuses a recipe that cannot be trained, or whose model could not be exported.
    pub(crate) fn validate(&self) -> Result<()> {
        let has_separator = |c: char| "/\\".contains(c) || c.is_control();
        ensure!(
            !self.name.trim().is_empty() && !self.name.contains(has_separator),
            "name must not be empty, and must not contain slashes or line breaks"
        );
        self.data.validate()?;
        self.network.validate(self.data.size as usize)?;
        self.diffusion.validate()?;
        ensure!(
            self.diffusion.p_drop.is_none() || self.network.takes_more_than_a_class(),
            "diffusion.p_drop is for networks with attributes or a number: set network.conditions = \"attributes\", or leave it out"
        );
        self.train.validate()?;
        if let Some(distill) = &self.distill {
            distill.validate(&self.network)?;
        }
        self.validate_sampling()
            .context("[sampling]")
            .map_err(|error| anyhow!("{error:#}"))
    }

    /// The default settings of sampling are valid if a request that changes nothing is.
    fn validate_sampling(&self) -> Result<()> {
        let range = self.diffusion.log_snr;
        let mut plan = Request::new(vec![ClassName::Unconditional])
            .plan(&ClassNames::default(), &self.sampling, range)?
            .on_timesteps(self.network.timesteps.as_ref())?;
        if let Some(input) = &self.network.guidance {
            plan = plan.with_guidance_input(input)?;
        }
        if let Some(map) = &self.network.flow_map {
            plan.with_flow_map(map, range)?;
        }
        Ok(())
    }
}

impl DiffusionRecipe {
    fn validate(&self) -> Result<()> {
        ensure!(
            self.log_snr.is_valid(),
            "diffusion.log_snr needs finite numbers with min < max"
        );
        ensure!(
            (0.0..=1.0).contains(&self.p_uncond),
            "diffusion.p_uncond must be a probability from 0 to 1"
        );
        ensure!(
            self.p_drop.is_none_or(|p| (0.0..=1.0).contains(&p)),
            "diffusion.p_drop must be a probability from 0 to 1"
        );
        ensure!(
            self.log_normal.is_valid(),
            "diffusion.log_normal needs finite numbers with std > 0"
        );
        Ok(())
    }
}

impl TrainRecipe {
    const STEPS: RangeInclusive<u64> = 1..=u32::MAX as u64;
    const BATCH: RangeInclusive<usize> = 1..=65_536;

    fn validate(&self) -> Result<()> {
        ensure!(
            Self::STEPS.contains(&self.steps),
            "train.steps must be from 1 to {}",
            Self::STEPS.end()
        );
        ensure!(
            Self::BATCH.contains(&self.batch),
            "train.batch must be from 1 to {}",
            Self::BATCH.end()
        );
        ensure!(
            self.accumulate > 0 && self.batch.is_multiple_of(self.accumulate),
            "train.accumulate must divide train.batch"
        );
        ensure!(
            self.checkpoint_every > 0 && self.sample_every > 0,
            "train.checkpoint_every and train.sample_every must be at least 1"
        );
        ensure!(
            self.keep_steps.len() <= 100
                && self
                    .keep_steps
                    .iter()
                    .all(|step| (1..=self.steps).contains(step)),
            "train.keep_steps must be up to 100 steps from 1 to train.steps"
        );
        ensure!(self.seed <= MAX_SEED, "train.seed must be at most 2^53 - 1");
        self.validate_optimiser()
    }

    fn validate_optimiser(&self) -> Result<()> {
        ensure!(
            self.learning_rate > 0.0 && self.learning_rate < 1.0,
            "train.learning_rate must be above 0 and below 1"
        );
        ensure!(
            (0.0..=1.0).contains(&self.final_rate),
            "train.final_rate must be from 0 to 1"
        );
        ensure!(
            self.ema_decay.are_valid(),
            "train.ema_decay must be at least 0 and below 1, or a list of up to 8 different such numbers"
        );
        ensure!(
            self.betas.iter().all(|beta| (0.0..1.0).contains(beta)),
            "train.betas must be at least 0 and below 1"
        );
        ensure!(
            self.clip_norm > 0.0 && self.clip_norm <= 1e9,
            "train.clip_norm must be above 0 and at most 1e9, which clips nothing"
        );
        ensure!(
            (0.0..=100.0).contains(&self.weight_decay),
            "train.weight_decay must be from 0 to 100"
        );
        Ok(())
    }
}

impl DistillRecipe {
    /// A flow map's shortest jump takes at least two of the teacher's steps.
    fn validate(&self, network: &UNetConfig) -> Result<()> {
        let most = network.flow_map.map_or(0, |map| map.max_steps);
        ensure!(
            most > 0,
            "[distill] is for students of few steps: set network.flow_map.max_steps, or leave it out"
        );
        let steps = self.teacher_steps;
        ensure!(
            steps.is_power_of_two() && (2 * most..=1024).contains(&steps),
            "distill.teacher_steps must be a power of two from twice network.flow_map.max_steps to 1024"
        );
        ensure!(
            (1..=10_000_000).contains(&self.trajectories),
            "distill.trajectories must be from 1 to 10000000"
        );
        Ok(())
    }
}
