//! Evaluation: fidelity and diversity over guidance strengths, as in the paper's table, for any model and data set.
//!
//! | where | what |
//! |---|---|
//! | `sweep` | the settings of an evaluation, and its cells |
//! | `inputs` | models, data set and feature networks, opened and checked for consistency |
//! | `work` | drawing images and extracting features, in chunks |
//! | `store` | the chunks on disk, by key |
//! | `metrics` | one metric per file |
//! | `damage` | real images with noise or blur, for scale |
//! | [`fidelity`] | the effect of a change on the Fréchet distance, for `export --verify` |
//! | `measure` | from features to [`figures`] |
//! | [`report`] | HTML, Markdown, CSV and JSON |

mod classes;
pub mod classifier;
mod damage;
pub mod features;
mod fidelity;
pub mod figures;
mod inputs;
mod measure;
mod meter;
mod metrics;
pub mod report;
mod shard;
mod store;
mod sweep;
pub mod toy;
mod work;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;

use figures::Figures;
use freeguide_native::files::{create_folder, write_atomic};
use inputs::Inputs;
use store::Store;
use work::Work;

pub use fidelity::{Against, Fidelity, fidelity};
pub use shard::shard;
pub use sweep::{ClassBalance, OnnxInput, Sweep};
pub use work::{Effort, Shard};

/// The folder of the store in the folder of the report.
const STORE: &str = "store";
/// The file in a store that describes its sweep.
const SWEEP: &str = "sweep.json";

/// Does this process's part of the sweep. If that is the whole sweep, it writes the report into `out`.
///
/// # Errors
///
/// If something is missing, inconsistent, or cannot be written.
pub fn run(
    sweep: &Sweep,
    effort: Effort,
    device: &Device,
    command: String,
    out: &Path,
) -> Result<Option<Figures>> {
    let inputs = Inputs::open(sweep, device)?;
    let store = begin(sweep, out)?;
    let work = Work {
        sweep,
        inputs: &inputs,
        store: &store,
    };
    work.run(effort)?;
    match effort.shard {
        Shard::WHOLE => conclude(&work, command, out).map(Some),
        _ => Ok(None),
    }
}

/// Combines the parts of a sweep in `out` and writes its report. Without `parts`, it uses those in `out`.
///
/// # Errors
///
/// If the parts belong to different sweeps, or if a part of the sweep is missing.
pub fn merge(parts: &[PathBuf], device: &Device, command: String, out: &Path) -> Result<Figures> {
    let folders = match parts {
        [] => vec![out.to_owned()],
        parts => parts.to_vec(),
    };
    let mut sweep: Option<Sweep> = None;
    for folder in &folders {
        let path = folder.join(STORE).join(SWEEP);
        let json = std::fs::read_to_string(&path).with_context(|| {
            format!("cannot read {}: is this a part of a sweep?", path.display())
        })?;
        let found: Sweep = serde_json::from_str(&json)
            .with_context(|| format!("{} does not describe a sweep", path.display()))?;
        match &sweep {
            Some(first) if *first != found => bail!(
                "{} and {} are parts of different sweeps",
                folders[0].display(),
                folder.display()
            ),
            _ => sweep = Some(found),
        }
    }
    let sweep = sweep.context("there are no parts to merge")?;
    let store = begin(&sweep, out)?;
    for part in parts {
        store.take_from(&Store::new(part.join(STORE)))?;
    }
    let inputs = Inputs::open(&sweep, device)?;
    let work = Work {
        sweep: &sweep,
        inputs: &inputs,
        store: &store,
    };
    match work.missing() {
        0 => conclude(&work, command, out),
        missing => bail!(
            "{missing} chunks of the sweep are missing: has every shard finished, and was every part given?"
        ),
    }
}

/// The store in `out`, which says from now on that it is for this sweep.
fn begin(sweep: &Sweep, out: &Path) -> Result<Store> {
    let store = Store::new(out.join(STORE));
    create_folder(store.root())?;
    let json = serde_json::to_string_pretty(sweep)? + "\n";
    write_atomic(&store.root().join(SWEEP), json.as_bytes())?;
    Ok(store)
}

fn conclude(work: &Work, command: String, out: &Path) -> Result<Figures> {
    let measured = measure::measure(work, command)?;
    report::write(work, &measured, out)?;
    Ok(measured.figures)
}
