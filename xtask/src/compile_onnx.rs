//! `cargo xtask compile-onnx`: a user's own denoiser, sampled by our samplers in a browser.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sh::{copy_dir, freeguide, replace_dir, root, sh};
use crate::wasm::{self, Build, Tools};
use crate::{site, tools};

/// Compiles the ONNX file `model` into `out`: a bundle, a package and a page. The `freeguide` command
/// must have been built.
pub fn run(model: &Path, out: &Path, builds: &[Build]) -> Result<()> {
    let work = root().join("target/compile-onnx");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    // burn-onnx accepts any model; the command checks the signature and writes the bundle.
    let bundle = || sh(freeguide()).args("compiled-bundle --onnx").arg(model);
    bundle().quietly()?;
    // burn-onnx names its output after its input.
    let copy = work.join("network.onnx");
    fs::copy(model, &copy).with_context(|| format!("cannot copy {}", model.display()))?;
    sh(tools::onnx2burn()?)
        .args("--no-development")
        .arg(&copy)
        .arg(&work)
        .quietly()
        .with_context(|| format!("burn-onnx cannot compile {}", model.display()))?;
    bundle()
        .arg("--weights")
        .arg(work.join("network.bpk"))
        .arg("--out")
        .arg(work.join("model"))
        .quietly()?;
    let code = work.join("network.rs");
    let generated = fs::read_to_string(&code).context("burn-onnx wrote no code")?;
    fs::write(&code, without_loaders(&generated))?;
    let variables = [
        ("FREEGUIDE_COMPILED_NETWORK", code.display().to_string()),
        (
            "FREEGUIDE_COMPILED_ONNX_SHA256",
            config(&work.join("model"))?["network"]["onnx_sha256"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        ),
    ];
    tools::wasm_target()?;
    let with = Tools::get()?;
    for &build in builds {
        wasm::build_around(build, &variables, &with, &work.join(build.name()))?;
    }
    site::packages()?;
    let new = out.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    let written = package(&work, &new, builds);
    // Restore the usual runtime of the package in the checkout, also after an error.
    for build in Build::ALL {
        wasm::restore(build)?;
    }
    site::package()?;
    written?;
    replace_dir(&new, out)
}

/// Writes everything to `out`, using the package in the checkout.
fn package(work: &Path, out: &Path, builds: &[Build]) -> Result<()> {
    for build in Build::ALL {
        match builds.contains(&build) {
            true => wasm::install_from(build, &work.join(build.name()))?,
            false => wasm::withdraw(build)?,
        }
    }
    site::package()?;
    let name = model_name(&work.join("model"))?;
    let models = out.join("models");
    copy_dir(&work.join("model"), &models.join(&name))?;
    site::page(&out.join("site"), &models)?;
    fs::rename(models.join(&name), out.join("model"))?;
    fs::remove_dir(&models)?;
    let package = out.join("package");
    for folder in ["dist", "wasm"] {
        copy_dir(&tools::js().join(folder), &package.join(folder))?;
    }
    for file in ["package.json", "README.md"] {
        fs::copy(tools::js().join(file), package.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    Ok(())
}

/// Removes the code that loads burn-onnx's own weights files. Our weights come in a bundle, so the
/// runtime does not need the crate that reads theirs.
fn without_loaders(code: &str) -> String {
    let mut kept = String::new();
    let mut item = String::new();
    for line in code.lines() {
        item.push_str(line);
        item.push('\n');
        // An item ends at its closing brace, which is not indented. Everything else ends with its line.
        let inside = item.starts_with("impl ") || item.starts_with("pub struct ");
        if inside && line != "}" {
            continue;
        }
        let loads = item.starts_with("use burn_store::")
            || item.starts_with("use burn::tensor::Bytes")
            || (item.starts_with("impl ")
                && (item.contains("from_file(") || item.contains("BurnpackStore::")));
        if !loads {
            kept.push_str(&item);
        }
        item.clear();
    }
    kept + &item
}

/// `config.json` of a bundle.
fn config(bundle: &Path) -> Result<serde_json::Value> {
    let json = fs::read_to_string(bundle.join("config.json"))?;
    Ok(serde_json::from_str(&json)?)
}

/// The name of the bundle, as a valid folder name.
fn model_name(bundle: &Path) -> Result<String> {
    let config = config(bundle)?;
    let name = config["name"].as_str().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    Ok(match name.trim_matches('-') {
        "" => "model".to_owned(),
        name => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_of_weights_files_are_left_out() {
        let code = "use burn::prelude::*;\nuse burn::tensor::Bytes;\nuse burn_store::BurnpackStore;\n\n\
                    #[derive(Module, Debug)]\npub struct Model {\n    a: Linear,\n}\n\n\
                    impl Default for Model {\n    fn default() -> Self {\n        Self::from_file(\"x\")\n    }\n}\n\n\
                    impl Model {\n    pub fn from_bytes() {\n        let s = BurnpackStore::from_bytes();\n    }\n}\n\n\
                    impl Model {\n    pub fn new() {}\n    pub fn forward() {}\n}\n";
        let kept = without_loaders(code);
        for word in ["from_file", "from_bytes", "burn_store", "Bytes"] {
            assert!(!kept.contains(word), "{kept}");
        }
        for word in [
            "pub struct Model {\n    a: Linear,\n}",
            "pub fn new",
            "pub fn forward",
            "derive",
        ] {
            assert!(kept.contains(word), "{kept}");
        }
    }
}
