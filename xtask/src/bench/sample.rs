//! `cargo xtask bench sample`: the shipped models in freeguide and in ONNX Runtime, sampled on the CPU.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::machine;
use super::process::{Cost, measure};
use crate::sh::{Sh, freeguide, root, say, sh, target};
use crate::{checks, python};

/// Where the table is written.
const REPORT: &str = "docs/results/bench-sample.md";

/// The models that are compared.
const MODELS: [&str; 3] = ["emoji16", "cifar10-small", "tiny-imagenet20"];

/// The numbers of images per step.
const IMAGES: [usize; 2] = [1, 9];

/// Steps of the short sampling that is subtracted from the long one.
const FIRST_STEPS: usize = 4;

/// A short and a long sampling by one of the two programs. The difference is sampling without start-up and loading.
#[derive(Clone, Copy)]
struct Runs {
    short: Cost,
    long: Cost,
}

impl Runs {
    fn measure(steps: usize, program: impl Fn(usize) -> Sh) -> Result<Self> {
        Ok(Self {
            short: measure(program(FIRST_STEPS))?,
            long: measure(program(FIRST_STEPS + steps))?,
        })
    }

    fn best(self, other: Self) -> Self {
        Self {
            short: self.short.best(other.short),
            long: self.long.best(other.long),
        }
    }

    /// Milliseconds per step.
    fn step(self, steps: usize) -> f64 {
        (self.long.seconds - self.short.seconds) / steps as f64 * 1000.0
    }
}

/// Measures, prints the table and writes it to [`REPORT`].
///
/// # Errors
///
/// If a program is missing or fails.
pub fn run(python: Option<&Path>, rounds: usize, steps: usize) -> Result<()> {
    say("building the freeguide command");
    checks::command()?;
    let python = match python {
        Some(python) => python.to_owned(),
        None => python::venv(&["numpy", "onnxruntime"])?,
    };
    let folder = target().join("bench-sample");
    let mut rows = Vec::new();
    for name in MODELS {
        let model = root().join("models").join(name);
        let onnx = export(&model, &folder.join(name))?;
        for images in IMAGES {
            let mut best: Option<[Runs; 2]> = None;
            // In turns, so that other work on the machine affects both.
            for round in 1..=rounds {
                say(&format!(
                    "{name}, {images} images, round {round} of {rounds}"
                ));
                let ours = Runs::measure(steps, |n| ours(&model, &folder, images, n))?;
                let theirs = Runs::measure(steps, |n| theirs(&python, &onnx, images, n))?;
                best = Some(match best {
                    Some([a, b]) => [a.best(ours), b.best(theirs)],
                    None => [ours, theirs],
                });
            }
            if let Some(best) = best {
                rows.push(row(name, images, best, steps));
            }
        }
    }
    let version = sh(&python)
        .args("-c")
        .arg("import onnxruntime; print(onnxruntime.__version__)")
        .read()?;
    let report = report(&rows, &version, rounds, steps);
    println!("{report}");
    let path = root().join(REPORT);
    fs::write(&path, report).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!("written to {REPORT}"));
    Ok(())
}

fn export(model: &Path, folder: &Path) -> Result<PathBuf> {
    let _ = fs::remove_dir_all(folder);
    sh(freeguide())
        .args("export --format onnx --model")
        .arg(model)
        .arg("--out")
        .arg(folder)
        .quietly()?;
    Ok(folder.join("denoiser.onnx"))
}

/// `freeguide sample`, as anybody runs it.
fn ours(model: &Path, folder: &Path, images: usize, steps: usize) -> Sh {
    sh(freeguide())
        .args("sample --device cpu --sampler ddim --guidance 2 --seed 1 --model")
        .arg(model)
        .args(&format!("--count {images} --steps {steps} --out"))
        .arg(folder.join("sheet.png"))
}

/// tests/python/bench_sample.py.
fn theirs(python: &Path, onnx: &Path, images: usize, steps: usize) -> Sh {
    sh(python)
        .arg("tests/python/bench_sample.py")
        .arg(onnx)
        .args(&format!("{images} {steps}"))
}

fn row(name: &str, images: usize, [ours, theirs]: [Runs; 2], steps: usize) -> String {
    let mebibytes = |cost: Cost| cost.peak_memory as f64 / f64::from(1 << 20);
    format!(
        "| {name} | {images} | {:.1} | {:.1} | {:.2} | {:.0} | {:.0} |",
        ours.step(steps),
        theirs.step(steps),
        ours.step(steps) / theirs.step(steps),
        mebibytes(ours.long),
        mebibytes(theirs.long),
    )
}

fn report(rows: &[String], version: &str, rounds: usize, steps: usize) -> String {
    let mut report = format!(
        "# Sampling speed against ONNX Runtime\n\n\
         Made by `cargo xtask bench sample`: the same weights in `freeguide sample` and, exported by `freeguide export --format \
         onnx`, in\nONNX Runtime {version} (`tests/python/bench_sample.py`), in turns, in 32-bit floats on the CPU, both with all \
         threads. A step is guided:\nan evaluation of two rows for each image, and the step of DDIM.\n\n\
         Machine: {}.\n\n\
         Both programs ran {rounds} times {FIRST_STEPS} steps and {} steps. The table gives the difference of the shortest runs, \
         which is sampling without\nstart-up, loading and saving. Ratios below 1 are in freeguide's favour.\n\n\
         | model | images | freeguide, ms per step | ONNX Runtime, ms per step | ratio | freeguide, peak MiB | ONNX Runtime, peak MiB |\n\
         |---|---|---|---|---|---|---|\n",
        machine::describe(),
        FIRST_STEPS + steps,
    );
    for row in rows {
        let _ = writeln!(report, "{row}");
    }
    report
}
