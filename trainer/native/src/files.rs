//! Writes files atomically, so that nobody sees a partial file.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file atomically: to a temporary file beside it, which is then renamed. An old file stays until then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let put = || {
        let folder = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".freeguide-");
        // By default only the owner can read a temporary file; this one is to be served to others.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok::<(), std::io::Error>(())
    };
    put().with_context(|| format!("cannot write {}", path.display()))
}

/// Like `create_dir_all`, with an error that names the folder.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create the folder {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = folder.path().join("no/such/a.txt");
        assert!(
            write_atomic(&missing, b"")
                .unwrap_err()
                .to_string()
                .contains("no/such/a.txt")
        );
    }
}
