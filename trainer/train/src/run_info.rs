//! `run.json`: what a run was made with, so that it can be repeated.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use freeguide::bundle::Model;
use serde::{Deserialize, Serialize};

/// What a run was made with. The recipe, with the seed, stands beside it in `recipe.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunInfo {
    /// The program.
    pub written_by: String,
    /// Where the data was.
    pub data: PathBuf,
    /// SHA-256 of the decoded images and labels.
    pub data_fingerprint: String,
    /// Class names by id.
    pub classes: Vec<String>,
    /// Images of each class.
    pub class_counts: Vec<usize>,
    /// Parameters of the network.
    pub parameters: u64,
    /// The model that was fine-tuned, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Every start of the training, the first first.
    #[serde(default)]
    pub starts: Vec<Start>,
}

/// The model that a fine-tuning began at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// Where the bundle was.
    pub model: PathBuf,
    /// Its name.
    pub name: String,
    /// The SHA-256 of its weights files.
    pub sha256: Vec<String>,
}

/// One start of a training: from the beginning, or from a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Steps that were taken before.
    pub step: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// The command, word by word.
    pub command: Vec<String>,
    /// The device that `--device` named.
    pub device: String,
    /// The program and its version.
    pub freeguide: String,
    /// The commit that it was built from; empty where the source was no git repository.
    pub commit: String,
    /// The version of burn.
    pub burn: String,
    /// The compiler.
    pub rustc: String,
    /// The platform that it was built for.
    pub target: String,
}

impl Init {
    /// The model that was at `path`.
    pub fn of(path: &Path, model: &Model) -> Self {
        let config = model.config();
        Self {
            model: path.to_owned(),
            name: config.name.clone(),
            sha256: config.weights.iter().map(|w| w.sha256.clone()).collect(),
        }
    }
}

impl Start {
    /// A start that happens now, on the device of this name.
    pub fn now(step: u64, device: &str) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            step,
            time: time.map_or(0, |time| time.as_secs()),
            command: std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            device: device.to_owned(),
            freeguide: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("FREEGUIDE_COMMIT").to_owned(),
            burn: env!("FREEGUIDE_BURN").to_owned(),
            rustc: env!("FREEGUIDE_RUSTC").to_owned(),
            target: env!("FREEGUIDE_TARGET").to_owned(),
        }
    }
}
