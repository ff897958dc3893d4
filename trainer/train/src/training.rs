//! The training loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use freeguide::bundle::{Model, Network, WRITTEN_BY, parameters};
use freeguide::network::UNet;

use freeguide_data::TrainingSet;
use freeguide_native::{sample, tell};
use freeguide_recipe::Recipe;

use crate::advice::{Facts, advice};
use crate::checkpoint::Checkpoint;
use crate::data_grid::data_grid;
use crate::distributed::{Ranks, digest};
use crate::events::Events;
use crate::lock::Lock;
use crate::metric::Metric;
use crate::progress::{Display, Progress};
use crate::records::Records;
use crate::run_folder::RunFolder;
use crate::run_info::{Init, RunInfo, Start};
use crate::state::State;
use crate::step::Stepper;
use crate::teacher::Teacher;
use crate::upscaled_grid::upscaled_grid;
use crate::{disk, init, model, precision, prepare, schedule};

/// A training that is about to begin or to go on.
///
/// Of several ranks the first alone writes and talks.
pub struct Training<'a> {
    /// The processes that train together.
    pub ranks: &'a Ranks,
    /// The recipe, with everything set.
    pub recipe: Recipe,
    /// The data set.
    pub dataset: Arc<TrainingSet>,
    /// The path of the data set.
    pub data_path: PathBuf,
    /// The run folder.
    pub out: PathBuf,
    /// Whether to resume the run in `out`.
    pub resume: bool,
    /// Whether to resume with another data set.
    pub allow_other_data: bool,
    /// The bundle to start from, with its path; `None` starts from random weights. A student, whose recipe has
    /// `network.guidance`, starts from its teacher.
    pub init: Option<(PathBuf, Model)>,
    /// The device, without gradients.
    pub device: Device,
    /// The name of the device.
    pub device_name: String,
    /// What the terminal shows.
    pub display: Display,
    /// Set from outside to save a checkpoint and stop.
    pub stop: Arc<AtomicBool>,
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are taken.
    Finished,
    /// It was asked to stop and has saved a checkpoint at this step.
    Stopped(u64),
}

/// The number of steps between two lines of metrics. Reading the loss waits for the device.
const METRIC_EVERY: u64 = 10;

