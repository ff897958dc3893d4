//! Checkpoints that survive a kill at any moment.
//!
//! A checkpoint is a folder `step-00001000` with the weights, their averages, the optimiser's
//! state and `state.json`, which holds the length and SHA-256 of each. It is written under
//! another name, flushed to the disk and then renamed: it is there whole or not at all. The last
//! [`KEEP`] are kept, and those of the recipe's `train.keep_steps`; one whose hashes do not agree is passed over for the one
//! before it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use freeguide::bundle::hex;
use freeguide::network::UNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use freeguide::training::Ema;
use crate::precision::LossScale;
use crate::state::optimizer;
use freeguide_recipe::Recipe;

/// How many checkpoints are kept.
pub const KEEP: usize = 2;

const STATE: &str = "state.json";
const NETWORK: &str = "network.bpk";
/// The name of the average in checkpoints that have one only and do not say its decay.
const ONLY_AVERAGE: &str = "average.bpk";
const OPTIMIZER: &str = "optimizer.bpk";

/// Everything that a training continues from. Random numbers need no state: it is keyed by the
/// step.
pub struct Checkpoint {
    /// The number of steps taken.
    pub step: u64,
    /// The weights.
    pub network: UNet,
    /// Their averages.
    pub averages: Vec<Ema>,
    /// The optimiser, with its moments.
    pub optimizer: ModuleOptimizer,
    /// For f16: the loss scale.
    pub loss_scale: Option<LossScale>,
}

