//! What a run folder says of the program that made it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..");
    println!("cargo::rerun-if-changed=build.rs");
    set("FREEGUIDE_COMMIT", commit(&root));
    set("FREEGUIDE_RUSTC", output("rustc", &["--version"], &root));
    set("FREEGUIDE_TARGET", std::env::var("TARGET").ok());
    set("FREEGUIDE_BURN", burn(&root));
}

fn set(name: &str, value: Option<String>) {
    println!("cargo::rustc-env={name}={}", value.unwrap_or_default());
}

/// The commit that is checked out, where the source is a git repository. Looked at again when
/// another is: git notes every change of HEAD in its log.
fn commit(root: &Path) -> Option<String> {
    let log = output("git", &["rev-parse", "--git-path", "logs/HEAD"], root)?;
    let log = root.join(log);
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    output("git", &["rev-parse", "HEAD"], root)
}

/// The version of burn that is compiled in.
fn burn(root: &Path) -> Option<String> {
    let path = root.join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", path.display());
    let lock = std::fs::read_to_string(path).ok()?;
    let (_, after) = lock.split_once("name = \"burn\"\nversion = \"")?;
    Some(after.split('"').next()?.to_owned())
}

fn output(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
