//! Opens bundles on disk.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use burn::tensor::Device;
use freeguide::bundle::{
    BundleError, CONFIG_FILE, Loader, MAX_CONFIG_BYTES, MemoryEstimate, Model,
};
use freeguide::classifier::NoisyClassifier;

/// The number of bytes read at a time.
const CHUNK: usize = 1 << 20;

/// Opens the bundle in `folder`.
///
/// # Errors
///
/// [`BundleError`], if the bundle is damaged in any way.
pub fn open(folder: &Path, device: &Device) -> Result<Model, BundleError> {
    let mut loader = loader(folder, device)?;
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

/// Opens the bundle in `folder` with the one in `guide`, where that is given, to guide it.
///
/// # Errors
///
/// If one of the bundles is damaged, or the two do not fit.
pub fn open_guided(folder: &Path, guide: Option<&Path>, device: &Device) -> Result<Model> {
    let named = |folder: &Path| open(folder, device).with_context(|| folder.display().to_string());
    let model = named(folder)?;
    Ok(match guide {
        Some(guide) => model.guided_by(named(guide)?)?,
        None => model,
    })
}

/// Opens the classifier of noisy images in `file`.
///
/// # Errors
///
/// If the file cannot be read or is not of such a classifier.
pub fn open_noisy_classifier(file: &Path, device: &Device) -> Result<Arc<NoisyClassifier>> {
    let read = || {
        let bytes = std::fs::read(file)?;
        Ok(NoisyClassifier::read(&bytes, device)?)
    };
    let classifier: Result<_> = read();
    Ok(Arc::new(
        classifier.with_context(|| file.display().to_string())?,
    ))
}

/// An estimate of the memory that the bundle in `folder` needs.
///
/// # Errors
///
/// [`BundleError`], if its configuration is invalid.
pub fn memory(folder: &Path, device: &Device) -> Result<MemoryEstimate, BundleError> {
    Ok(loader(folder, device)?.memory())
}

fn loader(folder: &Path, device: &Device) -> Result<Loader, BundleError> {
    let mut json = String::new();
    // Read one byte more than allowed, so that the loader refuses a longer file.
    File::open(folder.join(CONFIG_FILE))
        .and_then(|file| {
            file.take(MAX_CONFIG_BYTES as u64 + 1)
                .read_to_string(&mut json)
        })
        .map_err(|e| failure(CONFIG_FILE, &e))?;
    Loader::new(&json, device)
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
