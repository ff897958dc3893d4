//! `cargo xtask test`: every check of the project, with a summary.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::sh::{Sh, cargo, freeguide, root, say, sh};
use crate::tools::{self, npm, npm_ci};
use crate::wasm::{self, Build};
use crate::{Checks, compile_onnx, python, site};

/// Runs the requested checks, or the default ones if none was requested. After a failure, it
/// continues with every check that does not depend on the failed one.
pub fn run(mut wanted: Checks) -> Result<ExitCode> {
    let named = [
        wanted.native,
        wanted.onnx,
        wanted.js,
        wanted.browser,
        wanted.bundlers,
        wanted.gpu,
        wanted.compiled,
        wanted.python,
        wanted.lint,
    ];
    if !named.contains(&true) {
        wanted.native = true;
        wanted.onnx = true;
        wanted.js = true;
        wanted.browser = true;
        wanted.gpu = true;
    }
    let interpreter = wanted.interpreter.as_deref();
    let mut report = Report::default();
    if wanted.gpu && !tools::has_lavapipe() {
        wanted.gpu = false;
        let why = "lavapipe comes from the packages of Debian 12 on x86-64";
        report.skip("GPU tests", why.to_owned());
    }
    if wanted.native || wanted.lint {
        report.check("format", &[], format);
    }
    if wanted.lint {
        report.check("clippy", &[], clippy);
        report.check("documentation", &[], documentation);
    }
    if wanted.native {
        report.check("warnings", &[], warnings);
        report.check("native tests", &[], native);
    }
    if wanted.onnx {
        report.check("onnxruntime", &[], || {
            python(&ONNX_PACKAGES, interpreter, "tests/python", "test_onnx*.py")
        });
    }
    if wanted.js || wanted.browser || wanted.bundlers || wanted.gpu {
        report.check("wasm cpu", &[], || {
            wasm::build_all(&[Build::Cpu])?;
            wasm::install(Build::Cpu)
        });
    }
    if wanted.js {
        report.check("JavaScript tests", &["wasm cpu"], javascript);
        report.check("package tests", &["JavaScript tests"], packaged);
    }
    if wanted.bundlers {
        report.check("bundlers", &["wasm cpu"], bundlers);
    }
    if wanted.browser || wanted.gpu {
        report.check("wasm webgpu", &[], || wasm::build_all(&[Build::WebGpu]));
    }
    if wanted.gpu {
        report.check("GPU tests", &["wasm cpu", "wasm webgpu"], gpu);
    }
    if wanted.browser {
        let site = root().join("target/test-site");
        let all = ["wasm cpu", "wasm webgpu"];
        report.check("site", &all, || {
            site::build_with_reference(&site, &Build::ALL)
        });
        report.check("browser tests", &["site"], browser);
    }
    if wanted.compiled {
        report.check("compiled networks", &[], || compiled(interpreter));
    }
    if wanted.python {
        report.check("Python tests", &[], || {
            python(&TORCH_PACKAGES, interpreter, "tests/python", "test_*.py")
        });
    }
    Ok(report.print())
}

fn format() -> Result<()> {
    tools::rustfmt()?;
    cargo().args("fmt --all --check").run()
}

/// Clippy on the native crates. It checks all dependencies again.
fn clippy() -> Result<()> {
    cargo()
        .args("clippy --release --all-targets")
        .args(tools::mpi())
        .args("-- --deny warnings")
        .run()
}

