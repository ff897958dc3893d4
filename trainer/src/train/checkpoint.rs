//! Checkpoints that survive a kill at any moment.
//!
//! A checkpoint is a folder `step-00001000` with the weights, their average, the optimiser's
//! state and `state.json`, which holds the length and SHA-256 of each. It is written under
//! another name, flushed to the disk and then renamed: it is there whole or not at all. The last
//! [`KEEP`] are kept; one whose hashes do not agree is passed over for the one before it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use freeguide::bundle::hex;
use freeguide::network::UNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many checkpoints are kept.
pub const KEEP: usize = 2;

const STATE: &str = "state.json";
const NETWORK: &str = "network.bpk";
const AVERAGE: &str = "average.bpk";
const OPTIMIZER: &str = "optimizer.bpk";

/// Everything that a training goes on from. What is random needs no state: it is keyed by the
/// step.
pub struct Checkpoint {
    /// Steps taken.
    pub step: u64,
    /// The weights.
    pub network: UNet,
    /// Their average.
    pub average: UNet,
    /// The optimiser with its moments.
    pub optimizer: ModuleOptimizer,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    step: u64,
    files: BTreeMap<String, FileState>,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct FileState {
    bytes: u64,
    sha256: String,
}

impl Checkpoint {
    /// Writes the checkpoint into `folder` (that of all checkpoints) and drops the oldest.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let name = format!("step-{:08}", self.step);
        let (part, whole) = (folder.join(format!(".{name}.part")), folder.join(&name));
        remove(&part)?;
        fs::create_dir_all(&part)
            .with_context(|| format!("cannot create the folder {}", part.display()))?;
        let mut files = BTreeMap::new();
        let contents: [(&str, Bytes); 3] = [
            (NETWORK, self.network.valid().into_record().into_bytes()?),
            (AVERAGE, self.average.clone().into_record().into_bytes()?),
            (OPTIMIZER, self.optimizer.into_bytes()?),
        ];
        for (file, bytes) in contents {
            write(&part.join(file), &bytes)?;
            files.insert(file.to_owned(), FileState::of(&bytes));
        }
        let state = serde_json::to_vec_pretty(&State {
            step: self.step,
            files,
        })?;
        write(&part.join(STATE), &state)?;
        remove(&whole)?;
        fs::rename(&part, &whole)
            .with_context(|| format!("cannot rename {} to {}", part.display(), whole.display()))?;
        // The rename itself must reach the disk. Not every system lets one open a folder.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        for old in list(folder)?.iter().rev().skip(KEEP) {
            remove(&old.1)?;
        }
        Ok(())
    }

    /// The newest checkpoint in `folder` that is whole, or none. `like` has the structure and the
    /// device; `optimizer` is fresh. `report` is told of every checkpoint that is passed over.
    ///
    /// # Errors
    ///
    /// If there are checkpoints and none is whole.
    pub fn load_latest(
        folder: &Path,
        like: &UNet,
        optimizer: &ModuleOptimizer,
        report: &mut dyn FnMut(String),
    ) -> Result<Option<Self>> {
        let all = list(folder)?;
        for (_, path) in all.iter().rev() {
            match Self::load(path, like, optimizer) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(e) => report(format!(
                    "{} is damaged and passed over: {e:#}",
                    path.display()
                )),
            }
        }
        // To begin again from nothing is for somebody to decide who knows what is lost.
        if !all.is_empty() {
            bail!("every checkpoint in {} is damaged", folder.display());
        }
        Ok(None)
    }

    fn load(path: &Path, like: &UNet, optimizer: &ModuleOptimizer) -> Result<Self> {
        let state: State = serde_json::from_slice(&read(&path.join(STATE))?)
            .with_context(|| format!("{STATE} cannot be understood"))?;
        let take = |file: &str| -> Result<Bytes> {
            let bytes = read(&path.join(file))?;
            match state.files.get(file) {
                Some(expected) if *expected == FileState::of(&bytes) => {
                    Ok(Bytes::from_bytes_vec(bytes))
                }
                _ => bail!("{file} is not the file that was saved"),
            }
        };
        Ok(Self {
            step: state.step,
            network: like
                .clone()
                .try_load_record(ModuleRecord::from_bytes(take(NETWORK)?)?)?,
            average: like
                .valid()
                .try_load_record(ModuleRecord::from_bytes(take(AVERAGE)?)?)?,
            optimizer: optimizer.clone().from_bytes(take(OPTIMIZER)?)?,
        })
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
