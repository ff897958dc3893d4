//! The two builds of the WebAssembly runtime, from cargo to runtime-web/js/wasm/.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::sh::{Sh, cargo, copy_dir, replace_dir, root, say, sh};
use crate::{table_exports, tools};

/// A build of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Build {
    /// The CPU, with WebAssembly SIMD
    Cpu,
    /// WebGPU
    #[value(name = "webgpu")]
    WebGpu,
}

impl Build {
    /// Both builds. The one that compiles faster comes first.
    pub const ALL: [Build; 2] = [Build::Cpu, Build::WebGpu];

    /// The feature of the crate, and the name in every folder and file of this build.
    pub fn name(self) -> &'static str {
        match self {
            Build::Cpu => "cpu",
            Build::WebGpu => "webgpu",
        }
    }

    /// The CPU build runs kernels in wasm, so it is optimised for speed. On WebGPU, kernels are shaders,
    /// and visitors wait for the download, so that build is optimised for size.
    fn optimisation(self) -> &'static str {
        match self {
            Build::Cpu => "-O3",
            Build::WebGpu => "-Oz",
        }
    }

    /// Settings that differ from `[profile.wasm]`. That profile optimises the library's CPU kernels for speed; in the
    /// WebGPU build, the library only writes each shader once.
    fn profile(self) -> &'static [&'static str] {
        match self {
            Build::Cpu => &[],
            Build::WebGpu => &[
                "profile.wasm.package.freeguide.opt-level=\"s\"",
                "profile.wasm.package.freeguide-web.opt-level=\"s\"",
            ],
        }
    }

    /// A target folder per build. In a shared one, a change of features would rebuild burn.
    fn target(self) -> PathBuf {
        root().join("target").join(format!("wasm-{}", self.name()))
    }

    /// The title in the table of sizes.
    fn title(self) -> &'static str {
        match self {
            Build::Cpu => "For the CPU",
            Build::WebGpu => "For WebGPU",
        }
    }

    fn compiled(self) -> PathBuf {
        self.target()
            .join("wasm32-unknown-unknown/wasm/freeguide_web.wasm")
    }

    /// The folder of the finished files, which are copied into the TypeScript package.
    fn package(self) -> PathBuf {
        self.target().join("package")
    }

    /// The folder of the copy in the TypeScript package.
    fn installed(self) -> PathBuf {
        tools::js().join("wasm").join(self.name())
    }

    fn wasm_file(self) -> PathBuf {
        self.package()
            .join(format!("freeguide_{}_bg.wasm", self.name()))
    }

    /// A file with the time at which the last successful compilation started.
    fn compiled_since(self) -> PathBuf {
        self.target().join("compiled-since")
    }

    /// The file that records what the package was made from.
    fn stamp_file(self) -> PathBuf {
        self.target().join("packaged")
    }

    /// Whether the package that [`compile`] and [`finish`] would make is up to date, judged without
    /// calling cargo, which might start to compile.
    pub fn is_fresh(self, tools: &Tools) -> bool {
        let age = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
        let (Some(since), Ok(sources)) = (
            age(&self.compiled_since()),
            fs::read_to_string(self.compiled().with_extension("d")),
        ) else {
            return false;
        };
        let lock = root().join("Cargo.lock");
        let unchanged = |path: PathBuf| age(&path).is_some_and(|age| age < since);
        sources_in(&sources).chain([lock]).all(unchanged) && self.is_packaged(tools)
    }

    /// Whether the package was made from cargo's latest output.
    fn is_packaged(self, tools: &Tools) -> bool {
        let (Ok(wanted), Ok(was)) = (stamp(self, tools), fs::read_to_string(self.stamp_file()))
        else {
            return false;
        };
        wanted == was && self.wasm_file().is_file()
    }
}

/// The sources in the dependency file that cargo writes beside its output: "output: source source …",
/// with a backslash before each space in a name.
fn sources_in(rule: &str) -> impl Iterator<Item = PathBuf> {
    let sources = rule
        .split_once(": ")
        .map_or("", |(_, sources)| sources.trim_end());
    let sources = sources.replace("\\ ", "\0");
    let sources: Vec<_> = sources
        .split(' ')
        .map(|path| path.replace('\0', " ").into())
        .collect();
    sources.into_iter()
}

/// WebAssembly features that rustc's output uses. An older wasm-opt must be told about them.
const WASM_FEATURES: &str = "--enable-simd --enable-bulk-memory --enable-sign-ext \
     --enable-nontrapping-float-to-int --enable-mutable-globals --enable-reference-types \
     --enable-multivalue";

/// Makes the builds one after the other. Tools are installed during the first compilation.
pub fn build_all(builds: &[Build]) -> Result<()> {
    tools::wasm_target()?;
    thread::scope(|scope| {
        let tools = scope.spawn(Tools::get);
        let mut tools = Some(tools);
        let mut ready = None;
        for &build in builds {
            compile(build)?;
            if let Some(running) = tools.take() {
                ready = Some(
                    running
                        .join()
                        .map_err(|_| anyhow!("fetching the tools panicked"))??,
                );
            }
            finish(build, ready.as_ref().expect("fetched with the first build"))?;
        }
        Ok(())
    })
}

