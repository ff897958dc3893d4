//! What a training will take, from a few timed steps of it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;
use freeguide::bundle::{Model, parameters};
use freeguide::settings::{ClassName, Request};

use freeguide_data::TrainingSet;
use freeguide_native::machine;
use freeguide_native::sample::MAX_COLUMNS;
use freeguide_recipe::Recipe;

use crate::distributed::Ranks;
use crate::run_info::RunInfo;
use crate::state::State;
use crate::step::{Stepped, Stepper};
use crate::{disk, model, precision, prepare, schedule};

/// Steps that are taken before the timed ones: the first allocates memory and starts threads.
const WARM_UP: u64 = 1;

/// Rows of a sample grid.
const GRID_ROWS: usize = 8;

/// What a training will take. Times are wall-clock seconds on this machine, with whatever else it was doing.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Parameters of the network.
    pub parameters: u64,
    /// Seconds of each timed step, in order.
    pub step_seconds: Vec<f64>,
    /// Seconds of one sample grid, extrapolated from one sampling step of one image.
    pub grid_seconds: f64,
    /// Seconds of the whole training: its steps and its sample grids.
    pub seconds: f64,
    /// Memory of this process after the steps, in bytes. None where the system does not say.
    pub memory: Option<u64>,
    /// The most that the run folder takes on the disk, in bytes.
    pub disk: u64,
    /// The weights of the exported bundle in 16-bit floats, in bytes.
    pub bundle: u64,
}

impl Forecast {
    /// Takes a step to warm up and then `steps` timed steps of the recipe, and draws one sampling step. Nothing is written.
    ///
    /// # Errors
    /// If an image cannot be read, or the device fails.
    pub fn measure(
        recipe: &Recipe,
        dataset: &Arc<TrainingSet>,
        device: &Device,
        steps: u64,
    ) -> Result<Self> {
        precision::check(recipe.train.precision, device)?;
        let mut recipe = recipe.clone();
        let wanted = recipe.train.steps;
        recipe.train.steps = WARM_UP + steps;
        let recipe = &recipe;
        let training_device = match recipe.train.gradient_checkpointing {
            true => device.clone().autodiff().gradient_checkpointing(),
            false => device.clone().autodiff(),
        };
        training_device.seed(recipe.train.seed);
        let network = recipe.network.init(
            recipe.data.size as usize,
            recipe.data.channels as usize,
            dataset.classes.len(),
            &training_device,
        );
        let parameters = parameters(&network)
            .iter()
            .map(|p| p.shape.iter().product::<usize>() as u64)
            .sum();
        let mut state = State::fresh(network.materialize(), recipe);
        let step_seconds = time_steps(recipe, dataset, training_device, &mut state)?;
        let memory = machine::process_memory();
        let grid_seconds = time_grid(recipe, dataset, device, parameters, &state)?;
        let grids = wanted.div_ceil(recipe.train.sample_every);
        Ok(Self {
            parameters,
            seconds: mean(&step_seconds) * wanted as f64 + grid_seconds * grids as f64,
            step_seconds,
            grid_seconds,
            memory,
            disk: disk::run_bytes(
                parameters,
                recipe.train.ema_decay.all().len(),
                recipe.train.keep_steps.len(),
            ),
            bundle: 2 * parameters,
        })
    }
}

/// Seconds of each step after the warm-up. Reading the loss waits for the device.
fn time_steps(
    recipe: &Recipe,
    dataset: &Arc<TrainingSet>,
    device: Device,
    state: &mut State,
) -> Result<Vec<f64>> {
    let ranks = Ranks::alone();
    let stop = AtomicBool::new(false);
    let prepared = prepare::prepare(recipe, dataset, &ranks, 0)
        .context("cannot start a thread that prepares batches")?;
    let mut stepper = Stepper::new(recipe, None, &ranks, &stop, device, prepared);
    let mut seconds = Vec::new();
    while state.step < recipe.train.steps {
        let begun = Instant::now();
        let rate = schedule::learning_rate(&recipe.train, state.step);
        let Stepped { loss, .. } = stepper.step(state, rate)?;
        loss.try_into_data().context("the device failed")?;
        if state.step > WARM_UP {
            seconds.push(begun.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

/// Seconds of a sample grid with the recipe's settings of sampling.
fn time_grid(
    recipe: &Recipe,
    dataset: &TrainingSet,
    device: &Device,
    parameters: u64,
    state: &State,
) -> Result<f64> {
    let info = RunInfo {
        written_by: String::new(),
        data: Default::default(),
        data_fingerprint: String::new(),
        classes: dataset.classes.clone(),
        class_counts: dataset.class_counts(),
        parameters,
        init: None,
        starts: Vec::new(),
    };
    let config = model::config(recipe, &info, 0, recipe.train.ema_decay.first());
    let model = Model::new(config, state.average(), device.clone());
    let plan = model.plan(&Request::new(vec![ClassName::Id(0)]))?;
    let mut run = model.run(plan.clone());
    let begun = Instant::now();
    run.advance();
    run.denoised()
        .try_into_data()
        .context("the device failed")?;
    let images = dataset.classes.len().min(MAX_COLUMNS) * GRID_ROWS;
    Ok(begun.elapsed().as_secs_f64() * (plan.steps_taken() * images) as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
