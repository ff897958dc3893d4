//! Allows only one training at a time in a run folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use freeguide_native::files::create_folder;
use freeguide_native::tell;

/// The locked file. It contains the process id, for people.
const FILE: &str = ".lock";

/// A lock on a run folder. The operating system holds it on an open file and releases it when the process ends, so a
/// process that is killed leaves no lock behind.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the run folder `out`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// If another process is training there.
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
            // Some network file systems have no locks. Train anyway.
            Err(TryLockError::Error(error)) => {
                tell!(
                    "warning: {} cannot be locked, so nothing prevents a second training in it: {error}",
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
