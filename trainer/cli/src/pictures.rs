//! Where `sample` puts the images that it draws: a sheet, a folder, or a data set of another program in one file.

use std::path::{Path, PathBuf};

use anyhow::Result;
use freeguide::bundle::Model;
use freeguide::settings::Plan;
use freeguide_native::files::{create_folder, write_atomic};
use freeguide_native::grid::Grid;
use freeguide_native::image_set::ImageSet;
use freeguide_native::sample::{self, Images};
use freeguide_native::usage::Usage;

/// The output of `sample`, which takes the images of a plan in order.
pub enum Pictures {
    /// One PNG with all images, which waits for the last one.
    Sheet {
        path: PathBuf,
        columns: Option<usize>,
        pixels: Vec<u8>,
    },
    /// One PNG an image.
    Folder { path: PathBuf, written: Vec<String> },
    /// One file.
    Set { path: PathBuf, set: ImageSet },
}

impl Pictures {
    /// Checks and begins the output `--out`. `columns` are those of a sheet, if it is not to be a square.
    pub fn open(out: &str, columns: Option<usize>, model: &Model) -> Result<Self> {
        let path = PathBuf::from(out);
        if out.ends_with('/') {
            create_folder(&path)?;
            return Ok(Self::Folder {
                path,
                written: Vec::new(),
            });
        }
        if path.is_dir() || path.file_name().is_none() {
            let what =
                "expected the name of a .png, .parquet or .tar file, or of a folder that ends in /";
            return Err(Usage(format!("--out {out:?}: {what}")).into());
        }
        if let Some(parent) = path.parent() {
            create_folder(parent)?;
        }
        Ok(match ImageSet::create(&path, &model.config().classes)? {
            Some(set) => Self::Set { path, set },
            None => Self::Sheet {
                path,
                columns,
                pixels: Vec::new(),
            },
        })
    }

    /// Takes the next images, which this part of the plan describes.
    pub fn take(&mut self, model: &Model, part: &Plan, images: Images) -> Result<()> {
        match self {
            Self::Sheet { pixels, .. } => pixels.extend(images.pixels),
            Self::Folder { path, written } => {
                written.extend(sample::write_files(
                    &sample::pngs(model, part, &images)?,
                    path,
                )?);
            }
            Self::Set { set, .. } => set.add(sample::pngs(model, part, &images)?)?,
        }
        Ok(())
    }

    /// Finishes the output of the whole plan. Returns the names of the files.
    pub fn finish(self, model: &Model, plan: &Plan) -> Result<Vec<String>> {
        let name = |path: &Path| vec![path.display().to_string()];
        match self {
            Self::Sheet {
                path,
                columns,
                pixels,
            } => {
                let [channels, size, _] = model.config().image.dims();
                let grid = match columns {
                    Some(columns) => Grid::new(columns, size),
                    None => Grid::square(plan.classes.len(), size),
                };
                let images = Images {
                    pixels,
                    size,
                    channels,
                };
                write_atomic(&path, &sample::sheet(model, plan, &images, &grid)?)?;
                Ok(name(&path))
            }
            Self::Folder { written, .. } => Ok(written),
            Self::Set { path, set } => {
                set.finish()?;
                Ok(name(&path))
            }
        }
    }
}
