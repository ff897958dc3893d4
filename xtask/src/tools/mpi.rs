//! MPI, for the tests of several processes that work as one.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::system::{self, Package};
use crate::sh::{say, sh, which};

/// What building with MPI and running it needs: the compiler's wrapper, the launcher, and libclang, by which its C
/// headers are read.
const PACKAGE: Package = Package {
    usual: "libopenmpi-dev openmpi-bin libclang-dev",
    brew: "open-mpi llvm",
};

/// Where libclang lies on most systems.
const USUAL: [&str; 6] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/homebrew/opt/llvm/lib",
    "/usr/local/opt/llvm/lib",
];

/// The cargo arguments that build with MPI, where it is there or can be installed; none where not, which leaves out what
/// only MPI can show.
pub fn mpi() -> &'static str {
    static ARGUMENTS: OnceLock<&str> = OnceLock::new();
    ARGUMENTS.get_or_init(|| {
        if !is_there()
            && let Err(error) = system::install(&PACKAGE)
        {
            say(&format!("no MPI, so its tests are left out: {error:#}"));
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

/// Whether a libclang lies where its users look for it.
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
    // Debian keeps every version in a folder of its own.
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
