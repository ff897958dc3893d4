//! The package manager of the machine.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result, bail};

use crate::sh::{Sh, say, sh, which};

/// The commands of a package manager, with the flags that make it ask nothing.
struct Manager {
    program: &'static str,
    /// Updates the package lists, if installing does not do so itself.
    update: Option<&'static str>,
    install: &'static str,
    /// Homebrew installs for the user and refuses to run as root.
    needs_root: bool,
}

const MANAGERS: [Manager; 6] = [
    Manager {
        program: "apt-get",
        update: Some("-qq update"),
        install: "-qq install --yes --no-install-recommends",
        needs_root: true,
    },
    Manager {
        program: "dnf",
        update: None,
        install: "--assumeyes install",
        needs_root: true,
    },
    Manager {
        program: "pacman",
        update: None,
        install: "-S --noconfirm",
        needs_root: true,
    },
    Manager {
        program: "zypper",
        update: None,
        install: "--non-interactive install",
        needs_root: true,
    },
    Manager {
        program: "apk",
        update: None,
        install: "add",
        needs_root: true,
    },
    Manager {
        program: "brew",
        update: None,
        install: "install",
        needs_root: false,
    },
];

/// The names of a package.
pub struct Package {
    pub usual: &'static str,
    /// The arguments for Homebrew.
    pub brew: &'static str,
}

/// Installs a package with the package manager of this machine.
///
/// # Errors
/// One line with the command to type, if there is no package manager, if it may not be run, or if it
/// fails.
pub fn install(package: &Package) -> Result<()> {
    let Some(manager) = MANAGERS
        .iter()
        .find(|manager| which(manager.program).is_some())
    else {
        bail!(
            "found no package manager; install {} by hand",
            package.usual
        );
    };
    let names = if manager.program == "brew" {
        package.brew
    } else {
        package.usual
    };
    let is_root = sh("id").arg("-u").read().is_ok_and(|id| id == "0");
    let sudo = if manager.needs_root && !is_root {
        "sudo "
    } else {
        ""
    };
    let install = manager.install.replace("-qq ", "");
    let by_hand = format!("{sudo}{} {install} {names}", manager.program);
    let prefix = match sudo {
        "" => Prefix::None,
        _ => privileges().with_context(|| format!("root privileges are needed: {by_hand}"))?,
    };
    let command = |args: &str| -> Sh {
        let start = match prefix {
            Prefix::None => sh(manager.program),
            Prefix::Sudo => sh("sudo").ask().arg(manager.program),
            Prefix::SilentSudo => sh("sudo").arg("-n").arg(manager.program),
        };
        start.args(args).env("DEBIAN_FRONTEND", "noninteractive")
    };
    say(&by_hand);
    if let Some(update) = manager.update {
        // A broken third-party list makes the update fail, but the package may still install.
        let _ = command(update).quietly();
    }
    command(&format!("{} {names}", manager.install))
        .quietly()
        .with_context(|| by_hand)
}

#[derive(Clone, Copy)]
enum Prefix {
    None,
    /// May ask for a password at the terminal.
    Sudo,
    /// Fails instead of asking.
    SilentSudo,
}

/// How this user can get root privileges, if at all.
fn privileges() -> Option<Prefix> {
    which("sudo")?;
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        return Some(Prefix::Sudo);
    }
    sh("sudo")
        .args("-n true")
        .quietly()
        .is_ok()
        .then_some(Prefix::SilentSudo)
}