/// One of the averages of a checkpoint, which is what becomes a bundle.
pub struct Average {
    /// The number of steps taken.
    pub step: u64,
    /// The average, or the weights themselves where `decay` is 0.
    pub network: UNet,
    /// The decay.
    pub decay: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    step: u64,
    files: BTreeMap<String, FileState>,
    /// Which file is the average of which decay.
    #[serde(default)]
    averages: Vec<AverageFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_scale: Option<LossScale>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AverageFile {
    decay: f64,
    file: String,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct FileState {
    bytes: u64,
    sha256: String,
}

impl Checkpoint {
    /// Writes the checkpoint into `folder` (that of all checkpoints) and drops the oldest that is not of a step in `kept`.
    pub fn save(&self, folder: &Path, kept: &[u64]) -> Result<()> {
        let name = format!("step-{:08}", self.step);
        let (part, whole) = (folder.join(format!(".{name}.part")), folder.join(&name));
        remove(&part)?;
        fs::create_dir_all(&part)
            .with_context(|| format!("cannot create the folder {}", part.display()))?;
        let mut files = BTreeMap::new();
        let mut put = |file: &str, bytes: Bytes| {
            files.insert(file.to_owned(), FileState::of(&bytes));
            write(&part.join(file), &bytes)
        };
        put(NETWORK, self.network.valid().into_record().into_bytes()?)?;
        let mut averages = Vec::new();
        for Ema { network, decay } in &self.averages {
            let file = format!("average-{decay}.bpk");
            put(&file, network.clone().into_record().into_bytes()?)?;
            averages.push(AverageFile {
                decay: *decay,
                file,
            });
        }
        put(OPTIMIZER, self.optimizer.into_bytes()?)?;
        let state = serde_json::to_vec_pretty(&State {
            step: self.step,
            files,
            averages,
            loss_scale: self.loss_scale,
        })?;
        write(&part.join(STATE), &state)?;
        remove(&whole)?;
        fs::rename(&part, &whole)
            .with_context(|| format!("cannot rename {} to {}", part.display(), whole.display()))?;
        // The rename itself must reach the disk. Not every system lets one open a folder.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        let all = list(folder)?;
        let passing = all.iter().filter(|(step, _)| !kept.contains(step));
        for (_, old) in passing.rev().skip(KEEP) {
            remove(old)?;
        }
        Ok(())
    }

    /// The newest checkpoint in `folder` that is whole, or none. `like` has the structure and the
    /// device. `report` is told of every checkpoint that is passed over.
    ///
    /// # Errors
    ///
    /// If there are checkpoints and none is whole.
    pub fn load_latest(
        folder: &Path,
        like: &UNet,
        recipe: &Recipe,
        report: &mut dyn FnMut(String),
    ) -> Result<Option<Self>> {
        latest(folder, list(folder)?, report, |saved| {
            Ok(Self {
                step: saved.state.step,
                network: like
                    .clone()
                    .try_load_record(ModuleRecord::from_bytes(saved.take(NETWORK)?)?)?,
                averages: saved
                    .averages(recipe)
                    .into_iter()
                    .map(|AverageFile { decay, file }| {
                        let record = ModuleRecord::from_bytes(saved.take(&file)?)?;
                        let network = like.valid().try_load_record(record)?;
                        Ok(Ema { network, decay })
                    })
                    .collect::<Result<_>>()?,
                optimizer: optimizer(&recipe.train).from_bytes(saved.take(OPTIMIZER)?)?,
                loss_scale: saved.state.loss_scale,
            })
        })
    }
}

impl Average {
    /// The average of this decay, or the recipe's first, of the newest checkpoint that is whole, or of the one of step
    /// `step`. A decay of 0 is the weights themselves.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](crate::checkpoint()), and if no such average was kept.
    pub fn load(
        folder: &Path,
        like: &UNet,
        recipe: &Recipe,
        (step, decay): (Option<u64>, Option<f64>),
        report: &mut dyn FnMut(String),
    ) -> Result<Option<Self>> {
        let all = list(folder)?;
        let wanted: Vec<_> = match step {
            None => all,
            Some(step) => {
                let kept: Vec<_> = all.iter().map(|(step, _)| step.to_string()).collect();
                let found: Vec<_> = all.into_iter().filter(|(of, _)| *of == step).collect();
                if found.is_empty() {
                    bail!(
                        "there is no checkpoint of step {step}; there are those of {}: train.keep_steps says which are kept",
                        kept.join(", ")
                    );
                }
                found
            }
        };
        let found = latest(folder, wanted, report, |saved| {
            let averages = saved.averages(recipe);
            let decay = decay.unwrap_or(recipe.train.ema_decay.first());
            let file = averages.iter().find(|average| average.decay == decay);
            let file = match file {
                Some(average) => &average.file,
                None if decay == 0.0 => NETWORK,
                None => {
                    let kept: Vec<_> = averages.iter().map(|a| a.decay.to_string()).collect();
                    let kept = kept.join(", ");
                    return Ok(Err(anyhow!(
                        "this run has no average with decay {decay}; it has {kept}, and 0 selects the weights themselves"
                    )));
                }
            };
            Ok(Ok(Self {
                step: saved.state.step,
                network: like
                    .clone()
                    .try_load_record(ModuleRecord::from_bytes(saved.take(file)?)?)?,
                decay,
            }))
        })?;
        found.transpose()
    }
}

/// A description of a checkpoint, without its weights.
#[derive(Debug, serde::Serialize)]
pub struct Summary {
    /// The number of steps taken.
    pub step: u64,
    /// The decays of its averages.
    pub averages: Vec<f64>,
    /// The total size of its files in bytes.
    pub bytes: u64,
    /// What is wrong with it, if anything. Every file is read and hashed.
    pub damage: Option<String>,
}

/// The checkpoints in `folder`, oldest first.
pub fn summaries(folder: &Path, recipe: &Recipe) -> Result<Vec<Summary>> {
    let summary = |(step, path): (u64, PathBuf)| {
        let mut summary = Summary {
            step,
            averages: Vec::new(),
            bytes: 0,
            damage: None,
        };
        let mut read = || {
            let saved = Saved::open(&path)?;
            let decays = saved.averages(recipe).into_iter().map(|a| a.decay);
            summary.averages = decays.collect();
            summary.bytes = saved.state.files.values().map(|file| file.bytes).sum();
            let mut files = saved.state.files.keys();
            files.try_for_each(|file| saved.take(file).map(drop))
        };
        let damage = read().err().map(|error| format!("{error:#}"));
        Summary { damage, ..summary }
    };
    Ok(list(folder)?.into_iter().map(summary).collect())
}

/// The result of `read` for the newest of these checkpoints in `folder` for which it succeeds.
fn latest<T>(
    folder: &Path,
    all: Vec<(u64, PathBuf)>,
    report: &mut dyn FnMut(String),
    read: impl Fn(&Saved) -> Result<T>,
) -> Result<Option<T>> {
    for (_, path) in all.iter().rev() {
        match Saved::open(path).and_then(|saved| read(&saved)) {
            Ok(found) => return Ok(Some(found)),
            Err(e) => report(format!(
                "{} is damaged and was skipped: {e:#}",
                path.display()
            )),
        }
    }
    // Only the user, who knows what would be lost, may decide to start again.
    if !all.is_empty() {
        bail!("every checkpoint in {} is damaged", folder.display());
    }
    Ok(None)
}

/// A checkpoint on disk.
struct Saved<'a> {
    path: &'a Path,
    state: State,
}

impl<'a> Saved<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let state = serde_json::from_slice(&read(&path.join(STATE))?)
            .with_context(|| format!("{STATE} cannot be parsed"))?;
        Ok(Self { path, state })
    }

    /// The bytes of a file, if they are unchanged since it was saved.
    fn take(&self, file: &str) -> Result<Bytes> {
        let bytes = read(&self.path.join(file))?;
        match self.state.files.get(file) {
            Some(expected) if *expected == FileState::of(&bytes) => {
                Ok(Bytes::from_bytes_vec(bytes))
            }
            _ => bail!("{file} has changed since it was saved"),
        }
    }

    /// The averages in the checkpoint.
    fn averages(&self, recipe: &Recipe) -> Vec<AverageFile> {
        let file = |decay: f64, file: &str| AverageFile {
            decay,
            file: file.to_owned(),
        };
        match self.state.averages.as_slice() {
            [] => vec![file(recipe.train.ema_decay.first(), ONLY_AVERAGE)],
            listed => listed.iter().map(|a| file(a.decay, &a.file)).collect(),
        }
    }
}

impl FileState {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
        }
    }
}

/// The checkpoints in `folder`, by step.
pub fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", folder.display())),
    };
    for entry in entries {
        let path = entry?.path();
        let step = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix("step-")?.parse().ok());
        if let Some(step) = step {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let put = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    put().with_context(|| format!("cannot write {}", path.display()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
