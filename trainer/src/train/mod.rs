//! Training: the loop around the library's objective.

mod checkpoint;
mod clip;
mod ema;
mod finite;
mod run_folder;
mod schedule;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use freeguide::bundle::WRITTEN_BY;
use freeguide::network::UNet;
use freeguide::training::{Objective, Order, flips};

pub use checkpoint::Checkpoint;
pub use ema::Ema;
use finite::is_finite;
pub use run_folder::{Metric, RunFolder, RunInfo};

use crate::data::TrainingSet;
use crate::loss_curve::LossCurve;
use crate::output::tell;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::{export, sample};

/// A training that is about to begin or to go on.
pub struct Training {
    /// The recipe, with everything set.
    pub recipe: Recipe,
    /// The data set.
    pub dataset: TrainingSet,
    /// Where the data set was.
    pub data_path: PathBuf,
    /// The run folder.
    pub out: PathBuf,
    /// Whether to go on where the run in `out` stopped.
    pub resume: bool,
    /// The device, without gradients.
    pub device: Device,
    /// No progress on the terminal.
    pub quiet: bool,
    /// Set from outside to save and leave.
    pub stop: Arc<AtomicBool>,
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are taken.
    Finished,
    /// It was asked to stop, and has saved a checkpoint at this step.
    Stopped(u64),
}

/// Steps between two lines of metrics. Reading the loss waits for the device.
const METRIC_EVERY: u64 = 10;

impl Training {
    /// Trains until the recipe's steps are taken or somebody asks to stop.
    pub fn run(self) -> Result<Outcome> {
        let folder = RunFolder::new(&self.out);
        let (mut state, mut metrics) = self.begin(&folder)?;
        let (recipe, train) = (&self.recipe, &self.recipe.train);
        let objective = recipe.objective();
        let mut order = Order::new(train.seed, self.dataset.len());
        let mut progress = Progress::new(train.steps, state.step, train.batch, self.quiet);
        let mut window = Window::new();

        while state.step < train.steps {
            let step = state.step;
            let rate = schedule::learning_rate(train, step);
            let batch = order.batch(step, train.batch);
            let (loss, norm) = self.step(&mut state, &objective, &batch, rate)?;
            window.add(loss, norm);
            state.step += 1;
            for warning in self.dataset.take_warnings() {
                progress.warning(warning);
            }

            let last = state.step == train.steps;
            let stopping = self.stop.load(Ordering::Relaxed);
            let saving = last || stopping || state.step % train.checkpoint_every == 0;
            // Before a checkpoint too: one of a network that has diverged must not push out one
            // that was good.
            if saving || state.step % METRIC_EVERY == 0 {
                let metric = window.close(state.step, rate, train.batch)?;
                if !metric.loss.is_finite() || !metric.gradient_norm.is_finite() {
                    bail!(diverged(state.step));
                }
                folder.log(&metric)?;
                progress.update(state.step, metric.loss as f32, rate);
                metrics.push(metric);
            }
            if saving {
                state.save(&folder)?;
            }
            if last || state.step % train.sample_every == 0 {
                self.show(&folder, &state, &metrics)?;
                progress.message(format!(
                    "step {}: samples and loss curve in {}",
                    state.step,
                    self.out.display()
                ));
                window.since = Instant::now();
            }
            if stopping && !last {
                progress.finish();
                return Ok(Outcome::Stopped(state.step));
            }
        }
        progress.finish();
        Ok(Outcome::Finished)
    }

    /// A fresh state, or that of the last checkpoint, with the metrics so far.
    fn begin(&self, folder: &RunFolder) -> Result<(State, Vec<Metric>)> {
        let recipe = &self.recipe;
        let device = self.device.clone().autodiff();
        // Initial weights are the only thing that the device's own generator draws.
        device.seed(recipe.train.seed);
        let network = recipe
            .network
            .init(
                recipe.data.size as usize,
                recipe.data.channels as usize,
                self.dataset.classes.len(),
                &device,
            )
            .materialize();
        let info = RunInfo {
            written_by: WRITTEN_BY.to_owned(),
            data: self.data_path.clone(),
            data_fingerprint: self.dataset.fingerprint()?,
            classes: self.dataset.classes.clone(),
            class_counts: self.dataset.class_counts(),
            parameters: network.num_params() as u64,
        };
        let optimizer = AdamWConfig::new()
            .with_beta_1(recipe.train.betas[0] as f32)
            .with_beta_2(recipe.train.betas[1] as f32)
            // PyTorch's, which every published learning rate presumes; burn's default is 1e-5.
            .with_epsilon(1e-8)
            .with_weight_decay(recipe.train.weight_decay as f32)
            .init();

        if !self.resume {
            if folder.is_begun() {
                bail!(
                    "{} already holds a training: go on with --resume, or choose another --out",
                    self.out.display()
                );
            }
            folder.create(recipe, &info)?;
            folder.put("samples/data.png", &sample::data_grid(&self.dataset, 8)?)?;
        } else {
            if !folder.is_begun() {
                bail!("there is no training in {} to resume", self.out.display());
            }
            folder.check_resumable(recipe, &info)?;
            folder.create(recipe, &info)?;
            let mut report = |line: String| tell!("warning: {line}");
            let found =
                Checkpoint::load_latest(&folder.checkpoints(), &network, &optimizer, &mut report)?;
            if let Some(checkpoint) = found {
                let metrics = folder.rewind_metrics(checkpoint.step)?;
                if !self.quiet {
                    tell!("going on from step {}", checkpoint.step);
                }
                return Ok((State::resume(checkpoint, recipe.train.ema_decay), metrics));
            }
            tell!(
                "warning: no checkpoint yet in {}: starting from the beginning",
                self.out.display()
            );
        }
        folder.rewind_metrics(0)?;
        Ok((
            State::fresh(network, optimizer, recipe.train.ema_decay),
            Vec::new(),
        ))
    }

