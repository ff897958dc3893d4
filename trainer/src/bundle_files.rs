//! Bundles on a disk.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use burn::tensor::Device;
use freeguide::bundle::{BundleError, CONFIG_FILE, Loader, Model};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;

/// Opens the bundle in `folder`.
///
/// # Errors
///
/// [`BundleError`], for every way in which it can be broken.
pub fn open(folder: &Path, device: &Device) -> Result<Model, BundleError> {
    let json =
        fs::read_to_string(folder.join(CONFIG_FILE)).map_err(|e| failure(CONFIG_FILE, &e))?;
    let mut loader = Loader::new(&json, device)?;
    let mut chunk = vec![0; CHUNK];
    for weights in loader.files().to_vec() {
        let name = &weights.file;
        let mut file = File::open(folder.join(name)).map_err(|e| failure(name, &e))?;
        loader.begin(name)?;
        loop {
            match file.read(&mut chunk).map_err(|e| failure(name, &e))? {
                0 => break,
                count => loader.push(&chunk[..count])?,
            }
        }
        loader.end()?;
    }
    loader.finish()
}

fn failure(file: &str, error: &std::io::Error) -> BundleError {
    let file = file.to_owned();
    match error.kind() {
        ErrorKind::NotFound => BundleError::MissingFile { file },
        _ => BundleError::Unreadable {
            file,
            reason: error.to_string(),
        },
    }
}
