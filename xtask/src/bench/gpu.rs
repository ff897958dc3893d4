//! `cargo xtask bench gpu`: what a machine with a GPU and without a network needs to measure sampling and training, in one
//! folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::sh::{cargo, copy_dir, freeguide, root, say, sh, target, vulkan_target, which};
use crate::tools::{self, npm_ci};
use crate::wasm::{self, Build};
use crate::{checks, site};

/// Networks of three sizes of images.
const MODELS: [&str; 3] = ["emoji16", "cifar10-small", "tiny-imagenet20"];
/// Of which this one is packed with its trained weights and as ONNX for onnxruntime. Of the others, the folder makes weights of
/// the same shapes: how long a step takes does not depend on them, and the archive would be too large.
const TRAINED: &str = "emoji16";
/// The largest archive, in bytes.
const LIMIT: u64 = 60_000_000;

/// What is packed, and what is measured here.
pub struct Measured {
    /// Only pack.
    pub pack_only: bool,
    /// Also build and pack `freeguide` for Vulkan, which trains.
    pub training: bool,
    /// Arguments of run.sh.
    pub arguments: Vec<String>,
}

/// Packs target/bench-gpu and target/bench-gpu.tar.xz and, unless told otherwise, runs the folder here and writes
/// docs/results/bench-gpu.md. On Debian 12 it runs on lavapipe, which rehearses it.
pub fn run(measured: &Measured) -> Result<()> {
    wasm::build_all(&Build::ALL)?;
    Build::ALL.into_iter().try_for_each(wasm::install)?;
    site::package()?;
    checks::command()?;
    let folder = target().join("bench-gpu");
    let trainer = if measured.training {
        Some(trainer()?)
    } else {
        None
    };
    pack(&folder, trainer.as_deref())?;
    let archive = archive(&folder)?;
    if measured.pack_only {
        println!(
            "{}: unpack it on a machine with a GPU and run bench-gpu/run.sh",
            archive.display()
        );
        return Ok(());
    }
    let command = sh(folder.join("run.sh"));
    let command = measured.arguments.iter().fold(command, |c, a| c.arg(a));
    let command = match tools::has_lavapipe() {
        true => tools::lavapipe()?.for_command(command),
        false => command,
    };
    let page = command.read()?;
    println!("{page}");
    let place = root().join("docs/results/bench-gpu.md");
    fs::write(&place, page + "\n").with_context(|| format!("cannot write {}", place.display()))
}

/// The command `freeguide` with kernels for Vulkan. It links nothing but the C library, so that it runs elsewhere.
fn trainer() -> Result<PathBuf> {
    let place = vulkan_target();
    cargo()
        .args("build --release -p freeguide-trainer --features vulkan --target-dir")
        .arg(&place)
        .run()?;
    Ok(place.join("release/freeguide"))
}

/// Fills the folder.
fn pack(folder: &Path, trainer: Option<&Path>) -> Result<()> {
    let source = root().join("xtask/bench-gpu");
    npm_ci(&source)?;
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    for file in [
        "bench.mjs",
        "measure.mjs",
        "sampler.mjs",
        "training.mjs",
        "weights.mjs",
        "run.sh",
        "package.json",
    ] {
        fs::copy(source.join(file), folder.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    let node = which("node").context("Node is missing")?;
    program(&node, &folder.join("node"))?;
    if let Some(trainer) = trainer {
        program(trainer, &folder.join("freeguide"))?;
    }
    for file in ["bench_train.py", "unet.py"] {
        let source = root().join("tests/pytorch").join(file);
        copy(&source, &folder.join("pytorch").join(file))?;
    }
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
        let (bundle, place) = (root().join("models").join(model), folder.join("models"));
        let place = place.join(model);
        copy(&bundle.join("config.json"), &place.join("config.json"))?;
        let weights = bundle.join("model.safetensors");
        match model == TRAINED {
            true => copy(&weights, &place.join("model.safetensors"))?,
            false => fs::write(place.join("tensors.json"), header(&weights)?)?,
        }
    }
    let exported = target().join("bench-onnx").join(TRAINED);
    sh(freeguide())
        .args("export --format onnx --model")
        .arg(root().join("models").join(TRAINED))
        .arg("--out")
        .arg(&exported)
        .quietly()?;
    let network = "denoiser.onnx";
    let place = folder.join("onnx").join(TRAINED).join(network);
    copy(&exported.join(network), &place)
}

/// Copies a program without what only debuggers read, where there is something that takes it out.
fn program(from: &Path, to: &Path) -> Result<()> {
    copy(from, to)?;
    if which("strip").is_some() {
        sh("strip").arg("--strip-all").arg(to).quietly()?;
    }
    Ok(())
}

/// The names and shapes of the tensors of a file, which begins with how long they are.
fn header(safetensors: &Path) -> Result<Vec<u8>> {
    let bytes =
        fs::read(safetensors).with_context(|| format!("cannot read {}", safetensors.display()))?;
    let header = bytes.split_first_chunk::<8>().and_then(|(length, rest)| {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        rest.get(..length)
    });
    let header = header.with_context(|| format!("{} is damaged", safetensors.display()))?;
    Ok(header.to_vec())
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
        // Most of it is machine code.
        .arg("--use-compress-program=xz --threads=1 --x86 --lzma2=preset=9e")
        .args("--create --file")
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
