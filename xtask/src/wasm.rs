//! The WebAssembly runtime in its two builds, from cargo to runtime-web/js/wasm/.

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

/// One of the runtime's two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Build {
    /// burn's CPU kernels on WebAssembly SIMD
    Cpu,
    /// WebGPU
    #[value(name = "webgpu")]
    WebGpu,
}

impl Build {
    /// Both, the quicker one first.
    pub const ALL: [Build; 2] = [Build::Cpu, Build::WebGpu];

    /// The crate's feature, and the name of every folder and file of this build.
    pub fn name(self) -> &'static str {
        match self {
            Build::Cpu => "cpu",
            Build::WebGpu => "webgpu",
        }
    }

    /// Kernels run in wasm on the CPU build, so it is built for speed; on WebGPU they are shaders
    /// and the file's size is what a visitor waits for.
    fn optimisation(self) -> &'static str {
        match self {
            Build::Cpu => "-O3",
            Build::WebGpu => "-Oz",
        }
    }

    /// What this build has otherwise than `[profile.wasm]`. The library's pixels are computed by kernels for the CPU there;
    /// in the WebGPU build it writes shaders, each once.
    fn profile(self) -> &'static [&'static str] {
        match self {
            Build::Cpu => &[],
            Build::WebGpu => &[
                "profile.wasm.package.freeguide.opt-level=\"s\"",
                "profile.wasm.package.freeguide-web.opt-level=\"s\"",
            ],
        }
    }

    /// Its own target folder: a change of features would rebuild burn in a shared one.
    fn target(self) -> PathBuf {
        root().join("target").join(format!("wasm-{}", self.name()))
    }

    /// What people call it.
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

    /// The finished files, of which the TypeScript package gets a copy.
    fn package(self) -> PathBuf {
        self.target().join("package")
    }

    /// Where the TypeScript package has its copy.
    fn installed(self) -> PathBuf {
        tools::js().join("wasm").join(self.name())
    }

    fn wasm_file(self) -> PathBuf {
        self.package()
            .join(format!("freeguide_{}_bg.wasm", self.name()))
    }

    /// A file as old as the start of the last compilation that succeeded.
    fn compiled_since(self) -> PathBuf {
        self.target().join("compiled-since")
    }

    /// The file that says what the package was made of.
    fn stamp_file(self) -> PathBuf {
        self.target().join("packaged")
    }

    /// Whether the package lies ready that [`compile`] and [`finish`] would make, as far as can be
    /// told without asking cargo, which may begin to compile.
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

    /// Whether the package was made of the file that cargo has made last.
    fn is_packaged(self, tools: &Tools) -> bool {
        let (Ok(wanted), Ok(was)) = (stamp(self, tools), fs::read_to_string(self.stamp_file()))
        else {
            return false;
        };
        wanted == was && self.wasm_file().is_file()
    }
}

/// The sources in the rule that cargo writes beside what it makes: "made: source source …", with a
/// backslash before a space in a name.
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

/// WebAssembly features that rustc's output has and an older wasm-opt must be told of.
const WASM_FEATURES: &str = "--enable-simd --enable-bulk-memory --enable-sign-ext \
     --enable-nontrapping-float-to-int --enable-mutable-globals --enable-reference-types \
     --enable-multivalue";

/// Makes the builds, one after the other; tools are fetched while cargo is at the first.
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

/// What makes a package of cargo's output.
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

/// Cargo's part.
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
        // It comes before all other variables with flags.
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\x1f")))
}

/// The compiler's flags for what runs in a browser. Panics name the file that they come from, which
/// is nobody's home folder: paths of dependencies begin with the package's name.
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

/// Makes a build around a network of one's own, which `variables` name to the compiler, and puts
/// the finished files into `place`. The usual build stays what it is.
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

/// The rest: JavaScript glue and optimiser. What was made before stays until all is done.
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

/// JavaScript glue and optimised WebAssembly of what cargo has compiled last, into a new folder.
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

/// Refuses a module each of whose exports runs all constructors again: `runtime-web/src/start.rs` says why the linker
/// may make it so. The names of functions, which are still there, tell.
fn check_exports(module: &[u8]) -> Result<()> {
    const WRAPPED: &[u8] = b".command_export";
    if module.windows(WRAPPED.len()).any(|name| name == WRAPPED) {
        bail!("every call into this module would run its constructors again");
    }
    Ok(())
}

/// Gives the TypeScript package a copy of a build.
pub fn install(build: Build) -> Result<()> {
    install_from(build, &build.package())
}

/// Gives the TypeScript package a copy of the files in `folder` as a build.
pub fn install_from(build: Build, folder: &Path) -> Result<()> {
    let place = build.installed();
    let new = place.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    copy_dir(folder, &new)?;
    replace_dir(&new, &place)
}

/// Gives the TypeScript package the usual build back, or takes it away where none was made.
pub fn restore(build: Build) -> Result<()> {
    match build.package().exists() {
        true => install(build),
        false => withdraw(build),
    }
}

/// Leaves a build out of the TypeScript package, which then takes that device for refused.
pub fn withdraw(build: Build) -> Result<()> {
    let place = build.installed();
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    Ok(())
}

/// Optimises a file in place; where that fails the file stays as it is, which works too.
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
        say(&format!("the runtime stays unoptimised: {error:#}"));
        let _ = fs::remove_file(smaller);
    }
}

/// Counts the changes of [`finish`]: packages that an older one made are made again.
const PACKAGING: u32 = 3;

/// What the packaged files depend on: cargo's file and the tools.
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

/// Writes docs/results/wasm-size.md: which crates the bytes of each build come from.
pub fn write_sizes() -> Result<()> {
    let tools = Tools::get()?;
    let optimiser = (tools.optimiser.as_ref())
        .context("wasm-opt is needed: install binaryen, of which it is a part")?;
    let mut command = sh("node").arg(root().join("xtask/wasm-sizes.mjs"));
    for build in Build::ALL {
        let folder = build.target().join("sizes");
        sh(&tools.bindgen)
            .args("--target web --out-name named --out-dir")
            .arg(&folder)
            .arg(build.compiled())
            .quietly()?;
        // The same optimisation, and the names kept.
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

/// Prints what each build weighs: as it is, and as a host sends it.
pub fn print_sizes(builds: &[Build]) -> Result<()> {
    // Node has both compressors, and is needed for the rest anyhow.
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
