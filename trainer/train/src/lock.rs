//! One training at a time in a run folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use freeguide_native::files::create_folder;
use freeguide_native::tell;

/// The file that is locked; what it holds is the number of the process, for people.
const FILE: &str = ".lock";

/// A lock on a run folder. It is the operating system's, on an open file, so it ends with the
/// process however that ends: a lock cannot be left behind by one that was killed.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the run folder `out`, which is created where it is not there.
    ///
    /// # Errors
    ///
    /// If another process trains there.
    pub fn take(out: &Path) -> Result<Self> {
        create_folder(out)?;
        let path = out.join(FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let process = match file.read_to_string(&mut holder) {
                    Ok(_) if !holder.trim().is_empty() => format!("process {}", holder.trim()),
                    _ => "another process".to_owned(),
                };
                bail!(
                    "{process} is training in {}: wait for it, stop it, or choose another --out",
                    out.display()
                );
            }
            // Some network file systems have no locks. That is no reason not to train.
            Err(TryLockError::Error(error)) => {
                tell!(
                    "warning: {} cannot be locked against a second training: {error}",
                    out.display()
                );
                return Ok(Self { _file: file });
            }
        }
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_until_the_lock_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let lock = Lock::take(&out).unwrap();
        let error = Lock::take(&out).unwrap_err().to_string();
        let process = format!("process {} is training", std::process::id());
        assert!(error.contains(&process), "{error}");
        drop(lock);
        // What a process that was killed leaves behind: the file, and nobody who holds it.
        std::fs::write(out.join(FILE), "4194304999").unwrap();
        let lock = Lock::take(&out).unwrap();
        let error = Lock::take(&out).unwrap_err().to_string();
        assert!(error.contains(&process), "{error}");
        drop(lock);
    }
}
