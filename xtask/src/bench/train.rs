//! `cargo xtask bench train`: the same network, batch and step in freeguide and in PyTorch, on the CPU.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::machine;
use super::process::{Cost, measure};
use crate::checks;
use crate::sh::{Sh, freeguide, root, say, sh, target};

/// The version for the table. Only its CPU backend is used.
const TORCH: &str = "torch==2.15.0";

/// The file of the table.
const REPORT: &str = "docs/results/bench-train.md";

/// The ways in which PyTorch is run. The fastest is compared with.
const FORMS: [&str; 3] = ["eager", "channels_last", "compile"];

/// The number of steps of the short training, which is subtracted from the long one.
const FIRST_STEPS: u64 = 2;

/// A network and a batch to train.
struct Setting {
    size: usize,
    batch: usize,
    channel_multipliers: &'static [usize],
    attention_resolutions: &'static [usize],
}

/// The network of emoji16, and similar ones for larger images.
const SETTINGS: [Setting; 3] = [
    Setting {
        size: 16,
        batch: 64,
        channel_multipliers: &[1, 2, 2],
        attention_resolutions: &[8, 4],
    },
    Setting {
        size: 32,
        batch: 64,
        channel_multipliers: &[1, 2, 2],
        attention_resolutions: &[8],
    },
    Setting {
        size: 64,
        batch: 16,
        channel_multipliers: &[1, 2, 2, 2],
        attention_resolutions: &[8],
    },
];

impl Setting {
    fn network(&self) -> Value {
        json!({
            "kind": "unet",
            "base_channels": 48,
            "channel_multipliers": self.channel_multipliers,
            "residual_blocks": 1,
            "attention_resolutions": self.attention_resolutions,
            "head_channels": 32,
            "norm_groups": 16,
        })
    }

    fn recipe(&self, steps: u64) -> String {
        format!(
            r#"name = "bench"
[data]
size = {size}
[network]
base_channels = 48
channel_multipliers = {multipliers:?}
residual_blocks = 1
attention_resolutions = {attention:?}
head_channels = 32
norm_groups = 16
[diffusion]
target = "v"
log_snr = {{ min = -15, max = 15 }}
p_uncond = 0.1
[train]
steps = {steps}
batch = {batch}
learning_rate = 1e-3
weight_decay = 0.01
ema_decay = 0.999
checkpoint_every = {steps}
sample_every = {steps}
[sampling]
steps = 1
guidance = 0
"#,
            size = self.size,
            multipliers = self.channel_multipliers,
            attention = self.attention_resolutions,
            batch = self.batch,
        )
    }
}

/// A short and a long training by one of the two programs. The difference is training without start-up, loading the
/// data and saving.
#[derive(Clone, Copy)]
struct Runs {
    short: Cost,
    long: Cost,
}

impl Runs {
    fn measure(steps: u64, program: impl Fn(u64) -> Result<Sh>) -> Result<Self> {
        Ok(Self {
            short: measure(program(FIRST_STEPS)?)?,
            long: measure(program(FIRST_STEPS + steps)?)?,
        })
    }

    fn best(self, other: Self) -> Self {
        Self {
            short: self.short.best(other.short),
            long: self.long.best(other.long),
        }
    }

    fn images_per_second(self, images: f64) -> f64 {
        images / (self.long.seconds - self.short.seconds)
    }

    /// Processor seconds per thousand images.
    fn cpu_per_thousand(self, images: f64) -> f64 {
        (self.long.cpu_seconds - self.short.cpu_seconds) / images * 1000.0
    }
}

/// Measures, prints the table and writes it to [`REPORT`].
///
/// # Errors
///
/// If a program is missing or fails.
pub fn run(python: Option<&Path>, threads: &[usize], rounds: usize, steps: u64) -> Result<()> {
    say("building the freeguide command");
    checks::command()?;
    let python = match python {
        Some(python) => python.to_owned(),
        None => environment()?,
    };
    let folder = target().join("bench-train");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let data = folder.join("data");
    pictures(&data)?;
    let mut rows = Vec::new();
    for &threads in threads {
        for setting in &SETTINGS {
            let at = format!("{0}×{0}, {threads} threads", setting.size);
            // freeguide, and PyTorch in each of its forms.
            let mut best: Option<(Runs, [Runs; FORMS.len()])> = None;
            // In turns, so that other work on the machine affects both.
            for round in 1..=rounds {
                say(&format!("{at}, round {round} of {rounds}: freeguide"));
                let ours = Runs::measure(steps, |n| ours(setting, &folder, threads, n))?;
                let mut found = best.map_or([None; FORMS.len()], |(_, found)| found.map(Some));
                for (form, found) in FORMS.into_iter().zip(&mut found) {
                    say(&format!("{at}, round {round} of {rounds}: PyTorch, {form}"));
                    let program = |n| Ok(theirs(setting, &python, form, threads, n));
                    let runs = Runs::measure(steps, program)?;
                    *found = Some(found.map_or(runs, |best: Runs| best.best(runs)));
                }
                let ours = best.map_or(ours, |(best, _)| best.best(ours));
                best = Some((ours, found.map(|runs| runs.unwrap_or(ours))));
            }
            if let Some((ours, theirs)) = best {
                let images = steps as f64 * setting.batch as f64;
                rows.push(row(setting, threads, images, ours, theirs));
            }
        }
    }
    let version = sh(&python)
        .args("-c")
        .arg("import torch; print(torch.__version__)")
        .read()?;
    let report = report(&rows, &version, rounds, steps);
    println!("{report}");
    let path = root().join(REPORT);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, report).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!("written to {REPORT}"));
    Ok(())
}