/// The tools that turn cargo's output into a package.
pub struct Tools {
    bindgen: PathBuf,
    optimiser: Option<PathBuf>,
}

impl Tools {
    pub fn get() -> Result<Tools> {
        Ok(Tools {
            bindgen: tools::wasm_bindgen()?,
            optimiser: tools::wasm_opt(),
        })
    }
}

/// Compiles a build with cargo.
pub fn compile(build: Build) -> Result<()> {
    let started = build.target().join("compile-started");
    fs::create_dir_all(build.target())?;
    fs::write(&started, "")?;
    cargo_build(build, build.name())?
        .run()
        .with_context(|| format!("the {} build of the runtime", build.name()))?;
    fs::rename(started, build.compiled_since())?;
    Ok(())
}

/// The command that compiles the runtime with these features.
fn cargo_build(build: Build, features: &str) -> Result<Sh> {
    let command = build.profile().iter().fold(cargo(), |command, setting| {
        command.arg("--config").arg(setting)
    });
    Ok(command
        .args("build --package freeguide-web --profile wasm --target wasm32-unknown-unknown")
        .arg("--features")
        .arg(features)
        .arg("--target-dir")
        .arg(build.target())
        // This variable takes precedence over all others that set flags.
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\x1f")))
}

/// The compiler flags for the browser. Panic messages contain file names; the flags shorten those of
/// dependencies so that they start with the package's name and not with the user's home folder.
fn flags() -> Result<Vec<String>> {
    let about = cargo()
        .args("metadata --format-version 1 --filter-platform wasm32-unknown-unknown")
        .read()?;
    let about: Value = serde_json::from_str(&about).context("cannot read cargo's metadata")?;
    // The folders that hold the packages of a registry.
    let folders: BTreeSet<_> = about["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| {
            Path::new(package["manifest_path"].as_str()?)
                .parent()?
                .parent()
        })
        .collect();
    let mut flags = vec![
        "-Ctarget-feature=+simd128".to_owned(),
        "--cfg=getrandom_backend=\"wasm_js\"".to_owned(),
    ];
    flags.extend(
        folders
            .into_iter()
            .map(|folder| format!("--remap-path-prefix={}/=", folder.display())),
    );
    Ok(flags)
}

/// Makes a build with a user's own network, which `variables` describe to the compiler, and writes the
/// finished files to `place`. The usual build is not changed.
pub fn build_around(
    build: Build,
    variables: &[(&str, String)],
    tools: &Tools,
    place: &Path,
) -> Result<()> {
    let features = format!("{},compiled-network", build.name());
    let command = cargo_build(build, &features)?;
    variables
        .iter()
        .fold(command, |command, (name, value)| command.env(name, value))
        .run()
        .with_context(|| {
            format!(
                "the {} build of the runtime with this network",
                build.name()
            )
        })?;
    package(build, tools, place)
}

/// Makes the package from cargo's output: JavaScript glue and optimised WebAssembly. The old package
/// stays until the new one is complete.
pub fn finish(build: Build, tools: &Tools) -> Result<()> {
    if build.is_packaged(tools) {
        return Ok(());
    }
    let wanted = stamp(build, tools)?;
    let new = build.target().join("package.new");
    package(build, tools, &new)?;
    replace_dir(&new, &build.package())?;
    fs::write(build.stamp_file(), wanted)?;
    Ok(())
}

/// Writes JavaScript glue and optimised WebAssembly from cargo's latest output into a new folder.
fn package(build: Build, tools: &Tools, new: &Path) -> Result<()> {
    let name = format!("freeguide_{}", build.name());
    let _ = fs::remove_dir_all(new);
    check_exports(&fs::read(build.compiled())?)?;
    sh(&tools.bindgen)
        .args("--target web --out-name")
        .arg(&name)
        .arg("--out-dir")
        .arg(new)
        .arg(build.compiled())
        .quietly()?;
    if let Some(optimiser) = &tools.optimiser {
        say(&format!(
            "wasm-opt {} on the {} build",
            build.optimisation(),
            build.name()
        ));
        optimise(build, optimiser, &new.join(format!("{name}_bg.wasm")));
    }
    Ok(())
}

/// Refuses a module in which every export runs all constructors again; `runtime-web/src/start.rs` explains why the
/// linker may produce one. Such a module is recognised by its function names, which are still present at this point.
fn check_exports(module: &[u8]) -> Result<()> {
    const WRAPPED: &[u8] = b".command_export";
    if module.windows(WRAPPED.len()).any(|name| name == WRAPPED) {
        bail!("every call into this module would run its constructors again");
    }
    Ok(())
}

/// Copies a build into the TypeScript package.
pub fn install(build: Build) -> Result<()> {
    install_from(build, &build.package())
}

/// Copies the files in `folder` into the TypeScript package as a build.
pub fn install_from(build: Build, folder: &Path) -> Result<()> {
    let place = build.installed();
    let new = place.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    copy_dir(folder, &new)?;
    replace_dir(&new, &place)
}

