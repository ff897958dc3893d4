//! A file that many threads read at once, each where it likes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::DataError;
use super::error::LFS_POINTER;

/// A file that is read at positions, without a cursor that threads would share.
#[derive(Debug, Clone)]
pub struct Positioned {
    file: Arc<File>,
    len: u64,
}

impl Positioned {
    /// Opens a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// A file that is open.
    pub fn of(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            len,
        })
    }

    /// Opens a file of a data set, and refuses a stand-in for one.
    pub fn open_data(path: &Path) -> Result<Self, DataError> {
        let io = |source| DataError::Io {
            path: path.into(),
            source,
        };
        let file = Self::open(path).map_err(io)?;
        let begins = file.read_at(0, file.len().min(64) as usize).map_err(io)?;
        match is_lfs_pointer(&begins) {
            true => Err(DataError::Torn {
                path: path.into(),
                reason: LFS_POINTER.into(),
            }),
            false => Ok(file),
        }
    }

    /// The length that the file had when it was opened, in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from `offset` on.
    pub fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        if offset
            .checked_add(len as u64)
            .is_none_or(|end| end > self.len)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; len];
        let mut done = 0;
        while done < len {
            match read_some(&self.file, &mut bytes[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }

    /// A reader with a cursor of its own.
    pub fn reader(&self, position: u64) -> Reader {
        Reader {
            file: self.clone(),
            position,
        }
    }
}

#[cfg(unix)]
fn read_some(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

#[cfg(windows)]
fn read_some(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, offset)
}

/// Whether a file that begins so is what Git leaves in the place of one where Git LFS is not installed.
pub fn is_lfs_pointer(begins: &[u8]) -> bool {
    begins.starts_with(b"version https://git-lfs")
}

/// A cursor in a [`Positioned`] file.
#[derive(Debug)]
pub struct Reader {
    file: Positioned,
    position: u64,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = read_some(&self.file.file, into, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.file.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
