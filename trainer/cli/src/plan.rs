//! `freeguide plan`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use freeguide_data::{TrainingSet, original_size};
use freeguide_native::output::print_line;
use freeguide_native::{device, machine, tell};
use freeguide_recipe::Recipe;
use freeguide_train::distributed::Ranks;
use freeguide_train::{Facts, Forecast, advice, epochs};
use indicatif::{BinaryBytes, DecimalBytes, HumanCount, HumanDuration};

use crate::arguments::Device;
use crate::train::open_data;

/// Say what a training will take, before it is begun.
///
/// Takes a few steps of the recipe on the data, times them, and writes nothing. It prints the time of the whole training on
/// this machine, its memory, the disk space of its run folder and the size of its bundle, and warns about data that are
/// unlikely to train well: small or uneven classes, too few images for the network, pictures far larger or smaller than
/// the network's. Other work of the machine makes the time longer than it has to be.
#[derive(Debug, Args)]
pub struct Plan {
    /// The recipe, a TOML file, such as those in models/recipes.
    #[arg(long, value_name = "FILE")]
    pub recipe: PathBuf,
    /// The data set, as for `train`.
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Change a value of the recipe, such as train.batch=64. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The number of steps to time.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub steps: u64,
    #[command(flatten)]
    pub device: Device,
    /// Print the figures as one line of JSON: seconds and bytes.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn plan(arguments: &Plan) -> Result<ExitCode> {
    let recipe = Recipe::load(&arguments.recipe, &arguments.set)?;
    let device = device::open(&arguments.device.device)?;
    let dataset = Arc::new(open_data(&Ranks::alone(), &arguments.data, &recipe)?);
    if !arguments.json {
        for line in dataset.summary() {
            tell!("{line}");
        }
        tell!(
            "timing {} steps of {} images …",
            arguments.steps,
            recipe.train.batch
        );
    }
    let forecast = Forecast::measure(&recipe, &dataset, &device, arguments.steps)?;
    let counts = dataset.class_counts();
    let facts = Facts {
        classes: &dataset.classes,
        counts: &counts,
        original_size: original_size(&arguments.data, &recipe.data, &mut |_| ())?,
        parameters: forecast.parameters,
    };
    let warnings = advice(&recipe, &facts);
    if arguments.json {
        return json(&recipe, &dataset, &forecast, &warnings);
    }
    for line in lines(&recipe, &dataset, &forecast) {
        print_line(line)?;
    }
    for warning in warnings {
        print_line(format!("warning: {warning}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The figures, a line each.
fn lines(recipe: &Recipe, dataset: &TrainingSet, forecast: &Forecast) -> Vec<String> {
    let train = &recipe.train;
    let time = |seconds: f64| HumanDuration(Duration::from_secs_f64(seconds)).to_string();
    let row = |what: &str, value: String| format!("{what:14}{value}");
    let epochs = epochs(recipe, dataset.len());
    let steps = forecast.step_seconds.len() as f64;
    let step = forecast.step_seconds.iter().sum::<f64>() / steps;
    let memory = match (forecast.memory, machine::available_memory()) {
        (Some(used), Some(left)) => format!(
            "{} while training; {} are left now",
            BinaryBytes(used),
            BinaryBytes(left)
        ),
        (Some(used), None) => format!("{} while training", BinaryBytes(used)),
        (None, _) => "not known on this system".to_owned(),
    };
    vec![
        row(
            "time",
            format!(
                "about {} on {}: {} steps of {step:.2} s and a sample grid of {} every {} steps",
                time(forecast.seconds),
                machine::description(),
                HumanCount(train.steps),
                time(forecast.grid_seconds),
                train.sample_every
            ),
        ),
        row(
            "images",
            format!(
                "{} seen: each of {} about {:.*} times",
                HumanCount(train.steps * train.batch as u64),
                HumanCount(dataset.len() as u64),
                usize::from(epochs < 10.0),
                epochs
            ),
        ),
        row(
            "network",
            format!("{} parameters", HumanCount(forecast.parameters)),
        ),
        row("memory", memory),
        row(
            "disk",
            format!("up to {} for the run folder", DecimalBytes(forecast.disk)),
        ),
        row(
            "bundle",
            format!(
                "{} of weights in 16-bit floats",
                DecimalBytes(forecast.bundle)
            ),
        ),
    ]
}

fn json(
    recipe: &Recipe,
    dataset: &TrainingSet,
    forecast: &Forecast,
    warnings: &[String],
) -> Result<ExitCode> {
    print_line(serde_json::json!({
        "machine": machine::description(),
        "images": dataset.len(),
        "classes": dataset.classes.len(),
        "steps": recipe.train.steps,
        "epochs": epochs(recipe, dataset.len()),
        "parameters": forecast.parameters,
        "step_seconds": forecast.step_seconds,
        "grid_seconds": forecast.grid_seconds,
        "seconds": forecast.seconds,
        "memory_bytes": forecast.memory,
        "disk_bytes": forecast.disk,
        "bundle_bytes": forecast.bundle,
        "warnings": warnings,
    }))?;
    Ok(ExitCode::SUCCESS)
}
