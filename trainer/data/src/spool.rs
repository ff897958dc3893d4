//! Compressed files, unpacked once into a temporary file, so that they can be read at any place.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;
use super::positioned::Positioned;

/// A file for reading; the contents of one that is compressed with gzip, whatever its name is.
///
/// They go into a temporary file without a name (in `TMPDIR`), which is gone when nobody reads it any more.
pub fn open(path: &Path) -> Result<Positioned, DataError> {
    let file = Positioned::open_data(path)?;
    let begins = file.read_at(0, file.len().min(2) as usize);
    match begins {
        Ok(begins) if begins == [0x1f, 0x8b] => {
            unpack(path, MultiGzDecoder::new(BufReader::new(file.reader(0))))
        }
        Ok(_) => Ok(file),
        Err(source) => Err(DataError::Io {
            path: path.into(),
            source,
        }),
    }
}

/// Everything that `from` reads, in a temporary file; `path` is what it comes from.
pub fn unpack(path: &Path, mut from: impl Read) -> Result<Positioned, DataError> {
    let temporary = |source| DataError::Temporary {
        path: path.into(),
        source,
    };
    let mut to = tempfile::tempfile().map_err(temporary)?;
    let mut piece = [0; 16 << 10];
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(DataError::Torn {
                    path: path.into(),
                    reason: error.to_string(),
                });
            }
        };
        io::Write::write_all(&mut to, &piece[..count]).map_err(temporary)?;
    }
    Positioned::of(to).map_err(temporary)
}
