//! The current model of a run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use burn::tensor::Device;
use freeguide::bundle::{
    Config, Diffusion, FORMAT_VERSION, ImageShape, Model, Network, Provenance, WRITTEN_BY,
    WeightKind,
};

use crate::checkpoint::Average;
use crate::run_folder::RunFolder;
use crate::run_info::RunInfo;
use freeguide_native::tell;
use freeguide_recipe::Recipe;

/// The configuration of a bundle of this run, without its weights files. The weights are the average with this decay.
pub fn config(recipe: &Recipe, info: &RunInfo, steps: u64, ema_decay: f64) -> Config {
    let mut config = Config {
        format_version: FORMAT_VERSION,
        written_by: WRITTEN_BY.to_owned(),
        name: recipe.name.clone(),
        image: ImageShape {
            size: recipe.data.size as usize,
            channels: recipe.data.channels as usize,
        },
        classes: info.classes.iter().collect(),
        null_class: true,
        network: Network::UNet(recipe.network.clone()),
        diffusion: Diffusion {
            target: recipe.diffusion.target,
            log_snr: recipe.diffusion.log_snr,
        },
        sampling: recipe.sampling.clone(),
        weights: Vec::new(),
        provenance: Provenance {
            dataset: recipe.provenance.dataset.clone(),
            license: recipe.provenance.license.clone(),
            attribution: recipe.provenance.attribution.clone(),
            recipe: recipe.name.clone(),
            steps,
            images_seen: steps * recipe.train.batch as u64,
            p_uncond: recipe.diffusion.p_uncond,
            ema_decay,
            parameters: info.parameters,
            teacher: match (&recipe.network.guidance, &info.init) {
                (Some(_), Some(teacher)) => teacher.name.clone(),
                _ => String::new(),
            },
            metrics: BTreeMap::new(),
        },
    };
    config.format_version = config.least_version(WeightKind::Floats);
    config
}

/// The model from the last checkpoint of a run, or from that of step `step`: the average with decay `ema`, or by default
/// the recipe's first. Its configuration does not list weights files yet.
pub fn checkpoint(run: &Path, step: Option<u64>, ema: Option<f64>) -> Result<Model> {
    let folder = RunFolder::new(run);
    let (info, recipe) = (folder.info()?, folder.recipe()?);
    let device = Device::flex();
    let like = recipe.network.init(
        recipe.data.size as usize,
        recipe.data.channels as usize,
        info.classes.len(),
        &device,
    );
    let mut report = |line: String| tell!("warning: {line}");
    let wanted = (step, ema);
    let found = Average::load(&folder.checkpoints(), &like, &recipe, wanted, &mut report)?;
    let Some(average) = found else {
        bail!(
            "{} contains no checkpoint yet: train longer, or with a smaller train.checkpoint_every",
            run.display()
        );
    };
    let mut config = config(&recipe, &info, average.step, average.decay);
    if let Some(step) = step {
        config.name = format!("{}-step{step}", config.name);
    }
    Ok(Model::new(config, average.network, device))
}
