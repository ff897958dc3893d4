//! From an image as it is stored to upright pixels.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use super::records::Stored;

/// The most memory that the pixels of one file may take: a photograph of 170 megapixels.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// The file name extensions of images that are read.
pub const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "jpe", "jfif", "webp"];

/// Whether this is the extension of an image of a kind that is read.
pub fn is_image_extension(extension: &str) -> bool {
    EXTENSIONS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Decodes one image, upright. The error is for people.
pub fn decode(stored: Stored) -> Result<DynamicImage, String> {
    match stored {
        Stored::Encoded(bytes) => decode_file(&bytes),
        Stored::Pixels(image) => Ok(image),
    }
}

fn decode_file(bytes: &[u8]) -> Result<DynamicImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("not a PNG, JPEG or WebP image".into());
    }
    let decode = || {
        let mut decoder = reader.into_decoder()?;
        // A file of a hundred bytes may claim to be a picture of gigabytes.
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        limits.reserve(decoder.total_bytes())?;
        decoder.set_limits(limits)?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok::<_, image::ImageError>(image)
    };
    let image = decode().map_err(|error| error.to_string())?;
    if image.width() == 0 || image.height() == 0 {
        return Err("the image has no pixels".into());
    }
    Ok(image)
}