/// The documentation of every public item, without a broken link.
fn documentation() -> Result<()> {
    cargo()
        .args("doc --release --no-deps")
        .args(tools::mpi())
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// Compiles all tests and fails if the compiler warns about our own code. A compiler flag that
/// denies warnings would compile every dependency again.
fn warnings() -> Result<()> {
    let mut running = cargo()
        .args("test --release --no-run --message-format json-diagnostic-rendered-ansi")
        .args(tools::mpi())
        .piped()?;
    let mut count = 0;
    for line in BufReader::new(running.child.stdout.take().expect("piped")).lines() {
        let line = line.context("cannot read cargo's output")?;
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if let Some(rendered) = message["message"]["rendered"].as_str() {
            eprint!("{rendered}");
            count += u32::from(message["message"]["level"] == "warning");
        }
    }
    running.wait()?;
    if count > 0 {
        bail!("{count} compiler warnings, see above");
    }
    Ok(())
}

/// Builds the command with the features of the tests, so that no dependency is compiled twice.
pub(crate) fn command() -> Result<()> {
    cargo()
        .args("test --release --no-run")
        .args(tools::mpi())
        .run()
}

fn native() -> Result<()> {
    cargo()
        .args("test --release --no-fail-fast")
        .args(tools::mpi())
        .run()
}

/// Compiles and tests the package, then the page.
fn javascript() -> Result<()> {
    site::packages()?;
    npm(&tools::js()).arg("test").run()?;
    npm(&tools::www()).args("run check").run()?;
    npm(&tools::www()).args("run --if-present test").run()
}

/// Tests the packed package in the engines, its documentation, and what packs a release.
fn packaged() -> Result<()> {
    let tests = tools::engine_tests();
    npm_ci(&tests)?;
    npm(&tests).arg("test").run()?;
    site::check_reference()?;
    let packing = tools::release_scripts();
    npm_ci(&packing)?;
    npm(&packing).arg("test").run()
}

/// Builds the same lines with each bundler and compares what they draw in Chromium.
fn bundlers() -> Result<()> {
    let chromium = tools::chromium()?;
    let [tests, browser] = [tools::bundler_tests(), tools::browser_tests()];
    site::package()?;
    npm_ci(&tests)?;
    npm_ci(&browser)?;
    npm(&tests).arg("test").env("CHROMIUM", chromium).run()
}

/// Tests the site in a browser, against the images of the native command.
fn browser() -> Result<()> {
    let chromium = tools::chromium()?;
    tools::webkit();
    let tests = tools::browser_tests();
    npm_ci(&tests)?;
    command()?;
    let test: Sh = npm(&tests).arg("test");
    test.env("CHROMIUM", chromium)
        .env("FREEGUIDE", freeguide())
        .env("FREEGUIDE_SITE", root().join("target/test-site"))
        .run()
}

/// Draws on a GPU's driver that needs no GPU, in Node, Deno and Bun.
fn gpu() -> Result<()> {
    let driver = tools::lavapipe()?;
    Build::ALL.into_iter().try_for_each(wasm::install)?;
    site::package()?;
    let tests = tools::gpu_tests();
    npm_ci(&tests)?;
    driver.for_command(npm(&tests).arg("test")).run()
}

/// The packages that the tests of ONNX files import, some 60 MB.
const ONNX_PACKAGES: [&str; 5] = ["numpy", "onnx", "onnxruntime", "pillow", "safetensors"];

/// The packages that all of tests/python imports.
const TORCH_PACKAGES: [&str; 15] = [
    "datasets",
    "diffusers",
    "huggingface_hub",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxslim",
    "openvino",
    "pillow",
    "safetensors",
    "scikit-learn",
    "scipy",
    "torch",
    "torch_fidelity",
    "webdataset",
];

/// Runs the Python tests in the files of a folder that match a pattern. They compare the command
/// with PyTorch, onnxruntime and others. Without an interpreter, the packages are installed into an
/// environment of our own.
fn python(
    packages: &[&str],
    interpreter: Option<&Path>,
    folder: &str,
    pattern: &str,
) -> Result<()> {
    command()?;
    let interpreter = match interpreter {
        Some(given) => given.to_owned(),
        None => python::venv(packages)?,
    };
    sh(interpreter)
        .args("-m unittest discover --verbose --start-directory")
        .arg(folder)
        .arg("--pattern")
        .arg(pattern)
        .env("FREEGUIDE", freeguide())
        .env("FREEGUIDE_COMPILED", compiled_folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .run()
}

fn compiled_folder() -> PathBuf {
    root().join("target/compiled")
}

/// Tests runtimes compiled from ONNX files, in Node: a mixer from PyTorch, and an export of ours.
fn compiled(interpreter: Option<&Path>) -> Result<()> {
    command()?;
    let folder = compiled_folder();
    sh(freeguide())
        .args("export --format onnx --model tests/fixtures/tiny-model --out")
        .arg(folder.join("onnx"))
        .quietly()?;
    let mixer = root().join("tests/fixtures/mixer.onnx");
    compile_onnx::run(&mixer, &folder.join("mixer"), &[Build::Cpu])?;
    let tiny = folder.join("onnx/denoiser.onnx");
    compile_onnx::run(&tiny, &folder.join("tiny"), &[Build::Cpu])?;
    python(&ONNX_PACKAGES, interpreter, "tests/compiled", "test_*.py")
}

/// The checks that ran, with their outcomes.
#[derive(Default)]
struct Report {
    checks: Vec<Check>,
}

struct Check {
    name: &'static str,
    took: Duration,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(String),
    /// Not run: why.
    Skipped(String),
}

impl Report {
    /// Runs a check, unless one that it depends on did not pass.
    fn check(&mut self, name: &'static str, needs: &[&str], run: impl FnOnce() -> Result<()>) {
        let start = Instant::now();
        let broken = self
            .checks
            .iter()
            .find(|check| needs.contains(&check.name) && !matches!(check.outcome, Outcome::Passed));
        let outcome = if let Some(broken) = broken {
            Outcome::Skipped(format!("{} did not pass", broken.name))
        } else {
            say(&format!("── {name}"));
            match run() {
                Ok(()) => Outcome::Passed,
                Err(error) => {
                    say(&format!("{name} FAILED: {error:#}"));
                    Outcome::Failed(format!("{error:#}"))
                }
            }
        };
        self.checks.push(Check {
            name,
            took: start.elapsed(),
            outcome,
        });
    }

    /// Notes a check that cannot run here.
    fn skip(&mut self, name: &'static str, why: String) {
        say(&format!("── {name}: skipped, {why}"));
        self.checks.push(Check {
            name,
            took: Duration::ZERO,
            outcome: Outcome::Skipped(why),
        });
    }

    /// Prints the summary. Its last line gives the counts.
    fn print(&self) -> ExitCode {
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        println!("\nSummary");
        for check in &self.checks {
            let seconds = check.took.as_secs_f64();
            let (word, why) = match &check.outcome {
                Outcome::Passed => {
                    passed += 1;
                    ("ok", String::new())
                }
                Outcome::Failed(error) => {
                    failed += 1;
                    (
                        "FAILED",
                        error.lines().next().unwrap_or_default().to_owned(),
                    )
                }
                Outcome::Skipped(why) => {
                    skipped += 1;
                    ("skipped", why.clone())
                }
            };
            println!(
                "{}",
                format!("  {word:<8} {:<18} {seconds:>7.1} s  {why}", check.name).trim_end()
            );
        }
        let skipped_too = if skipped > 0 {
            format!(", {skipped} skipped")
        } else {
            String::new()
        };
        println!("checks: {passed} passed, {failed} failed{skipped_too}");
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_skips_only_what_needs_it() {
        let mut report = Report::default();
        report.check("a", &[], || bail!("broken"));
        report.check("b", &["a"], || unreachable!("its need has failed"));
        report.check("c", &["b"], || unreachable!("its need was skipped"));
        report.check("d", &[], || Ok(()));
        report.skip("e", "not here".to_owned());
        let words = report.checks.iter().map(|check| match check.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::Skipped(_) => "skipped",
        });
        assert_eq!(
            words.collect::<Vec<_>>(),
            ["failed", "skipped", "skipped", "passed", "skipped"]
        );
        assert_eq!(report.print(), ExitCode::FAILURE);
    }
}
