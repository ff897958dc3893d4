//! The picture that `sample` starts from, and its mask.

use std::path::Path;

use anyhow::{Result, anyhow};
use freeguide::bundle::ImageShape;
use freeguide::settings::SourcePixels;
use freeguide_data::read_square;
use freeguide_native::usage::Usage;

/// Reads the files of `--image` and `--mask`.
///
/// # Errors
///
/// If one of them cannot be read, or there is a mask alone.
pub fn read(
    image: Option<&Path>,
    mask: Option<&Path>,
    shape: &ImageShape,
) -> Result<Option<SourcePixels>> {
    let Some(image) = image else {
        return match mask {
            Some(_) => {
                Err(Usage("--mask needs --image, the picture that it belongs to".into()).into())
            }
            None => Ok(None),
        };
    };
    let pixels = |path: &Path, channels: usize| {
        read_square(path, shape.size as u32, channels as u32)
            .map_err(|reason| anyhow!("{}: {reason}", path.display()))
    };
    Ok(Some(SourcePixels {
        image: pixels(image, shape.channels)?,
        mask: mask.map(|path| pixels(path, 1)).transpose()?,
    }))
}
