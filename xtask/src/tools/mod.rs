//! The tools and packages that building and testing need. Each function provides one of them. It
//! prints nothing if the tool is present, says in one line what it installs, and if it cannot install
//! it, fails with one line that names the tool and the command.

mod chromium;
mod lavapipe;
mod mpi;
mod node;
mod rust;
pub mod system;
mod wasm_opt;
mod webkit;

pub use chromium::chromium;
pub use lavapipe::{has_lavapipe, lavapipe};
pub use mpi::mpi;
pub use node::{npm, npm_ci};
pub use rust::{cargo_sbom, onnx2burn, rustfmt, wasm_bindgen, wasm_target};
pub use wasm_opt::wasm_opt;
pub use webkit::webkit;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::sh::{root, say};

/// The folder of the TypeScript package.
pub fn js() -> PathBuf {
    root().join("runtime-web/js")
}

/// The folder of the page.
pub fn www() -> PathBuf {
    root().join("www")
}

/// The folder of the browser tests.
pub fn browser_tests() -> PathBuf {
    root().join("tests/browser")
}

/// The tests of the packed package in Node, Deno, Bun and workerd.
pub fn engine_tests() -> PathBuf {
    root().join("tests/engines")
}

/// The tests of the packed package with bundlers.
pub fn bundler_tests() -> PathBuf {
    root().join("tests/bundlers")
}

/// What packs a release, and its tests.
pub fn release_scripts() -> PathBuf {
    root().join("xtask/release")
}

/// What generates the documentation of the TypeScript package.
pub fn typedoc() -> PathBuf {
    root().join("xtask/typedoc")
}

/// The tests on a GPU's driver.
pub fn gpu_tests() -> PathBuf {
    root().join("tests/gpu")
}

/// Provides all tools, for `cargo xtask setup`.
pub fn all() -> Result<()> {
    wasm_target()?;
    rustfmt()?;
    let bindgen = wasm_bindgen()?;
    let optimiser = wasm_opt();
    if has_lavapipe() {
        lavapipe()?;
    }
    let packages = [
        js(),
        www(),
        browser_tests(),
        engine_tests(),
        gpu_tests(),
        release_scripts(),
        typedoc(),
    ];
    packages.iter().try_for_each(|package| npm_ci(package))?;
    let chromium = chromium()?;
    webkit();
    mpi();
    let name = |path: &Path| path.display().to_string();
    say(&format!(
        "ready: {}, {}, {}",
        name(&bindgen),
        optimiser.map_or("no wasm-opt".to_owned(), |path| name(&path)),
        name(&chromium)
    ));
    Ok(())
}
