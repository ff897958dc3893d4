//! One picture in a file of its own, as a model of images takes it.

use std::fs;
use std::path::Path;

use image::DynamicImage;

use super::decode::decode;
use super::records::Stored;
use super::resample::Filter;
use super::transform::{Crop, Transform};

/// Reads a picture and brings it to `[size, size, channels]`, row by row, as training images are by default: upright, the
/// largest square in the middle, transparent parts over white. It is resized by area, and not sharpened.
///
/// # Errors
///
/// One line that says why it cannot be read.
pub fn read_square(path: &Path, size: u32, channels: u32) -> Result<Vec<u8>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let image = decode(Stored::Encoded(bytes))?;
    Ok(squared(&image, size, channels))
}

/// As [`read_square`], of a picture that has this size.
///
/// # Errors
///
/// One line that says why it cannot be read, or how large it is.
pub fn read_square_of(path: &Path, size: u32, channels: u32) -> Result<Vec<u8>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let image = decode(Stored::Encoded(bytes))?;
    let (width, height) = (image.width(), image.height());
    if (width, height) != (size, size) {
        return Err(format!(
            "the picture has {width}×{height} pixels, and the model enlarges pictures of {size}×{size}"
        ));
    }
    Ok(squared(&image, size, channels))
}

fn squared(image: &DynamicImage, size: u32, channels: u32) -> Vec<u8> {
    let transform = Transform {
        size,
        channels,
        resize: Filter::Area,
        crop: Crop::Center,
        background: [255; 3],
    };
    transform.apply(image)
}
