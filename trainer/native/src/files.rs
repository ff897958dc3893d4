//! Writes files atomically, so that nobody sees a partial file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// Writes a file atomically: to a temporary file beside it, which is then renamed. An old file stays until then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = PartialFile::create(path)?;
    file.write_all(bytes).with_context(|| cannot_write(path))?;
    file.finish()
}

/// A file that is written piece by piece, to a temporary file beside its place. Until it is finished, an old file stays;
/// if it is dropped before, nothing is left of it.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl PartialFile {
    /// Begins a file that is to be at `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".freeguide-");
        // By default only the owner can read a temporary file; this one is to be served to others.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let file = builder.tempfile_in(folder);
        Ok(Self {
            path: path.into(),
            file: file.with_context(|| cannot_write(path))?,
        })
    }

    /// Puts the whole file in its place.
    pub fn finish(self) -> Result<()> {
        let Self { path, file } = self;
        let put = || {
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|e| e.error)
        };
        put().map(drop).with_context(|| cannot_write(&path))
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
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

    #[test]
    fn a_file_that_is_not_finished_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomic(&path, b"old").unwrap();
        let mut partial = PartialFile::create(&path).unwrap();
        partial.write_all(b"half of the n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(partial);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
