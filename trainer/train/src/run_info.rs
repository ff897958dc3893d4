//! `run.json`: everything that is needed to repeat a run.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use freeguide::bundle::Model;
use serde::{Deserialize, Serialize};

/// How a run was made. The recipe, with the seed, is beside it in `recipe.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunInfo {
    /// The program.
    pub written_by: String,
    /// The path of the data.
    pub data: PathBuf,
    /// SHA-256 of the decoded images and labels.
    pub data_fingerprint: String,
    /// Class names by id.
    pub classes: Vec<String>,
    /// The number of images of each class.
    pub class_counts: Vec<usize>,
    /// The number of parameters of the network.
    pub parameters: u64,
    /// The model that was fine-tuned, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// All starts of the training, in order.
    #[serde(default)]
    pub starts: Vec<Start>,
}

/// The model that a fine-tuning started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// The path of the bundle.
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
    /// The number of steps taken before.
    pub step: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// The words of the command.
    pub command: Vec<String>,
    /// The device that `--device` named.
    pub device: String,
    /// The program and its version.
    pub freeguide: String,
    /// The commit that it was built from; empty if the source was not a git repository.
    pub commit: String,
    /// The version of burn.
    pub burn: String,
    /// The compiler.
    pub rustc: String,
    /// The platform that it was built for.
    pub target: String,
}

impl Init {
    /// Describes the model at `path`.
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
    /// A start at the current time on the named device.
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
