//! The static site: the page, the runtime and the models in one folder.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sh::{Sh, replace_dir, root, say, sh};
use crate::tools::{self, npm, npm_ci};
use crate::wasm::{self, Build};

/// Builds the package and the page with these builds of the runtime, which must exist, and writes
/// everything that a static host needs to `out`: page, runtime, and the bundles of models/. The site
/// works from any path.
pub fn build(out: &Path, builds: &[Build]) -> Result<()> {
    build_linked(out, builds, None)
}

/// The same with the documentation of the package in `reference/`, to which the page then links.
pub fn build_with_reference(out: &Path, builds: &[Build]) -> Result<()> {
    build_linked(out, builds, Some("./reference/"))?;
    reference(&out.join("reference"))
}

/// `reference`: where the page finds the documentation of the package, if it is to be there.
fn build_linked(out: &Path, builds: &[Build], reference: Option<&str>) -> Result<()> {
    for build in Build::ALL {
        if builds.contains(&build) {
            wasm::install(build)?;
        } else {
            wasm::withdraw(build)?;
        }
    }
    if !has_bundle()? {
        say("models/ has no bundle, so the page will have no model");
    }
    package()?;
    write_page(out, &root().join("models"), reference)
}

/// Builds the page with the current package and the bundles of a folder.
pub fn page(out: &Path, models: &Path) -> Result<()> {
    write_page(out, models, None)
}

fn write_page(out: &Path, models: &Path, reference: Option<&str>) -> Result<()> {
    npm_ci(&tools::www())?;
    say("building the page");
    let new = out.with_extension("new");
    npm(&tools::www())
        .env("FREEGUIDE_MODELS", models)
        .env("VITE_REFERENCE", reference.unwrap_or_default())
        .args("run build -- --emptyOutDir --outDir")
        .arg(&new)
        .quietly()?;
    replace_dir(&new, out)
}

/// Builds the TypeScript package with its current runtime.
pub fn package() -> Result<()> {
    npm_ci(&tools::js())?;
    npm(&tools::js()).args("run build").quietly()
}

/// Writes the documentation of every export of the package, from its comments, as pages to `out`.
fn reference(out: &Path) -> Result<()> {
    typedoc(&["--out".as_ref(), out.as_os_str()])
}

/// Fails if an export of the package has no comment, or a comment links to what is not there.
pub fn check_reference() -> Result<()> {
    typedoc(&["--emit".as_ref(), "none".as_ref()])
}

fn typedoc(options: &[&OsStr]) -> Result<()> {
    let folder = tools::typedoc();
    npm_ci(&folder)?;
    let program = sh("node")
        .dir(&folder)
        .arg("node_modules/typedoc/bin/typedoc");
    options.iter().fold(program, Sh::arg).quietly()
}

/// Installs the npm packages that the package and the page are built with.
pub fn packages() -> Result<()> {
    npm_ci(&tools::js())?;
    npm_ci(&tools::www())
}

/// Whether models/ contains a bundle.
fn has_bundle() -> Result<bool> {
    let models = fs::read_dir(root().join("models")).context("cannot read models/")?;
    for model in models {
        if model?.path().join("config.json").is_file() {
            return Ok(true);
        }
    }
    Ok(false)
}
