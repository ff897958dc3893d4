//! `freeguide train`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use clap::Args;

use crate::arguments::Device;
use freeguide::bundle::Model;
use freeguide_data::TrainingSet;
use freeguide_native::tell;
use freeguide_native::usage::Usage;
use freeguide_native::{bundle_files, device};
use freeguide_recipe::{Precision, Recipe};
use freeguide_train::distributed::Ranks;
use freeguide_train::progress::Display;
use freeguide_train::{Outcome, Training, check_labels};

/// Train a model on labelled images.
///
/// The layout of the data set is detected and printed first: a folder with one sub-folder of images per class, also as a
/// .zip or .tar.gz; Parquet files as the Hugging Face hub serves them; WebDataset tar shards, as a folder, a file or a range
/// such as set-{000000..000009}.tar; the files of CIFAR-10, CIFAR-100, MNIST and ImageNet 32×32 and 64×64 as they are
/// downloaded; NumPy .npz archives; a folder or .zip with StyleGAN's dataset.json. docs/DATA.md has the details.
/// A data set that needs more than data.memory MiB is streamed: read and decoded again every epoch.
///
/// The run folder contains the recipe as it was run, everything needed to repeat the run (run.json),
/// metrics (metrics.jsonl, and tensorboard/ for TensorBoard), the loss curve (loss.png), sample grids
/// (samples/) and the last two checkpoints. Ctrl-C saves a checkpoint and exits. --resume continues
/// from the last checkpoint, also after a kill, and gives the same result as an uninterrupted run.
#[derive(Debug, Args)]
pub struct Train {
    /// The recipe, a TOML file, such as those in models/recipes.
    #[arg(long, value_name = "FILE")]
    pub recipe: PathBuf,
    /// The data set: a folder with one sub-folder of images per class, or one of the layouts above.
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Fine-tune: start from the weights of this bundle. Classes that it knows by name keep their
    /// embedding; new classes start from its null class. If network.patch is a multiple of the bundle's,
    /// the network is grown to larger images.
    #[arg(long, value_name = "DIR")]
    pub init: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunOptions,
}

/// The options of trainings and distillations.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The run folder. Only one training at a time can use it.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Change a value of the recipe, such as train.batch=64. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Continue the run in --out from its last checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Continue even if the images differ from those that the run was started on. The classes must be
    /// the same.
    #[arg(long, requires = "resume")]
    pub allow_other_data: bool,
    #[command(flatten)]
    pub device: Device,
    /// The seed of all random numbers, instead of the recipe's.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Show the training on the whole terminal: progress, loss curve, speed and the latest samples.
    #[arg(long, conflicts_with = "quiet")]
    pub live: bool,
    /// Print only warnings and errors.
    #[arg(long)]
    pub quiet: bool,
}

/// Runs the command.
pub fn train(arguments: &Train) -> Result<ExitCode> {
    Ranks::join()?.run(|ranks| train_on(ranks, arguments))
}

fn train_on(ranks: &Ranks, arguments: &Train) -> Result<ExitCode> {
    let options = &arguments.run;
    let recipe = Recipe::load(&arguments.recipe, &options.all_set())?;
    if recipe.network.guidance.is_some() {
        return Err(Usage(format!(
            "network.guidance in {} belongs to students, which learn from a trained model: use `freeguide distill --model`",
            arguments.recipe.display()
        ))
        .into());
    }
    let device = device::open(&options.device.device)?;
    let init = match &arguments.init {
        Some(path) => {
            let model = bundle_files::open(path, &device)
                .with_context(|| format!("--init {}", path.display()))?;
            Some((path.clone(), model))
        }
        None => None,
    };
    let dataset = open_data(ranks, &arguments.data, &recipe)?;
    options.train(
        ranks,
        recipe,
        (dataset, arguments.data.clone()),
        init,
        device,
    )
}

/// Opens a data set; the first rank reports what is wrong with its files.
pub fn open_data(ranks: &Ranks, path: &Path, recipe: &Recipe) -> Result<TrainingSet> {
    let data = TrainingSet::open(path, &recipe.data, &mut |warning| {
        if ranks.is_first() {
            tell!("warning: {warning}");
        }
    })?;
    check_labels(recipe, &data)?;
    Ok(data)
}

impl RunOptions {
    /// What is set, the seed included.
    pub fn all_set(&self) -> Vec<String> {
        let seed = self.seed.map(|seed| format!("train.seed={seed}"));
        self.set.iter().cloned().chain(seed).collect()
    }

    /// Trains with a recipe of one process, on data with their path.
    pub fn train(
        &self,
        ranks: &Ranks,
        recipe: Recipe,
        (dataset, data_path): (TrainingSet, PathBuf),
        init: Option<(PathBuf, Model)>,
        device: burn::tensor::Device,
    ) -> Result<ExitCode> {
        let quiet = self.quiet || !ranks.is_first();
        let recipe = recipe.for_processes(ranks.size())?;
        if recipe.train.precision != Precision::F32 && device == burn::tensor::Device::flex() {
            tell!(
                "warning: 16-bit precision is slower on the CPU than train.precision = \"f32\"; it is meant for GPUs"
            );
        }
        if !quiet {
            for line in dataset.summary() {
                tell!("{line}");
            }
        }
        if ranks.size() > 1 && !quiet {
            let (size, batch) = (ranks.size(), recipe.train.batch);
            tell!("{size} processes, {batch} images per step in total");
        }
        let name = recipe.name.clone();
        let outcome = Training {
            ranks,
            recipe,
            dataset: Arc::new(dataset),
            data_path,
            out: self.out.clone(),
            resume: self.resume,
            allow_other_data: self.allow_other_data,
            init,
            device,
            device_name: self.device.device.clone(),
            display: match (quiet, self.live) {
                (true, _) => Display::Quiet,
                (_, true) => Display::Live,
                _ => Display::Auto,
            },
            stop: stop_signal(ranks)?,
        }
        .run()?;
        if !quiet {
            let out = self.out.display();
            match outcome {
                Outcome::Finished => {
                    tell!("done: freeguide export --run {out} --out models/{name}")
                }
                Outcome::Stopped(step) => {
                    tell!("stopped at step {step}; add --resume to the command to continue")
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A flag that Ctrl-C and SIGTERM set.
fn stop_signal(ranks: &Ranks) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let first = ranks.is_first();
    ctrlc::set_handler(move || {
        // A second signal stops at once.
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        if first {
            tell!("saving a checkpoint; press Ctrl-C again to exit without one");
        }
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
