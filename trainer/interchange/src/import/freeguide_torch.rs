//! Reads our own network in PyTorch's form: weights with the names and the layout of the module that `export --format
//! safetensors` writes, with its `config.json`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use freeguide::bundle::{CONFIG_FILE, Config, Loadable, parameters};
use freeguide::network::UNet;

use super::Options;
use super::names::Places;
use super::place::{Place, Step};

/// The file names of weights in a folder.
const WEIGHTS: [&str; 3] = ["model.safetensors", "model.pt", "model.pth"];

/// The weights and the configuration beside them.
fn files(options: &Options) -> Result<(PathBuf, PathBuf)> {
    let given = &options.file;
    if given.is_file() {
        return Ok((given.clone(), given.with_file_name(CONFIG_FILE)));
    }
    let found = WEIGHTS
        .iter()
        .map(|name| given.join(name))
        .find(|path| path.is_file());
    match found {
        Some(weights) => Ok((weights, given.join(CONFIG_FILE))),
        None => bail!("{} has no {}", given.display(), WEIGHTS.join(" or ")),
    }
}

/// Reads the model.
pub fn read(options: &Options) -> Result<(Config, UNet, String)> {
    let (file, described) = files(options)?;
    let json = std::fs::read_to_string(&described).with_context(|| {
        format!(
            "{}, which describes the network of the weights",
            described.display()
        )
    })?;
    let mut config = Config::parse(&json).with_context(|| described.display().to_string())?;
    if let Some(names) = &options.classes {
        if names.len() != config.classes.len() {
            bail!(
                "--classes names {} classes, but the model has {}",
                names.len(),
                config.classes.len()
            );
        }
        config.classes = names.iter().collect();
    }
    config.name.clone_from(&options.name);
    if !options.license.is_empty() {
        config.provenance.license.clone_from(&options.license);
    }
    let device = Device::flex();
    let network = UNet::from_config(&config, &device)?;
    let places = parameters(&network)
        .into_iter()
        .map(|parameter| source(parameter.name));
    let places = Places(places.collect());
    let weights = super::open(&file)?;
    let prefix = weights.prefix().to_owned();
    let network = super::fill(network, places, &[], weights, device)
        .with_context(|| file.display().to_string())?;
    Ok((config, network, prefix))
}

/// The source of a parameter: the same name, except for `class`, which is a keyword of Python, and transposed if it is
/// the weight of a linear layer.
fn source(ours: String) -> Place {
    let linear = [
        "log_snr_in",
        "log_snr_out",
        "guidance.input",
        "guidance.output",
        "next_log_snr.input",
        "next_log_snr.output",
        "conditioning.number.input",
        "conditioning.number.output",
        "modulation",
        "qkv",
        "attention.output",
        "input_skip",
    ];
    let layer = ours.strip_suffix(".weight").unwrap_or_default();
    let turned = linear.iter().any(|name| layer.ends_with(name));
    Place {
        theirs: vec![vec![ours.replace(".class.", ".class_."), ours.clone()]],
        steps: turned.then_some(Step::Transpose).into_iter().collect(),
        ours,
    }
}
