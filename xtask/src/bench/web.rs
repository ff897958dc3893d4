//! `cargo xtask bench web`: sampling in a browser, against ONNX Runtime Web and TensorFlow.js.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::sh::{cargo, freeguide, root, say, sh};
use crate::site;
use crate::tools::{self, npm_ci};
use crate::wasm::{self, Build};

/// What is measured.
pub struct Measured {
    /// The model to sample, a folder in models/.
    pub model: String,
    /// A folder with the same model as one ONNX file (inputs `z`, `log_snr` and `class`). Without it,
    /// `freeguide export` writes one.
    pub onnx: Option<PathBuf>,
    /// The number of rounds; the best one counts.
    pub rounds: usize,
    /// The number of timed steps in a round.
    pub steps: usize,
    /// Whether to measure WebGPU too, on the software adapter of headless Chromium.
    pub webgpu: bool,
}

/// Builds the runtime, writes the model as ONNX, measures everything in one Chromium and writes
/// docs/results/bench-web.md.
pub fn run(measured: &Measured) -> Result<()> {
    let builds = if measured.webgpu {
        &Build::ALL[..]
    } else {
        &Build::ALL[..1]
    };
    wasm::build_all(builds)?;
    builds.iter().try_for_each(|&build| wasm::install(build))?;
    site::package()?;
    let model = root().join("models").join(&measured.model);
    let onnx = match &measured.onnx {
        Some(folder) => std::path::absolute(folder)?,
        None => export(&model)?,
    };

    let folder = root().join("xtask/bench-web");
    npm_ci(&folder)?;
    let chromium = tools::chromium()?;
    say("measuring, in turns; nothing else should run meanwhile");
    let arguments = json!({
        "chromiumPath": chromium,
        "packageFolder": tools::js(),
        "model": model,
        "onnx": onnx,
        "compressed": root().join("target/bench-web/brotli"),
        "rounds": measured.rounds,
        "steps": measured.steps,
        "batches": [1, 16],
        "webgpu": measured.webgpu,
    });
    let table = sh("node")
        .arg(folder.join("bench.mjs"))
        .arg(arguments.to_string())
        .read()?;
    println!("{table}");
    let place = root().join("docs/results/bench-web.md");
    if let Some(results) = place.parent() {
        fs::create_dir_all(results)?;
    }
    fs::write(&place, table + "\n").with_context(|| format!("cannot write {}", place.display()))
}

/// The model as ONNX, in a folder of its own.
fn export(model: &Path) -> Result<PathBuf> {
    cargo().args("build --release").run()?;
    let folder = root().join("target/bench-web/onnx");
    let _ = fs::remove_dir_all(&folder);
    sh(freeguide())
        .args("export --format onnx --model")
        .arg(model)
        .arg("--out")
        .arg(&folder)
        .quietly()
        .context("the model cannot be written as ONNX; --onnx names one")?;
    Ok(folder)
}
