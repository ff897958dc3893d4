//! Binaryen's optimiser for WebAssembly.

use std::path::PathBuf;

use super::system::{self, Package};
use crate::sh::{say, which};

/// `wasm-opt`, or `None` if it cannot be installed. An unoptimised file also works, but is larger and
/// slower.
pub fn wasm_opt() -> Option<PathBuf> {
    if let Some(path) = which("wasm-opt") {
        return Some(path);
    }
    if let Err(error) = system::install(&Package {
        usual: "binaryen",
        brew: "binaryen",
    }) {
        let first = format!("{error}")
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        say(&format!(
            "without wasm-opt the runtime is larger and slower; to install it: {first}"
        ));
    }
    which("wasm-opt")
}
