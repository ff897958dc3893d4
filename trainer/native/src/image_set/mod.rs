//! Drawn images in one file, as other programs read data sets: Parquet for the `datasets` library, tar for WebDataset.
//!
//! A file is written while images are drawn, so that memory holds few of them, and it is put in its place when it is
//! complete. `freeguide train` reads both.

mod parquet;
mod tar;

use std::path::Path;

use anyhow::Result;
use freeguide::class_names::ClassNames;

use self::parquet::ParquetSet;
use self::tar::TarSet;
use crate::files::PartialFile;
use crate::sample::Drawn;

/// A set that is being written.
pub enum ImageSet {
    /// One row an image.
    Parquet(Box<ParquetSet>),
    /// Two members an image.
    Tar(TarSet),
}

impl ImageSet {
    /// Begins the set at `path`, if the path ends in `.parquet` or `.tar`.
    pub fn create(path: &Path, classes: &ClassNames) -> Result<Option<Self>> {
        let is = |extension: &str| path.extension().is_some_and(|e| e == extension);
        if is("parquet") {
            let set = ParquetSet::new(PartialFile::create(path)?, classes)?;
            Ok(Some(Self::Parquet(Box::new(set))))
        } else if is("tar") {
            Ok(Some(Self::Tar(TarSet::new(PartialFile::create(path)?))))
        } else {
            Ok(None)
        }
    }

    /// Adds images.
    pub fn add(&mut self, images: Vec<Drawn>) -> Result<()> {
        match self {
            Self::Parquet(set) => set.add(images),
            Self::Tar(set) => set.add(&images),
        }
    }

    /// Writes what is left and puts the file in its place.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Parquet(set) => set.finish(),
            Self::Tar(set) => set.finish(),
        }
    }
}