impl Training<'_> {
    /// Trains until all steps of the recipe are taken or `stop` is set.
    pub fn run(self) -> Result<Outcome> {
        let folder = RunFolder::new(&self.out);
        let first = self.ranks.is_first();
        folder.check_start(self.resume, first)?;
        let _lock = match first {
            true => Some(Lock::take(&self.out)?),
            false => None,
        };
        let (mut state, metrics) = self.begin(&folder)?;
        let (recipe, train) = (&self.recipe, &self.recipe.train);
        let steps = prepare::prepare(recipe, &self.dataset, self.ranks, state.step)
            .context("cannot start a thread that prepares batches")?;
        let device = self.training_device();
        let teacher = self.teacher().map(|model| {
            let network = (model.network().clone(), takes_guidance(model));
            let pictures = recipe.distill.unwrap_or_default().trajectories;
            let drawn = (train.seed, pictures, train.batch);
            Teacher::new(network, self.dataset.class_counts(), drawn)
        });
        let mut stepper = Stepper::new(recipe, teacher, self.ranks, &self.stop, device, steps);
        let progress = Progress::new(
            train.steps,
            state.step,
            train.batch,
            self.display,
            &self.out,
        )?;
        let events = match first {
            true => Some(Events::begin(&folder.events(), state.step)?),
            false => None,
        };
        let mut records = Records::new(folder.clone(), train.batch, events, progress, metrics);

        while state.step < train.steps {
            let rate = schedule::learning_rate(train, state.step);
            let stepped = stepper.step(&mut state, rate)?;
            let stopping = stepped.stopping;
            records.step(state.step, stepped, self.dataset.take_warnings());

            let last = state.step == train.steps;
            let due = state.step % train.checkpoint_every == 0;
            let saving = last || stopping || due || train.keep_steps.contains(&state.step);
            // Also before a checkpoint: a diverged network must not replace an intact checkpoint.
            if saving || state.step % METRIC_EVERY == 0 {
                records.measure(state.step, rate, stepper.waits())?;
            }
            let begun = Instant::now();
            if saving {
                state.agree(self.ranks)?;
                if first {
                    state.save(&folder, train)?;
                }
            }
            if first && (last || state.step % train.sample_every == 0) {
                let samples = self.samples(&folder, &state)?;
                records.show(state.step, &recipe.name, &samples)?;
            }
            records.leave_out(begun, Instant::now());
            if stopping && !last {
                records.finish();
                return Ok(Outcome::Stopped(state.step));
            }
        }
        records.finish();
        Ok(Outcome::Finished)
    }

    /// A fresh state, or the state of the last checkpoint, with the metrics so far.
    fn begin(&self, folder: &RunFolder) -> Result<(State, Vec<Metric>)> {
        let recipe = &self.recipe;
        precision::check(recipe.train.precision, &self.device)?;
        let (network, parameters) = self.network(folder)?;
        let info = self.info(parameters)?;
        self.ranks
            .agree("the recipe", digest(recipe.to_toml()?.as_bytes()))?;
        self.ranks
            .agree("the data set", digest(info.data_fingerprint.as_bytes()))?;
        match self.resume {
            true => self.resumed(folder, network, info),
            false => self.fresh(folder, network, info),
        }
    }

    /// The network with its initial weights, and the number of its parameters. Weights are allocated only after the
    /// check of the disk's space.
    fn network(&self, folder: &RunFolder) -> Result<(UNet, u64)> {
        let recipe = &self.recipe;
        let device = self.training_device();
        // Only the initial weights come from the device's own generator.
        device.seed(recipe.train.seed);
        let network = recipe.network.init(
            recipe.data.size as usize,
            recipe.data.channels as usize,
            self.dataset.classes.len(),
            &device,
        );
        let parameters = parameters(&network)
            .iter()
            .map(|p| p.shape.iter().product::<usize>() as u64)
            .sum();
        if self.ranks.is_first() {
            let averages = recipe.train.ema_decay.all().len();
            let kept = recipe.train.keep_steps.len();
            disk::check(&self.out, &folder.checkpoints(), parameters, averages, kept)?;
        }
        Ok((network.materialize(), parameters))
    }

    /// What the run folder says about this training.
    fn info(&self, parameters: u64) -> Result<RunInfo> {
        Ok(RunInfo {
            written_by: WRITTEN_BY.to_owned(),
            data: self.data_path.clone(),
            data_fingerprint: self.dataset.fingerprint()?,
            classes: self.dataset.classes.clone(),
            class_counts: self.dataset.class_counts(),
            parameters,
            init: self
                .init
                .as_ref()
                .map(|(path, model)| Init::of(path, model)),
            starts: Vec::new(),
        })
    }

    fn fresh(
        &self,
        folder: &RunFolder,
        network: UNet,
        mut info: RunInfo,
    ) -> Result<(State, Vec<Metric>)> {
        let state = State::fresh(self.fine_tune(network)?, &self.recipe);
        state.agree(self.ranks)?;
        if self.ranks.is_first() {
            self.advise(&info);
            info.starts.push(Start::now(0, &self.device_name));
            folder.create(&self.recipe, &info)?;
            folder.put("samples/data.png", &data_grid(&self.dataset, 8)?)?;
            folder.rewind_metrics(0)?;
        }
        Ok((state, Vec::new()))
    }

    /// Says what is unusual about the data and the network. A student learns what its teacher knows, whatever the data.
    fn advise(&self, info: &RunInfo) {
        if self.display == Display::Quiet || self.teacher().is_some() {
            return;
        }
        let facts = Facts {
            classes: &info.classes,
            counts: &info.class_counts,
            // To look at the pictures' own sizes would list the data set a second time; `freeguide plan` does.
            original_size: None,
            parameters: info.parameters,
        };
        for sentence in advice(&self.recipe, &facts) {
            tell!("note: {sentence}");
        }
    }

    fn resumed(
        &self,
        folder: &RunFolder,
        network: UNet,
        mut info: RunInfo,
    ) -> Result<(State, Vec<Metric>)> {
        let recipe = &self.recipe;
        let was = folder.info()?;
        folder.check_resumable(recipe, &was, &info, self.allow_other_data)?;
        let state = self.latest_checkpoint(folder, network, was.init.as_ref())?;
        state.agree(self.ranks)?;
        if !self.ranks.is_first() {
            return Ok((state, Vec::new()));
        }
        if state.step > 0 && self.display != Display::Quiet {
            tell!("resuming from step {}", state.step);
        }
        info.init = was.init;
        info.starts = was.starts;
        info.starts.push(Start::now(state.step, &self.device_name));
        folder.create(recipe, &info)?;
        let metrics = folder.rewind_metrics(state.step)?;
        Ok((state, metrics))
    }

    /// The state of the latest good checkpoint. A run without one starts from the beginning, unless it started from
    /// the model `init`, which `--resume` alone does not name.
    fn latest_checkpoint(
        &self,
        folder: &RunFolder,
        network: UNet,
        init: Option<&Init>,
    ) -> Result<State> {
        let mut report = |line: String| {
            if self.ranks.is_first() {
                tell!("warning: {line}");
            }
        };
        let checkpoints = folder.checkpoints();
        let found = Checkpoint::load_latest(&checkpoints, &network, &self.recipe, &mut report)?;
        if let Some(checkpoint) = found {
            return Ok(State::resume(checkpoint, &self.recipe));
        }
        if let (Some(init), None) = (init, &self.init) {
            bail!(
                "{} has no checkpoint yet, and its training started from a model: start again with --init {}",
                self.out.display(),
                init.model.display()
            );
        }
        report(format!(
            "{} has no checkpoint yet: starting from the beginning",
            self.out.display()
        ));
        Ok(State::fresh(self.fine_tune(network)?, &self.recipe))
    }

    /// The network with the weights of the model to start from, or unchanged if there is none.
    fn fine_tune(&self, network: UNet) -> Result<UNet> {
        let Some((_, model)) = &self.init else {
            return Ok(network);
        };
        let classes = &self.dataset.classes;
        let (network, taken) = init::fine_tune(network, model, &self.recipe, classes)?;
        if self.display != Display::Quiet && self.teacher().is_none() {
            tell!(
                "fine-tuning {}{}: {} classes keep their embedding, {} are new",
                model.config().name,
                match taken.growth {
                    1 => String::new(),
                    times => format!(", grown {times} times"),
                },
                taken.kept,
                taken.new
            );
        }
        Ok(network)
    }

    /// The device with gradients.
    fn training_device(&self) -> Device {
        let device = self.device.clone().autodiff();
        match self.recipe.train.gradient_checkpointing {
            true => device.gradient_checkpointing(),
            false => device,
        }
    }

    /// The model whose guided predictions are learnt, if this is a distillation.
    fn teacher(&self) -> Option<&Model> {
        self.recipe.network.guidance?;
        self.init.as_ref().map(|(_, model)| model)
    }

    /// The sample grid, as PNG; of a student beside that of its teacher.
    fn samples(&self, folder: &RunFolder, state: &State) -> Result<Vec<u8>> {
        let recipe = &self.recipe;
        let decay = recipe.train.ema_decay.first();
        let config = model::config(recipe, &folder.info()?, state.step, decay);
        let model = Model::new(config, state.average(), self.device.clone());
        if let Some((side, _)) = model.config().low_resolution() {
            return upscaled_grid(&model, &self.dataset, side, recipe.train.seed);
        }
        match self.teacher() {
            Some(teacher) => sample::grid_beside(teacher, &model, 8, recipe.train.seed),
            None => sample::class_grid(&model, 8, recipe.train.seed),
        }
    }
}

/// Whether a model is a student, which takes w as an input.
fn takes_guidance(model: &Model) -> bool {
    match &model.config().network {
        Network::UNet(network) => network.guidance.is_some(),
        _ => false,
    }
}
