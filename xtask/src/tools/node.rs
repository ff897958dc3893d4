//! Node, npm and the packages that come through them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::sh::{Sh, root, say, sh};

/// The oldest Node that Vite and the tests run on.
const OLDEST_NODE: u32 = 20;

/// An `npm` command in a folder, with its advertisements off.
pub fn npm(folder: &Path) -> Sh {
    sh("npm")
        .dir(folder)
        .env("npm_config_fund", "false")
        .env("npm_config_audit", "false")
        .env("npm_config_update_notifier", "false")
}

/// The packages of a folder's package-lock.json, installed anew only where it has changed.
pub fn npm_ci(folder: &Path) -> Result<()> {
    node()?;
    let shown = folder.strip_prefix(root()).unwrap_or(folder).display();
    let wanted = ["package.json", "package-lock.json"].map(|name| fs::read(folder.join(name)));
    let [Ok(package), Ok(lock)] = wanted else {
        bail!("{shown} has no package.json or no package-lock.json");
    };
    let wanted = [package, lock].concat();
    let stamp = folder.join("node_modules/.xtask-installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    say(&format!("npm ci in {shown}"));
    npm(folder).arg("ci").quietly()?;
    fs::create_dir_all(folder.join("node_modules"))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Fails with one line where Node is missing or too old.
fn node() -> Result<()> {
    let how = format!("install Node {OLDEST_NODE} or newer with npm: https://nodejs.org");
    let Ok(version) = sh("node").arg("--version").read() else {
        bail!("Node is missing: {how}");
    };
    match major(&version) {
        Some(major) if major >= OLDEST_NODE => Ok(()),
        _ => bail!("Node {version} is too old: {how}"),
    }
}

/// 20 of "v20.20.2".
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_prints_its_major_version() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("20"), None);
    }
}
