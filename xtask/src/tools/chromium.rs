//! The browser that the tests use.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::system::{self, Package};
use crate::sh::{sh, which};

const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
];
const MAC: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// A Chromium or Chrome: from the variable `CHROMIUM`, else from `PATH`, else installed by the package manager.
pub fn chromium() -> Result<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM").map(PathBuf::from) {
        if !runs(&path) {
            bail!("CHROMIUM names {}, which does not run", path.display());
        }
        return Ok(path);
    }
    if let Some(path) = find() {
        return Ok(path);
    }
    system::install(&Package {
        usual: "chromium",
        brew: "--cask chromium",
    })
    .context(
        "the browser tests need Chromium or Chrome; the variable CHROMIUM can name its file",
    )?;
    find().context("the installed Chromium is not on PATH: set the variable CHROMIUM to its file")
}

fn find() -> Option<PathBuf> {
    let on_path = NAMES.iter().filter_map(|name| which(name));
    let on_mac = MAC.iter().map(PathBuf::from).filter(|path| path.is_file());
    on_path.chain(on_mac).find(|path| runs(path))
}

fn runs(path: &Path) -> bool {
    sh(path).arg("--version").quietly().is_ok()
}
