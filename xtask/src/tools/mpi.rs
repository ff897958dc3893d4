//! MPI, for the tests of distributed training.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::system::{self, Package};
use crate::sh::{say, sh, which};

/// The packages for building and running with MPI: the compiler wrapper, the launcher, and libclang, which reads MPI's
/// C headers.
const PACKAGE: Package = Package {
    usual: "libopenmpi-dev openmpi-bin libclang-dev",
    brew: "open-mpi llvm",
};

/// The usual folders of libclang.
const USUAL: [&str; 6] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/homebrew/opt/llvm/lib",
    "/usr/local/opt/llvm/lib",
];

/// The cargo arguments for building with MPI, if MPI is present or can be installed. Otherwise empty, which leaves out
/// the tests that need MPI.
pub fn mpi() -> &'static str {
    static ARGUMENTS: OnceLock<&str> = OnceLock::new();
    ARGUMENTS.get_or_init(|| {
        if !is_there()
            && let Err(error) = system::install(&PACKAGE)
        {
            say(&format!("without MPI, its tests are skipped: {error:#}"));
        }
        match is_there() {
            true => "--features freeguide-trainer/mpi",
            false => "",
        }
    })
}

fn is_there() -> bool {
    which("mpicc").is_some() && which("mpirun").is_some() && libclang()
}

/// Whether a libclang is in one of the folders where programs look for it.
fn libclang() -> bool {
    let holds = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        names
            .filter_map(|name| name.into_string().ok())
            .any(|name| {
                name.starts_with("libclang") && (name.contains(".so") || name.contains(".dylib"))
            })
    };
    if let Some(path) = env::var_os("LIBCLANG_PATH") {
        return holds(Path::new(&path));
    }
    let configured = sh("llvm-config").arg("--libdir").read().ok();
    // Debian has a folder per version.
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    let versions = folders
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("llvm-"))
        })
        .map(|path| path.join("lib"));
    configured
        .map(PathBuf::from)
        .into_iter()
        .chain(versions)
        .chain(USUAL.map(PathBuf::from))
        .any(|folder| holds(&folder))
}
