//! Tools that rustup and cargo install.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::sh::{cargo, root, say, sh, target, which};

const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Provides the standard library for WebAssembly.
pub fn wasm_target() -> Result<()> {
    let there = || -> Result<bool> {
        let rustc = sh("rustc")
            .args("--print target-libdir --target")
            .arg(WASM_TARGET);
        Ok(Path::new(&rustc.read()?).is_dir())
    };
    if !there()? {
        if which("rustup").is_none() {
            bail!(
                "Rust's {WASM_TARGET} target is missing: install it from where you got Rust, or with rustup (https://rustup.rs): rustup target add {WASM_TARGET}"
            );
        }
        say(&format!("rustup target add {WASM_TARGET}"));
        sh("rustup").args("target add").arg(WASM_TARGET).quietly()?;
    }
    Ok(())
}

/// Provides the formatter, which minimal toolchains lack.
pub fn rustfmt() -> Result<()> {
    if cargo().args("fmt --version").quietly().is_err() {
        if which("rustup").is_none() {
            bail!(
                "rustfmt is missing: install it from where you got Rust, or with rustup (https://rustup.rs): rustup component add rustfmt"
            );
        }
        say("rustup component add rustfmt");
        sh("rustup").args("component add rustfmt").quietly()?;
    }
    Ok(())
}

/// The wasm-bindgen command, from `PATH` or installed into target/tools. Its version must be exactly
/// that of the crate.
pub fn wasm_bindgen() -> Result<PathBuf> {
    let version = locked_version("wasm-bindgen")?;
    let right = |path: &Path| {
        let printed = sh(path).arg("--version").read().unwrap_or_default();
        printed.split_whitespace().nth(1) == Some(version.as_str())
    };
    let tools = target().join("tools");
    let own = tools
        .join("bin")
        .join(format!("wasm-bindgen{}", std::env::consts::EXE_SUFFIX));
    for path in which("wasm-bindgen").into_iter().chain([own.clone()]) {
        if right(&path) {
            return Ok(path);
        }
    }
    say(&format!(
        "cargo install wasm-bindgen-cli {version} into target/tools (about 2 minutes)"
    ));
    // The default features are for its test runner and bring a TLS stack.
    let install = || {
        cargo()
            .args("install wasm-bindgen-cli --no-default-features --bin wasm-bindgen --force")
            .args("--version")
            .arg(&version)
            .arg("--root")
            .arg(&tools)
    };
    // First with its lock file. A registry mirror may lack a version that it names.
    let installed = install()
        .arg("--locked")
        .quietly()
        .or_else(|_| install().quietly());
    installed.with_context(|| {
        format!("wasm-bindgen is missing: cargo install wasm-bindgen-cli --version {version}")
    })?;
    Ok(own)
}

/// The version of burn-onnx that generates code for our version of burn.
const BURN_ONNX: &str = "0.22.0";

/// The command of burn-onnx, installed into target/tools.
pub fn onnx2burn() -> Result<PathBuf> {
    let tools = target()
        .join("tools")
        .join(format!("burn-onnx-{BURN_ONNX}"));
    let program = tools
        .join("bin")
        .join(format!("onnx2burn{}", std::env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    say(&format!(
        "cargo install burn-onnx {BURN_ONNX} into target/tools (about 5 minutes)"
    ));
    // It runs for a second; an optimised build would take longer to compile.
    cargo()
        .args("install burn-onnx --debug --locked --bin onnx2burn --version")
        .arg(format!("={BURN_ONNX}"))
        .arg("--root")
        .arg(&tools)
        .quietly()
        .context("burn-onnx cannot be installed")?;
    Ok(program)
}

/// The version of cargo-sbom that lists the crates of a release.
const CARGO_SBOM: &str = "0.10.0";

/// The command cargo-sbom, installed into target/tools.
pub fn cargo_sbom() -> Result<PathBuf> {
    let tools = target()
        .join("tools")
        .join(format!("cargo-sbom-{CARGO_SBOM}"));
    let program = tools
        .join("bin")
        .join(format!("cargo-sbom{}", std::env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    say(&format!(
        "cargo install cargo-sbom {CARGO_SBOM} into target/tools (about 1 minute)"
    ));
    cargo()
        .args("install cargo-sbom --debug --locked --version")
        .arg(format!("={CARGO_SBOM}"))
        .arg("--root")
        .arg(&tools)
        .quietly()
        .context("cargo-sbom cannot be installed")?;
    Ok(program)
}

/// The version of a package in Cargo.lock.
fn locked_version(package: &str) -> Result<String> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    version_in(&lock, package).with_context(|| format!("Cargo.lock has no {package}"))
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let mut lines = lock.lines();
    lines.find(|line| *line == format!("name = \"{package}\""))?;
    let version = lines
        .next()?
        .strip_prefix("version = \"")?
        .strip_suffix('"')?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_is_that_of_the_very_package() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.50\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "wasm"), None);
    }

    #[test]
    fn our_own_lock_file_has_wasm_bindgen() {
        assert!(locked_version("wasm-bindgen").unwrap().starts_with("0.2."));
    }
}
