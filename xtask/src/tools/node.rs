//! Node, npm and npm packages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::sh::{Sh, root, say, sh, which};

/// The oldest Node that Vite supports, as major and minor version.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// An `npm` command in a folder, without funding and update messages.
pub fn npm(folder: &Path) -> Sh {
    sh("npm")
        .dir(folder)
        .env("npm_config_fund", "false")
        .env("npm_config_audit", "false")
        .env("npm_config_update_notifier", "false")
}

/// Installs the packages of a folder's package-lock.json, if they have changed since the last time.
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

/// Fails with one line if Node is missing or too old.
fn node() -> Result<()> {
    let (major, minor) = OLDEST_NODE;
    let how = format!("install Node {major}.{minor} or newer with npm: https://nodejs.org");
    let Ok(printed) = sh("node").arg("--version").read() else {
        bail!("Node is missing: {how}");
    };
    if version(&printed).is_none_or(|found| found < OLDEST_NODE) {
        bail!("Node {printed} is too old: {how}");
    }
    if which("npm").is_none() {
        bail!("npm is missing: {how}");
    }
    Ok(())
}

/// Major and minor version from a string such as "v20.19.2".
fn version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed
        .strip_prefix('v')?
        .split('.')
        .map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_prints_its_version() {
        assert_eq!(version("v20.19.2"), Some((20, 19)));
        assert_eq!(version("20"), None);
        assert_eq!(version("vx.1"), None);
    }
}
