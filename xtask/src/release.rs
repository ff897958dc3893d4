//! Everything that a release consists of, with the same bytes each time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::sh::{cargo, replace_dir, root, say, sh, target};
use crate::wasm::{self, Build};
use crate::{package, site, tools};

/// A part of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The npm tarball
    Package,
    /// The command, for this system or that of --target
    Command,
    /// The static site
    Site,
    /// The crates in all of them, in CycloneDX's format
    Bom,
}

const ALL: [Part; 4] = [Part::Package, Part::Command, Part::Site, Part::Bom];

/// What is to be made, and where.
pub struct Wanted {
    /// The folder for the files.
    pub out: PathBuf,
    /// All parts if empty.
    pub parts: Vec<Part>,
    pub target: Option<String>,
    /// Whether the command also computes on GPUs, through Vulkan.
    pub vulkan: bool,
    /// Whether to make it a second time, and to compare.
    pub twice: bool,
}

/// Makes a release. With `twice`, makes it again in another folder from the last commit, and compares the checksums.
pub fn run(wanted: &Wanted) -> Result<()> {
    if wanted.twice {
        let changed = sh("git").args("status --porcelain").read()?;
        if !changed.is_empty() {
            bail!(
                "--twice makes the last commit a second time: commit or stash these first\n{changed}"
            );
        }
    }
    let new = wanted.out.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new).with_context(|| format!("cannot make {}", new.display()))?;
    let parts = if wanted.parts.is_empty() {
        &ALL[..]
    } else {
        &wanted.parts[..]
    };
    for &part in parts {
        make(part, &new, wanted)?;
    }
    let sums = write_sums(&new)?;
    replace_dir(&new, &wanted.out)?;
    if wanted.twice {
        let again = make_again(wanted)?;
        if again != sums {
            bail!("the second time, the files were others:\n{again}\nThe first time:\n{sums}");
        }
        say("the second time, every byte was the same");
    }
    print!("{sums}");
    Ok(())
}

fn make(part: Part, out: &Path, wanted: &Wanted) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    match part {
        Part::Package => package::build(out).map(|_| ()),
        Part::Command => command(out, wanted.target.as_deref(), wanted.vulkan),
        Part::Site => {
            wasm::build_all(&Build::ALL)?;
            let folder = target().join("release-site");
            site::build_with_reference(&folder, &Build::ALL)?;
            zip(&folder, &out.join(format!("freeguide-site-{version}.zip")))
        }
        Part::Bom => bom(&out.join(format!("freeguide-{version}.cdx.json"))),
    }
}

/// Compiles the command apart from the usual build, because the compiler is told to shorten paths, and packs it.
fn command(out: &Path, triple: Option<&str>, vulkan: bool) -> Result<()> {
    let host = sh("rustc").args("--print host-tuple").read()?;
    let triple = triple.unwrap_or(&host);
    let (features, variant) = if vulkan {
        ("vulkan", "-vulkan")
    } else {
        ("", "")
    };
    let folder = target().join("release-command");
    let folders: Vec<_> = folders()?.into_iter().collect();
    let flags = folders
        .iter()
        .map(|folder| format!("--remap-path-prefix={folder}/="));
    // Compilers of C say paths in assertions.
    let flags_of_c: Vec<_> = folders
        .iter()
        .map(|folder| format!("-ffile-prefix-map={folder}/="))
        .collect();
    cargo()
        .args("build --release --locked --package freeguide-trainer --bin freeguide --target")
        .arg(triple)
        .arg("--features")
        .arg(features)
        .arg("--target-dir")
        .arg(&folder)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags.collect::<Vec<_>>().join("\x1f"),
        )
        .env("CFLAGS", flags_of_c.join(" "))
        .run()
        .with_context(|| format!("the command for {triple}"))?;
    let name = if triple.contains("windows") {
        "freeguide.exe"
    } else {
        "freeguide"
    };
    let packed = folder.join("packed");
    let _ = fs::remove_dir_all(&packed);
    fs::create_dir_all(&packed)?;
    let built = folder.join(triple).join("release").join(name);
    for file in [
        built,
        root().join("LICENSE-MIT"),
        root().join("LICENSE-APACHE"),
        root().join("README.md"),
    ] {
        let place = packed.join(file.file_name().expect("a file has a name"));
        fs::copy(&file, place).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    let version = env!("CARGO_PKG_VERSION");
    zip(
        &packed,
        &out.join(format!("freeguide-{version}-{triple}{variant}.zip")),
    )
}

/// The checkout, and the folders that hold packages of a registry.
fn folders() -> Result<BTreeSet<String>> {
    let about = cargo()
        .args("metadata --format-version 1 --locked")
        .read()?;
    let about: Value = serde_json::from_str(&about).context("cannot read cargo's metadata")?;
    let packages = about["packages"].as_array().into_iter().flatten();
    let registries = packages
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| {
            Path::new(package["manifest_path"].as_str()?)
                .ancestors()
                .nth(2)
        });
    let all = registries.chain([root()]);
    Ok(all.map(|folder| folder.display().to_string()).collect())
}

fn zip(folder: &Path, file: &Path) -> Result<()> {
    sh("node")
        .arg(tools::release_scripts().join("zip.mjs"))
        .arg(folder)
        .arg(file)
        .quietly()
}

/// Writes the list of crates.
fn bom(file: &Path) -> Result<()> {
    let text = sh(tools::cargo_sbom()?)
        .args("sbom --output-format cyclone_dx_json_1_6 --project-directory")
        .arg(root())
        .read()?;
    let raw = target().join("bom.json");
    fs::write(&raw, text).with_context(|| format!("cannot write {}", raw.display()))?;
    sh("node")
        .arg(tools::release_scripts().join("bom.mjs"))
        .arg(raw)
        .arg(file)
        .arg(root())
        .quietly()
}

/// Writes `SHA256SUMS` in the form of sha256sum, and returns it.
fn write_sums(folder: &Path) -> Result<String> {
    let sums = sh("node")
        .arg(tools::release_scripts().join("sums.mjs"))
        .arg(folder)
        .read()?;
    let sums = format!("{sums}\n");
    fs::write(folder.join("SHA256SUMS"), &sums).context("cannot write SHA256SUMS")?;
    Ok(sums)
}

/// Makes the last commit's release in a clone of its own, and returns its checksums.
fn make_again(wanted: &Wanted) -> Result<String> {
    let clone = target().join("release-again");
    let _ = fs::remove_dir_all(&clone);
    sh("git")
        .args("clone --quiet --no-hardlinks")
        .arg(root())
        .arg(&clone)
        .quietly()?;
    let out = clone.join("dist/release");
    let mut again = cargo()
        .dir(&clone)
        .args("run --quiet --package xtask -- release --out")
        .arg(&out);
    for part in &wanted.parts {
        let name = part.to_possible_value().expect("no part is hidden");
        again = again.arg("--only").arg(name.get_name());
    }
    if let Some(triple) = &wanted.target {
        again = again.arg("--target").arg(triple);
    }
    if wanted.vulkan {
        again = again.arg("--vulkan");
    }
    again.run()?;
    fs::read_to_string(out.join("SHA256SUMS")).context("the second release has no SHA256SUMS")
}
