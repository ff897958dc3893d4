//! `cargo xtask bench gpu`: what a machine with a GPU and without a network needs to measure sampling, in one folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::sh::{copy_dir, freeguide, root, say, sh, target, which};
use crate::tools::{self, npm_ci};
use crate::wasm::{self, Build};
use crate::{checks, site};

/// Networks of three sizes of images.
const MODELS: [&str; 3] = ["emoji16", "cifar10-small", "tiny-imagenet20"];
/// Of which onnxruntime runs these, whose files would be too large otherwise.
const ONNX: [&str; 1] = ["emoji16"];
/// The largest archive, in bytes.
const LIMIT: u64 = 60_000_000;

/// What is measured, and where.
pub struct Measured {
    /// Only pack.
    pub pack_only: bool,
    /// Steps that are timed at a time.
    pub steps: usize,
    /// Numbers of images, separated by commas.
    pub batches: String,
    /// Models, separated by commas; all that are packed, if `None`.
    pub models: Option<String>,
    /// NAME=FOLDER: other builds of the package, to measure in the same run.
    pub also: Vec<String>,
}

/// Packs target/bench-gpu and target/bench-gpu.tar.xz and, unless told otherwise, runs the folder here and writes
/// docs/results/bench-gpu.md. On Debian 12 it runs on lavapipe, which rehearses it.
pub fn run(measured: &Measured) -> Result<()> {
    wasm::build_all(&Build::ALL)?;
    Build::ALL.into_iter().try_for_each(wasm::install)?;
    site::package()?;
    checks::command()?;
    let folder = target().join("bench-gpu");
    pack(&folder)?;
    let archive = archive(&folder)?;
    if measured.pack_only {
        println!(
            "{}: unpack it on a machine with a GPU and run bench-gpu/run.sh",
            archive.display()
        );
        return Ok(());
    }
    let command = sh(folder.join("run.sh"))
        .arg("--steps")
        .arg(measured.steps.to_string())
        .arg("--batches")
        .arg(&measured.batches);
    let models = measured.models.iter().map(|models| ("--models", models));
    let also = measured.also.iter().map(|build| ("--also", build));
    let command = models
        .chain(also)
        .fold(command, |command, (option, value)| {
            command.arg(option).arg(value)
        });
    let command = match tools::has_lavapipe() {
        true => tools::lavapipe()?.for_command(command),
        false => command,
    };
    let page = command.read()?;
    println!("{page}");
    let place = root().join("docs/results/bench-gpu.md");
    fs::write(&place, page + "\n").with_context(|| format!("cannot write {}", place.display()))
}

/// Fills the folder.
fn pack(folder: &Path) -> Result<()> {
    let source = root().join("xtask/bench-gpu");
    npm_ci(&source)?;
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    for file in [
        "bench.mjs",
        "measure.mjs",
        "sampler.mjs",
        "run.sh",
        "package.json",
    ] {
        fs::copy(source.join(file), folder.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    let node = which("node").context("Node is missing")?;
    fs::copy(&node, folder.join("node")).context("cannot copy Node")?;
    for part in ["dist", "wasm", "package.json"] {
        copy(&tools::js().join(part), &folder.join("package").join(part))?;
    }
    let modules = source.join("node_modules");
    for part in [
        "debug",
        "ms",
        "onnxruntime-common/dist/cjs",
        "onnxruntime-common/package.json",
        "onnxruntime-node/bin/napi-v6/linux/x64",
        "onnxruntime-node/dist",
        "onnxruntime-node/package.json",
        "webgpu/dist/linux-x64",
        "webgpu/index.js",
        "webgpu/package.json",
    ] {
        copy(&modules.join(part), &folder.join("node_modules").join(part))?;
    }
    for model in MODELS {
        let bundle = root().join("models").join(model);
        for file in ["config.json", "model.safetensors"] {
            copy(
                &bundle.join(file),
                &folder.join("models").join(model).join(file),
            )?;
        }
    }
    for model in ONNX {
        let exported = target().join("bench-onnx").join(model);
        sh(freeguide())
            .args("export --format onnx --model")
            .arg(root().join("models").join(model))
            .arg("--out")
            .arg(&exported)
            .quietly()?;
        let network = "denoiser.onnx";
        copy(
            &exported.join(network),
            &folder.join("onnx").join(model).join(network),
        )?;
    }
    Ok(())
}

/// Copies a file or a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        return copy_dir(from, to);
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// The folder as one file.
fn archive(folder: &Path) -> Result<PathBuf> {
    let archive = folder.with_extension("tar.xz");
    say("packing");
    sh("tar")
        .arg("--directory")
        .arg(target())
        .args("--xz --create --file")
        .arg(&archive)
        .arg("bench-gpu")
        .quietly()?;
    let bytes = fs::metadata(&archive)?.len();
    say(&format!("{} has {bytes} bytes", archive.display()));
    if bytes > LIMIT {
        bail!("more than the {LIMIT} bytes that it may have");
    }
    Ok(archive)
}
