//! A GPU's driver without a GPU: lavapipe, Mesa's Vulkan on the processor, which has 16-bit floats since Mesa 25.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::sh::{Sh, replace_dir, say, sh, target, which};

/// What Debian 12 has too old, from its backports: package and version.
const BACKPORTS: [&str; 3] = [
    "mesa-vulkan-drivers=25.0.7-2~bpo12+1",
    "libdrm2=2.4.123-1~bpo12+1",
    "libdrm-amdgpu1=2.4.123-1~bpo12+1",
];

/// The libraries that it needs beyond those that every Debian 12 has.
const LIBRARIES: [&str; 24] = [
    "libvulkan1",
    "libllvm15",
    "libz3-4",
    "libedit2",
    "libbsd0",
    "libmd0",
    "libxml2",
    "libicu72",
    "libelf1",
    "libexpat1",
    "libffi8",
    "libwayland-client0",
    "libx11-xcb1",
    "libxau6",
    "libxcb1",
    "libxcb-dri3-0",
    "libxcb-present0",
    "libxcb-randr0",
    "libxcb-shm0",
    "libxcb-sync1",
    "libxcb-xfixes0",
    "libxdmcp6",
    "libxshmfence1",
    "libzstd1",
];

/// Where the libraries of a package of Debian's lie in it.
const FOLDERS: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// The driver in a folder of our own: nothing of the system is changed, and no other program sees it.
pub struct Lavapipe {
    folder: PathBuf,
}

/// The driver, unpacked under target/tools, on a system for which there is a [list of packages](has_lavapipe).
///
/// # Errors
///
/// One line, where it cannot be fetched.
pub fn lavapipe() -> Result<Lavapipe> {
    let folder = target().join("tools/lavapipe");
    let stamp = folder.join("packages");
    let wanted = [BACKPORTS.join("\n"), LIBRARIES.join("\n")].join("\n");
    if !fs::read_to_string(&stamp).is_ok_and(|packages| packages == wanted) {
        let new = folder.with_extension("new");
        let _ = fs::remove_dir_all(&new);
        fetch(&new).context("lavapipe cannot be fetched")?;
        fs::write(new.join("packages"), wanted)?;
        replace_dir(&new, &folder)?;
    }
    Ok(Lavapipe { folder })
}

impl Lavapipe {
    /// A command that finds this driver and no other.
    pub fn for_command(&self, command: Sh) -> Sh {
        let libraries = FOLDERS.map(|folder| self.folder.join(folder).display().to_string());
        command
            .env("LD_LIBRARY_PATH", libraries.join(":"))
            // Loaders before and since 1.3.207 have different names for it.
            .env("VK_ICD_FILENAMES", self.folder.join(DESCRIPTION))
            .env("VK_DRIVER_FILES", self.folder.join(DESCRIPTION))
            .env("XDG_RUNTIME_DIR", self.folder.join("run"))
            .env("MESA_SHADER_CACHE_DIR", self.folder.join("shaders"))
    }
}

/// The file that tells Vulkan's loader of the driver.
const DESCRIPTION: &str = "lavapipe.json";

/// Whether there is a list of the driver's packages for this system: Debian 12 on x86-64.
pub fn has_lavapipe() -> bool {
    let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let says = |line: &str| about.lines().any(|found| found == line);
    cfg!(target_arch = "x86_64")
        && says("ID=debian")
        && says("VERSION_ID=\"12\"")
        && which("apt-get").is_some()
        && which("dpkg").is_some()
}

/// Downloads and unpacks the packages, with lists of packages of our own: those of the system stay as they are.
fn fetch(folder: &Path) -> Result<()> {
    say("unpacking Mesa 25's lavapipe into target/tools (some 50 MB to fetch)");
    let apt = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial", "debs"] {
        fs::create_dir_all(apt.join(part))?;
    }
    fs::write(apt.join("sources.list"), sources()?)?;
    let get = |arguments: &str| -> Sh {
        let set = |command: Sh, name: &str, value: &Path| {
            command.arg("-o").arg(format!("{name}={}", value.display()))
        };
        let command = sh("apt-get").dir(&apt.join("debs")).arg("-qq");
        let command = set(command, "Dir::Etc::SourceList", &apt.join("sources.list"));
        let command = set(command, "Dir::Etc::SourceParts", Path::new("/dev/null"));
        let command = set(command, "Dir::State::Lists", &apt.join("lists"));
        let command = set(command, "Dir::Cache", &apt.join("cache"));
        command.args(arguments)
    };
    get("update").quietly()?;
    let packages = [&BACKPORTS[..], &LIBRARIES[..]].concat().join(" ");
    get(&format!("download {packages}")).quietly()?;
    for file in fs::read_dir(apt.join("debs"))? {
        sh("dpkg")
            .arg("--extract")
            .arg(file?.path())
            .arg(folder)
            .quietly()?;
    }
    fs::remove_dir_all(&apt)?;
    fs::create_dir_all(folder.join("run"))?;
    describe(folder)
}

/// The system's own source of packages, and its backports.
fn sources() -> Result<String> {
    let printed = sh("apt-get")
        .arg("indextargets")
        .arg("--format")
        .arg("$(REPO_URI) $(CODENAME)")
        .arg("Created-By: Packages")
        .read()?;
    let site = printed
        .lines()
        .find_map(|line| line.strip_suffix(" bookworm"))
        .context("apt has no source for Debian 12")?;
    let keys = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
    Ok(["bookworm", "bookworm-backports"]
        .map(|suite| format!("deb {keys} {site} {suite} main\n"))
        .concat())
}

/// Writes the driver's description with the path that it has here.
fn describe(folder: &Path) -> Result<()> {
    let theirs = folder.join("usr/share/vulkan/icd.d/lvp_icd.json");
    let text = fs::read_to_string(&theirs).with_context(|| format!("no {}", theirs.display()))?;
    let mut about: Value = serde_json::from_str(&text).context("the driver's description")?;
    let library = Path::new(FOLDERS[0]).join("libvulkan_lvp.so");
    if !folder.join(&library).is_file() {
        bail!("the driver is not in its package");
    }
    // Relative to the description, since the folder is moved once it is complete.
    about["ICD"]["library_path"] = json!(Path::new("./").join(library));
    fs::write(folder.join(DESCRIPTION), about.to_string())?;
    Ok(())
}
