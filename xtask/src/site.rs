//! The static site: the page, the runtime and the models in one folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::sh::{copy_dir, replace_dir, root, say};
use crate::tools::{self, npm, npm_ci};
use crate::wasm::{self, Build};

/// Builds the package and the page with these builds of the runtime, which must have been made,
/// and writes all that a static host needs to `out`. Nothing in it depends on where it is served.
pub fn build(out: &Path, builds: &[Build]) -> Result<()> {
    packages()?;
    let new = out.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    for build in Build::ALL {
        if builds.contains(&build) {
            wasm::install(build)?
        } else {
            wasm::withdraw(build)?
        }
    }
    page(&new)?;
    models(&new.join("models"))?;
    replace_dir(&new, out)
}

/// Installs what the package and the page are built with.
pub fn packages() -> Result<()> {
    npm_ci(&tools::js())?;
    npm_ci(&tools::www())
}

fn page(out: &Path) -> Result<()> {
    say("building the page");
    npm(&tools::js()).args("run build").quietly()?;
    npm(&tools::www()).args("run build").quietly()?;
    copy_dir(&tools::www().join("dist"), out)
}

/// Copies the bundles in models/ and lists them in an index.json for the page.
fn models(out: &Path) -> Result<()> {
    let models = root().join("models");
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&models).context("cannot read models/")? {
        let path = entry?.path();
        if path.join("config.json").is_file() {
            names.push(
                path.file_name()
                    .expect("has a name")
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    names.sort();
    if names.is_empty() {
        say("there is no bundle in models/: the page will have nothing to draw with");
    }
    let mut index = Vec::new();
    for name in &names {
        copy_dir(&models.join(name), &out.join(name))?;
        let config = fs::read(models.join(name).join("config.json"))?;
        let config = serde_json::from_slice(&config)
            .with_context(|| format!("models/{name}/config.json is no JSON"))?;
        index.push(listed(name, &config));
    }
    let text = serde_json::to_string_pretty(&Value::from(index))?;
    fs::write(out.join("index.json"), text + "\n").context("cannot write models/index.json")
}

/// What the page needs to know of a model before loading it.
fn listed(folder: &str, config: &Value) -> Value {
    let weights = config["weights"].as_array().map_or(&[][..], Vec::as_slice);
    json!({
        "path": format!("{folder}/"),
        "name": config["name"],
        "bytes": weights.iter().filter_map(|file| file["bytes"].as_u64()).sum::<u64>(),
    })
}
