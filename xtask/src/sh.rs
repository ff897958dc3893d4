//! Running other programs, and where things are.

use std::env;
use std::ffi::{OsStr, OsString};
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

/// The native `freeguide` command, where `cargo build --release` leaves it.
pub fn freeguide() -> PathBuf {
    target()
        .join("release")
        .join(format!("freeguide{}", env::consts::EXE_SUFFIX))
}

/// One line about what is being done, on standard error like cargo's own.
pub fn say(message: &str) {
    if io::stderr().is_terminal() {
        eprintln!("\x1b[1;36mxtask\x1b[0m {message}");
    } else {
        eprintln!("xtask {message}");
    }
}

/// The file that a program's name stands for on `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    let names: Vec<OsString> = if cfg!(windows) {
        ["exe", "cmd", "bat"]
            .iter()
            .map(|end| format!("{program}.{end}").into())
            .collect()
    } else {
        vec![program.into()]
    };
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .flat_map(|folder| {
            names
                .iter()
                .map(move |name| folder.join(name))
                .collect::<Vec<_>>()
        })
        .find(|file| file.is_file())
}

/// A program about to be run.
pub struct Sh {
    command: Command,
    shown: String,
}

/// A program of that name from `PATH`, or that file, started in the checkout's root folder.
pub fn sh(program: impl AsRef<OsStr>) -> Sh {
    let program = program.as_ref();
    // npm is a script, which Windows finds by its full name only.
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

/// The cargo that runs this program, so that all builds share one toolchain.
pub fn cargo() -> Sh {
    let mut sh = sh(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` describes this package to this program in variables that build scripts of other
    // packages may watch.
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

    /// Lets the program ask at the terminal, for a password, say.
    pub fn ask(mut self) -> Self {
        self.command.stdin(Stdio::inherit());
        self
    }

    /// Runs it with its output shown.
    pub fn run(mut self) -> Result<()> {
        let status = self.command.status();
        self.check(status)
    }

    /// Runs it with its output kept back, and shown only where it fails.
    pub fn quietly(self) -> Result<()> {
        self.output().map(|_| ())
    }

    /// Runs it and returns what it wrote to standard output.
    pub fn read(self) -> Result<String> {
        let output = self.output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts it with standard output as a pipe and standard error shown.
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
            io::ErrorKind::NotFound => anyhow!("{program} is not installed, or not on PATH"),
            _ => anyhow!(error).context(format!("cannot run `{}`", self.shown)),
        }
    }
}

/// A program that is running, with its standard output to be read.
pub struct Piped {
    pub child: std::process::Child,
    sh: Sh,
}

impl Piped {
    /// Waits for its end; an error where it failed.
    pub fn wait(mut self) -> Result<()> {
        let status = self.child.wait();
        self.sh.check(status)
    }
}

/// Copies a folder with all that is in it.
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

/// Puts a finished folder in the place of another, which stays until then.
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
