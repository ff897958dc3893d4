//! The npm package as one file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::site;
use crate::tools::{self, npm};
use crate::wasm::{self, Build};

/// Files that the package must contain. npm silently leaves out missing ones.
const WANTED: [&str; 10] = [
    "package.json",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "dist/index.js",
    "dist/index.d.ts",
    "dist/element.js",
    "dist/service-worker.js",
    "wasm/cpu/freeguide_cpu_bg.wasm",
    "wasm/webgpu/freeguide_webgpu_bg.wasm",
];

/// Builds the runtime and the TypeScript package and packs them into `out` as
/// `freeguide-VERSION.tgz`, for `npm install FILE`. Returns that file.
pub fn build(out: &Path) -> Result<PathBuf> {
    wasm::build_all(&Build::ALL)?;
    Build::ALL.into_iter().try_for_each(wasm::install)?;
    site::package()?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let printed = npm(&tools::js())
        .args("pack --json --pack-destination")
        .arg(std::path::absolute(out)?)
        .read()?;
    let packed: Value = serde_json::from_str(&printed).context("npm pack printed no JSON")?;
    let (name, files) = listing(&packed).context("npm pack described no package")?;
    if let Some(missing) = WANTED.iter().find(|file| !files.contains(file)) {
        bail!("the package has no {missing}");
    }
    Ok(out.join(name))
}

/// The name and the files of the tarball, from the output of `npm pack --json`.
fn listing(packed: &Value) -> Option<(&str, Vec<&str>)> {
    let package = packed.get(0)?;
    let files = package["files"].as_array()?;
    let paths = files.iter().filter_map(|file| file["path"].as_str());
    Some((package["filename"].as_str()?, paths.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn npms_listing_is_read() {
        let package =
            json!({ "filename": "a-1.tgz", "files": [{ "path": "x.js" }, { "path": "y.js" }] });
        let read = Some(("a-1.tgz", vec!["x.js", "y.js"]));
        assert_eq!(listing(&json!([package])), read);
        assert_eq!(listing(&json!([])), None);
    }
}
