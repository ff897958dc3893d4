//! Running other programs, and the paths of the checkout.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// The checkout's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root folder")
}

/// Cargo's target folder for native builds.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Cargo's target folder for builds with kernels for Vulkan: with these features, burn is another program.
pub fn vulkan_target() -> PathBuf {
    target().join("vulkan")
}

/// The path of the native `freeguide` command after `cargo build --release`.
pub fn freeguide() -> PathBuf {
    target()
        .join("release")
        .join(format!("freeguide{}", env::consts::EXE_SUFFIX))
}

/// Prints one line of progress to standard error, as cargo does.
pub fn say(message: &str) {
    if io::stderr().is_terminal() {
        eprintln!("\x1b[1;36mxtask\x1b[0m {message}");
    } else {
        eprintln!("xtask {message}");
    }
}

/// The file of a program on `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    which::which(program).ok()
}

/// A program to be run, with its arguments.
pub struct Sh {
    command: Command,
    shown: String,
}

/// A program by its name on `PATH` or by its file. It starts in the root folder of the checkout.
pub fn sh(program: impl AsRef<OsStr>) -> Sh {
    let program = program.as_ref();
    // npm is a script, and Windows only finds scripts by their full name.
    let found = program
        .to_str()
        .and_then(which)
        .map(PathBuf::into_os_string);
    let mut command = Command::new(found.as_deref().unwrap_or(program));
    command.current_dir(root()).stdin(Stdio::null());
    let shown = Path::new(program)
        .file_stem()
        .unwrap_or(program)
        .to_string_lossy()
        .into_owned();
    Sh { command, shown }
}

/// The cargo that runs this program, so that all builds use the same toolchain.
pub fn cargo() -> Sh {
    let mut sh = sh(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` sets variables that describe this package. Build scripts of other packages may
    // depend on them.
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            sh.command.env_remove(&name);
        }
    }
    sh
}

impl Sh {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.shown = format!("{} {}", self.shown, arg.to_string_lossy());
        self.command.arg(arg);
        self
    }

    /// Arguments separated by spaces.
    pub fn args(self, args: &str) -> Self {
        args.split_whitespace().fold(self, Self::arg)
    }

    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Lets the program read from the terminal, for example a password.
    pub fn ask(mut self) -> Self {
        self.command.stdin(Stdio::inherit());
        self
    }

    /// Runs it and shows its output.
    pub fn run(mut self) -> Result<()> {
        let status = self.command.status();
        self.check(status)
    }

    /// Runs it and shows its output only if it fails.
    pub fn quietly(self) -> Result<()> {
        self.output().map(|_| ())
    }

    /// Runs it and returns its standard output.
    pub fn read(self) -> Result<String> {
        let output = self.output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts it with standard output as a pipe. Standard error is shown.
    pub fn piped(mut self) -> Result<Piped> {
        let child = self.command.stdout(Stdio::piped()).spawn();
        match child {
            Ok(child) => Ok(Piped { child, sh: self }),
            Err(error) => Err(self.not_started(error)),
        }
    }

    fn output(mut self) -> Result<Output> {
        let output = self
            .command
            .output()
            .map_err(|error| self.not_started(error))?;
        if !output.status.success() {
            let text = [&output.stdout[..], &output.stderr[..]].concat();
            bail!(
                "`{}` failed ({}):\n{}",
                self.shown,
                output.status,
                String::from_utf8_lossy(&text).trim_end()
            );
        }
        Ok(output)
    }

    fn check(&self, status: io::Result<ExitStatus>) -> Result<()> {
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => bail!("`{}` failed ({status})", self.shown),
            Err(error) => Err(self.not_started(error)),
        }
    }

    fn not_started(&self, error: io::Error) -> anyhow::Error {
        let program = self.shown.split(' ').next().unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => anyhow!("{program} is not installed or not on PATH"),
            _ => anyhow!(error).context(format!("cannot run `{}`", self.shown)),
        }
    }
}

/// A running program whose standard output can be read.
pub struct Piped {
    pub child: std::process::Child,
    sh: Sh,
}

impl Piped {
    /// Waits until it ends. Fails if the program failed.
    pub fn wait(mut self) -> Result<()> {
        let status = self.child.wait();
        self.sh.check(status)
    }
}

/// Copies a folder recursively.
pub fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries =
        std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().expect("entries of a folder have names");
        if path.is_dir() {
            copy_dir(&path, &to.join(name))?;
        } else {
            std::fs::copy(&path, to.join(name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Replaces a folder by a finished one. The old one stays until then.
pub fn replace_dir(new: &Path, place: &Path) -> Result<()> {
    let old = place.with_extension("old");
    let _ = std::fs::remove_dir_all(&old);
    if place.exists() {
        std::fs::rename(place, &old).with_context(|| format!("cannot move {}", place.display()))?;
    }
    std::fs::rename(new, place).with_context(|| format!("cannot write {}", place.display()))?;
    let _ = std::fs::remove_dir_all(&old);
    Ok(())
}