    /// One step of Algorithm 1. Returns the loss and the norm of the gradient, still on the
    /// device.
    fn step(
        &self,
        state: &mut State,
        objective: &Objective,
        batch: &[usize],
        rate: f64,
    ) -> Result<(Tensor<1>, Option<Tensor<1>>)> {
        let (seed, step) = (self.recipe.train.seed, state.step as u32);
        let device = self.device.clone().autodiff();
        let flips = if self.recipe.data.flip {
            flips(seed, step, batch.len())
        } else {
            vec![false; batch.len()]
        };
        let images = self.dataset.batch(batch, &flips)?;
        let (size, channels) = (self.dataset.size, self.dataset.channels);
        let x = Tensor::<4>::from_data(
            TensorData::new(images.values, [batch.len(), channels, size, size]),
            &device,
        );
        let null = self.dataset.classes.len() as u32;
        let draw = objective.draw(seed, step, &images.labels, null, self.dataset.image_len());
        // Dropout draws on the device: keyed by the step, so that a resumed run draws the same.
        device.seed(seed.wrapping_add(u64::from(step)));

        let loss = objective.loss(&state.network, x, draw);
        let gradients = GradientsParams::from_grads(loss.backward(), &state.network);
        let (gradients, norm) =
            clip::clip_global_norm(&state.network, gradients, self.recipe.train.clip_norm);
        state.network = state.optimizer.step(rate, state.network.clone(), gradients);
        state.average.update(&state.network, state.step + 1);
        Ok((loss.inner(), norm))
    }

    /// Writes the sample grid and the loss curve.
    fn show(&self, folder: &RunFolder, state: &State, metrics: &[Metric]) -> Result<()> {
        let recipe = &self.recipe;
        let config = export::config(recipe, &folder.info()?, state.step);
        let model = freeguide::bundle::Model::new(
            config,
            state.average.network.clone(),
            self.device.clone(),
        );
        let png = sample::class_grid(&model, 8, recipe.train.seed)?;
        folder.put(&format!("samples/step-{:08}.png", state.step), &png)?;
        let losses: Vec<(u64, f32)> = metrics.iter().map(|m| (m.step, m.loss as f32)).collect();
        let title = format!("{} · training loss", recipe.name);
        let curve = LossCurve {
            title: &title,
            training: &losses,
            validation: &[],
        };
        folder.put("loss.png", &curve.to_png()?)
    }
}

fn diverged(step: u64) -> String {
    format!(
        "the training has diverged: after step {step} there are values that are no numbers; the last checkpoint, if there is one, is good: lower train.learning_rate and go on with --resume"
    )
}

/// What changes from step to step.
struct State {
    step: u64,
    network: UNet,
    average: Ema,
    optimizer: ModuleOptimizer,
}

impl State {
    fn fresh(network: UNet, optimizer: ModuleOptimizer, decay: f64) -> Self {
        Self {
            step: 0,
            average: Ema::new(&network, decay),
            network,
            optimizer,
        }
    }

    fn resume(checkpoint: Checkpoint, decay: f64) -> Self {
        Self {
            step: checkpoint.step,
            network: checkpoint.network,
            average: Ema::resume(checkpoint.average, decay),
            optimizer: checkpoint.optimizer,
        }
    }

    fn save(&self, folder: &RunFolder) -> Result<()> {
        if !is_finite(&self.network) || !is_finite(&self.average.network) {
            bail!(diverged(self.step));
        }
        let checkpoint = Checkpoint {
            step: self.step,
            network: self.network.clone(),
            average: self.average.network.clone(),
            optimizer: self.optimizer.clone(),
        };
        checkpoint
            .save(&folder.checkpoints())
            .context("cannot save a checkpoint; the one before it is untouched")
    }
}

/// The steps since the last line of metrics.
struct Window {
    losses: Vec<Tensor<1>>,
    norm: Option<Tensor<1>>,
    since: Instant,
}

impl Window {
    fn new() -> Self {
        Self {
            losses: Vec::new(),
            norm: None,
            since: Instant::now(),
        }
    }

    fn add(&mut self, loss: Tensor<1>, norm: Option<Tensor<1>>) {
        self.losses.push(loss);
        self.norm = norm;
    }

    /// Reads the window's mean loss from the device and starts the next window.
    fn close(&mut self, step: u64, learning_rate: f64, batch: usize) -> Result<Metric> {
        let count = self.losses.len();
        let read = |t: Tensor<1>| t.try_into_data().map(|d| d.iter::<f64>().sum::<f64>());
        let losses = Tensor::cat(std::mem::take(&mut self.losses), 0);
        let sum = read(losses).context("the device failed")?;
        let gradient_norm = match self.norm.take() {
            Some(norm) => read(norm).context("the device failed")?,
            None => 0.0,
        };
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        Ok(Metric {
            step,
            loss: sum / count as f64,
            learning_rate,
            gradient_norm,
            images_per_second: (count * batch) as f64 / seconds,
        })
    }
}
