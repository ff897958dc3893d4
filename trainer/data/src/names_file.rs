//! Files of class names, one a line.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::DataError;

/// Where class names stand, beside archives.
const CLASSES: &str = "classes.txt";

/// The most bytes of such a file: a hundred thousand names of ten letters.
const MAX_BYTES: u64 = 1 << 20;

/// The names in `classes.txt` beside a file, where there is one.
pub fn beside(file: &Path) -> Result<Option<Vec<String>>, DataError> {
    let names = file.with_file_name(CLASSES);
    names.exists().then(|| read(&names)).transpose()
}

/// The lines of a file that are not empty, without the spaces around them.
pub fn read(path: &Path) -> Result<Vec<String>, DataError> {
    let io = |source| DataError::Io {
        path: path.into(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(io)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(DataError::Torn {
            path: path.into(),
            reason: "it is over a megabyte long, and no list of classes".into(),
        });
    }
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(names.map(str::to_owned).collect())
}