/// A Python environment with PyTorch, created once.
fn environment() -> Result<PathBuf> {
    let place = target().join("bench-python");
    let python = place.join("bin").join("python");
    if !python.is_file() {
        say(&format!("installing {TORCH} into {}", place.display()));
        sh("python3")
            .args("-m venv")
            .arg(&place)
            .quietly()
            .context(
                "Python 3 with venv is needed; or name a Python that has PyTorch with --python",
            )?;
        sh(&python)
            .args("-m pip install --quiet")
            .arg(TORCH)
            .quietly()?;
    }
    Ok(python)
}

/// Nine classes of noise images. The content does not affect the speed.
fn pictures(data: &Path) -> Result<()> {
    const SIZE: u32 = 64;
    let mut state = 1u32;
    for class in 0..9 {
        let folder = data.join(format!("class-{class}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for picture in 0..16 {
            let pixels: Vec<u8> = (0..SIZE * SIZE * 3)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            let file = fs::File::create(folder.join(format!("{picture}.png")))?;
            let mut encoder = png::Encoder::new(file, SIZE, SIZE);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header()?.write_image_data(&pixels)?;
        }
    }
    Ok(())
}

/// `freeguide train`, as a user runs it.
fn ours(setting: &Setting, folder: &Path, threads: usize, steps: u64) -> Result<Sh> {
    let recipe = folder.join("recipe.toml");
    fs::write(&recipe, setting.recipe(steps))?;
    let out = folder.join("run");
    let _ = fs::remove_dir_all(&out);
    Ok(sh(freeguide())
        .args("train --device cpu --quiet --recipe")
        .arg(&recipe)
        .arg("--data")
        .arg(folder.join("data"))
        .arg("--out")
        .arg(&out)
        .env("RAYON_NUM_THREADS", threads.to_string()))
}

/// tests/pytorch/bench_train.py.
fn theirs(setting: &Setting, python: &Path, form: &str, threads: usize, steps: u64) -> Sh {
    sh(python)
        .arg("tests/pytorch/bench_train.py")
        .arg("--network")
        .arg(setting.network().to_string())
        .args(&format!(
            "--size {} --batch {}",
            setting.size, setting.batch
        ))
        .args(&format!(
            "--steps {steps} --threads {threads} --form {form}"
        ))
        // Waiting threads must not spin: on a machine with other work, that would count as processor time.
        .env("OMP_WAIT_POLICY", "PASSIVE")
}

fn row(
    setting: &Setting,
    threads: usize,
    images: f64,
    ours: Runs,
    theirs: [Runs; FORMS.len()],
) -> String {
    let speed = |runs: &Runs| runs.images_per_second(images);
    let mut fastest = (FORMS[0], theirs[0]);
    for (form, runs) in FORMS.into_iter().zip(theirs) {
        if speed(&runs) > speed(&fastest.1) {
            fastest = (form, runs);
        }
    }
    let (form, theirs) = fastest;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let speeds = [ours, theirs].map(|runs| runs.images_per_second(images));
    let costs = [ours, theirs].map(|runs| runs.cpu_per_thousand(images));
    format!(
        "| {0}×{0} | {1} | {2} | {3:.1} | {4:.1} ({11}) | {5:.2} | {6:.1} | {7:.1} | {8:.2} | {9:.0} | {10:.0} |",
        setting.size,
        setting.batch,
        threads,
        speeds[0],
        speeds[1],
        speeds[0] / speeds[1],
        costs[0],
        costs[1],
        costs[1] / costs[0],
        mebibytes(ours.long.peak_memory),
        mebibytes(theirs.long.peak_memory),
        form,
    )
}

fn report(rows: &[String], version: &str, rounds: usize, steps: u64) -> String {
    let mut text = format!(
        "# Training speed against PyTorch

Made by `cargo xtask bench train`, which trains the same U-Net in `freeguide train` and in PyTorch {version}
(`tests/pytorch/bench_train.py`), in turns, in 32-bit floats on the CPU. A step includes data, noise, forward and
backward pass, clipping, AdamW and the moving average. PyTorch runs eagerly, eagerly
with `channels_last`, and with `torch.compile`. The table has the fastest of the three by images per second.

Machine: {}.

Each side ran {first} steps and {first} + {steps} steps, {rounds} times each. The table gives the difference between the shortest runs, which is
training without start-up, loading and saving. On a machine with other work, compare the processor time (of all threads,
per thousand images). Ratios above 1 are in freeguide's favour. They hold for this machine: another processor gives others.

| image | batch | threads | freeguide, images/s | PyTorch, images/s | ratio | freeguide, CPU s per 1000 | PyTorch, CPU s per 1000 | ratio | freeguide, peak MiB | PyTorch, peak MiB |
|---|---|---|---|---|---|---|---|---|---|---|
",
        machine::describe(),
        first = FIRST_STEPS,
    );
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    text
}