/// Restores the usual build in the TypeScript package, or removes it if none was made.
pub fn restore(build: Build) -> Result<()> {
    match build.package().exists() {
        true => install(build),
        false => withdraw(build),
    }
}

/// Removes a build from the TypeScript package, which then rejects that device.
pub fn withdraw(build: Build) -> Result<()> {
    let place = build.installed();
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    Ok(())
}

/// Optimises a file in place. If that fails, the file stays as it is, which also works.
fn optimise(build: Build, optimiser: &Path, file: &Path) {
    let smaller = file.with_extension("opt");
    let done = sh(optimiser)
        .arg(build.optimisation())
        .args(WASM_FEATURES)
        .arg(file)
        .arg("--output")
        .arg(&smaller)
        .quietly()
        .and_then(|()| {
            let mut optimised = fs::read(&smaller)?;
            table_exports::repair(&fs::read(file)?, &mut optimised)?;
            fs::write(&smaller, optimised)?;
            Ok(fs::rename(&smaller, file)?)
        });
    if let Err(error) = done {
        say(&format!("the runtime is not optimised: {error:#}"));
        let _ = fs::remove_file(smaller);
    }
}

/// The version of [`finish`]. Packages of an older version are made again.
const PACKAGING: u32 = 3;

/// The inputs of a package: cargo's output and the tools.
fn stamp(build: Build, tools: &Tools) -> Result<String> {
    let path = build.compiled();
    let about = fs::metadata(&path).with_context(|| format!("no {}", path.display()))?;
    let modified = about
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let version = |tool: &Path| sh(tool).arg("--version").read().unwrap_or_default();
    Ok(format!(
        "{PACKAGING} {} {modified} {} {} {}",
        about.len(),
        version(&tools.bindgen),
        tools.optimiser.as_deref().map(version).unwrap_or_default(),
        build.optimisation(),
    ))
}

/// Writes docs/results/wasm-size.md: the size of each build by crate.
pub fn write_sizes() -> Result<()> {
    let tools = Tools::get()?;
    let optimiser = (tools.optimiser.as_ref()).context("wasm-opt is missing: install binaryen")?;
    let mut command = sh("node").arg(root().join("xtask/wasm-sizes.mjs"));
    for build in Build::ALL {
        let folder = build.target().join("sizes");
        sh(&tools.bindgen)
            .args("--target web --out-name named --out-dir")
            .arg(&folder)
            .arg(build.compiled())
            .quietly()?;
        // The same optimisation as in the package, but with names.
        let named = folder.join("optimised.wasm");
        sh(optimiser)
            .arg(build.optimisation())
            .arg("--debuginfo")
            .args(WASM_FEATURES)
            .arg(folder.join("named_bg.wasm"))
            .arg("--output")
            .arg(&named)
            .quietly()?;
        let mut measured = OsString::from(build.title());
        for file in [&named, &build.wasm_file()] {
            measured.push("=");
            measured.push(file);
        }
        command = command.arg(measured);
    }
    let place = root().join("docs/results/wasm-size.md");
    fs::write(&place, command.read()? + "\n")?;
    say(&format!("wrote {}", place.display()));
    Ok(())
}

/// Prints the size of each build, uncompressed and compressed.
pub fn print_sizes(builds: &[Build]) -> Result<()> {
    // Node has both compressors and is needed anyway.
    const WEIGH: &str = "
        const { readFileSync } = require('node:fs'), zlib = require('node:zlib');
        const raw = readFileSync(process.argv[1]);
        const gzip = zlib.gzipSync(raw, { level: 9 });
        const brotli = zlib.brotliCompressSync(raw);
        console.log(raw.length, gzip.length, brotli.length);";
    let lines = thread::scope(|scope| {
        let weighing: Vec<_> = builds
            .iter()
            .map(|&build| {
                scope.spawn(move || {
                    sh("node")
                        .arg("-e")
                        .arg(WEIGH)
                        .arg(build.wasm_file())
                        .read()
                })
            })
            .collect();
        let lines = weighing
            .into_iter()
            .map(|line| line.join().expect("does not panic"));
        lines.collect::<Result<Vec<_>>>()
    })?;
    println!("{:<8} {:>10} {:>10} {:>10}", "MB", "raw", "gzip", "brotli");
    for (build, line) in builds.iter().zip(lines) {
        print!("{:<8}", build.name());
        for bytes in line.split(' ') {
            let bytes: f64 = bytes.parse().context("node printed no sizes")?;
            print!(" {:>10.2}", bytes / 1e6);
        }
        println!();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_constructs_itself_at_every_call_is_refused() {
        assert!(check_exports(b"\0asm .. run_advance.command_export ..").is_err());
        assert!(check_exports(b"\0asm .. run_advance ..").is_ok());
    }

    #[test]
    fn sources_are_read_out_of_cargos_rule() {
        let rule = "/a/web.wasm: /a/src/lib.rs /a/my\\ own/x.rs\n";
        let found: Vec<_> = sources_in(rule).collect();
        assert_eq!(
            found,
            [
                PathBuf::from("/a/src/lib.rs"),
                PathBuf::from("/a/my own/x.rs")
            ]
        );
    }
}
