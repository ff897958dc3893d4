//! What lies in one archive, and reading it.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::DeflateDecoder;

use super::{tar, zip};
use crate::positioned::Positioned;
use crate::{DataError, Warning, spool};

/// The most bytes of a member once it is unpacked.
const MOST_BYTES: u64 = 512 << 20;

/// An archive that is open.
pub struct Archive {
    /// Its path.
    pub path: PathBuf,
    /// Whether it is a ZIP archive and not a tar archive.
    pub is_zip: bool,
    file: Positioned,
}

/// A file in an archive.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its path in the archive, without `./` in front.
    pub name: Box<str>,
    /// Where its bytes begin.
    pub offset: u64,
    /// How many they are, as they are stored.
    pub len: u64,
    /// How they are stored.
    pub packing: Packing,
}

/// How a member is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// Compressed, in ZIP archives.
    Deflate,
    /// Compressed in a way that is not read: the method's number in ZIP archives.
    Unknown(u16),
}

/// Opens an archive and lists its files: a tar archive's in their order, a ZIP archive's by name.
pub fn list(path: &Path) -> Result<(Archive, Vec<Member>, Vec<Warning>), DataError> {
    let file = spool::open(path)?;
    let begins = file.read_at(0, file.len().min(4) as usize);
    let begins = begins.map_err(|source| DataError::Io {
        path: path.into(),
        source,
    })?;
    let is_zip = begins.starts_with(b"PK");
    let (members, warnings) = match is_zip {
        true => (zip::list(path, &file)?, Vec::new()),
        false => tar::list(path, &file)?,
    };
    let archive = Archive {
        path: path.into(),
        is_zip,
        file,
    };
    Ok((archive, members, warnings))
}

impl Archive {
    /// The contents of a member.
    pub fn read(&self, member: &Member) -> io::Result<Vec<u8>> {
        match member.packing {
            Packing::Plain => {
                let len = usize::try_from(member.len).map_err(io::Error::other)?;
                self.file.read_at(member.offset, len)
            }
            Packing::Deflate => {
                let from = self.file.reader(member.offset).take(member.len);
                let from = BufReader::with_capacity(8192, from);
                let mut bytes = Vec::new();
                let mut unpacked = DeflateDecoder::new(from).take(MOST_BYTES + 1);
                unpacked.read_to_end(&mut bytes)?;
                match bytes.len() as u64 > MOST_BYTES {
                    true => Err(io::Error::other("it is too large once it is unpacked")),
                    false => Ok(bytes),
                }
            }
            Packing::Unknown(method) => Err(io::Error::other(format!(
                "it is compressed in a way that is not read (method {method})"
            ))),
        }
    }
}
