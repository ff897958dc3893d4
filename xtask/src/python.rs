//! The Python packages that tests compare with, in a virtual environment in target/python. The
//! Python of the machine is not changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::sh::{root, say, sh, which};
use crate::tools::system::{self, Package};

/// The pinned versions of all packages: a pip constraints file.
fn pinned() -> PathBuf {
    root().join("tests/requirements.txt")
}

/// The interpreter of an environment with these packages, named as in tests/requirements.txt. pip
/// installs what is missing.
pub fn venv(packages: &[&str]) -> Result<PathBuf> {
    let folder = root().join("target/python");
    let python = if cfg!(windows) {
        folder.join("Scripts/python.exe")
    } else {
        folder.join("bin/python")
    };
    let pinned = pinned();
    let versions =
        fs::read_to_string(&pinned).with_context(|| format!("cannot read {}", pinned.display()))?;
    // An environment with other versions is created again.
    let stamp = folder.join("xtask-versions");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&versions) {
        let _ = fs::remove_dir_all(&folder);
        create(&folder)?;
        fs::write(&stamp, &versions)?;
    }
    let installed = folder.join("xtask-installed");
    let mut have = fs::read_to_string(&installed).unwrap_or_default();
    let missing: Vec<_> = packages
        .iter()
        .filter(|package| !have.lines().any(|line| line == **package))
        .collect();
    if missing.is_empty() {
        return Ok(python);
    }
    let wanted: Vec<_> = missing
        .iter()
        .map(|package| version(&versions, package))
        .collect();
    let wanted = wanted.into_iter().collect::<Result<Vec<_>>>()?.join(" ");
    say(&format!("pip install {wanted} into target/python"));
    sh(&python)
        .args("-m pip --disable-pip-version-check install --quiet --no-compile --constraint")
        .arg(&pinned)
        .args(&wanted)
        .quietly()?;
    for package in missing {
        have = format!("{have}{package}\n");
    }
    fs::write(&installed, have)?;
    Ok(python)
}

/// The line "name==version" of a package.
fn version(versions: &str, package: &str) -> Result<String> {
    let line = versions
        .lines()
        .find(|line| line.split("==").next() == Some(package));
    match line {
        Some(line) => Ok(line.to_owned()),
        None => bail!("{package} has no line in tests/requirements.txt"),
    }
}

/// Creates an empty environment. On Debian, the venv module is a separate package.
fn create(folder: &Path) -> Result<()> {
    let make = || {
        let name = if cfg!(windows) { "python" } else { "python3" };
        sh(name).args("-m venv").arg(folder).quietly()
    };
    if which("python3").is_some() && make().is_ok() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(folder);
    system::install(&Package {
        usual: "python3-venv",
        brew: "python",
    })
    .context("comparisons with PyTorch and others need Python 3 with its venv module")?;
    make()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_by_its_whole_name() {
        let versions = "# Pinned\nonnx==1.0\nonnxruntime==2.0\n";
        assert_eq!(
            version(versions, "onnxruntime").unwrap(),
            "onnxruntime==2.0"
        );
        assert_eq!(version(versions, "onnx").unwrap(), "onnx==1.0");
        let error = version(versions, "torch").unwrap_err().to_string();
        assert!(error.contains("torch has no line"), "{error}");
    }
}
