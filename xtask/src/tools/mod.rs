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

pub use chromium::chromium;
pub use lavapipe::lavapipe;
pub use mpi::mpi;
pub use node::{npm, npm_ci};
pub use rust::{onnx2burn, rustfmt, wasm_bindgen, wasm_target};
pub use wasm_opt::wasm_opt;

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
    lavapipe()?;
    for package in [js(), www(), browser_tests(), gpu_tests()] {
        npm_ci(&package)?;
    }
    let chromium = chromium()?;
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
