//! From an image as it is stored to upright pixels.

use std::cell::Cell;
use std::io::Cursor;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use super::error::LFS_POINTER;
use super::jpeg;
use super::positioned::is_lfs_pointer;
use super::records::{Records, Stored};

/// The most memory that the pixels of one file may take: a photograph of 170 megapixels.
pub const MAX_DECODED_BYTES: u64 = 512 << 20;

/// The file name extensions of images that are read.
pub const EXTENSIONS: [&str; 10] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "tif", "tiff",
];

/// Those of images that are known and not read.
const UNREAD: [&str; 14] = [
    "avif", "heic", "heif", "jxl", "jp2", "j2k", "svg", "psd", "tga", "ppm", "pgm", "pbm", "ico",
    "exr",
];

/// Whether this is the extension of an image of a kind that is read.
pub fn is_image_extension(extension: &str) -> bool {
    EXTENSIONS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether this is the extension of an image of a kind that is not read.
pub fn is_unread_image_extension(extension: &str) -> bool {
    UNREAD
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads image `index` and decodes it, upright. The error is for people; a decoder that panics is one.
pub fn read(records: &dyn Records, index: usize) -> Result<DynamicImage, String> {
    caught(|| records.read(index).and_then(decode))
}

/// Reads image `index` as it is stored; as [`read`].
pub fn stored(records: &dyn Records, index: usize) -> Result<Stored, String> {
    caught(|| records.read(index))
}

/// Reads and decodes some images one after another; as [`read`].
pub fn read_range(
    records: &dyn Records,
    range: Range<usize>,
    take: &mut dyn FnMut(usize, Result<DynamicImage, String>),
) {
    let mut next = range.start;
    while next < range.end {
        let read = caught(|| {
            records.read_range(next..range.end, &mut |index, stored| {
                take(index, caught(|| stored.and_then(decode)));
                next = index + 1;
            });
            Ok(())
        });
        // Reading the next record failed; continue with the one after it.
        if let Err(reason) = read {
            take(next, Err(reason));
            next += 1;
        }
    }
}

/// Decodes one image, upright. The error is for people.
pub fn decode(stored: Stored) -> Result<DynamicImage, String> {
    match stored {
        Stored::Encoded(bytes) => decode_file(&bytes),
        Stored::Pixels(image) => Ok(image),
    }
}

fn decode_file(bytes: &[u8]) -> Result<DynamicImage, String> {
    if is_lfs_pointer(bytes) {
        return Err(LFS_POINTER.into());
    }
    if let Some(image) = jpeg::decode(bytes) {
        return image;
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("not a PNG, JPEG, WebP, GIF, BMP or TIFF image".into());
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

/// What `act` answers; where it panics, as decoders do at some pictures, an error that says so. A training continues without
/// one picture, and does not end with a stack trace.
fn caught<T>(act: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    quietly(act).unwrap_or_else(|| Err("its decoder fails at it".into()))
}

/// What `act` answers; nothing where it panics, and nothing is printed then.
pub fn quietly<T>(act: impl FnOnce() -> T) -> Option<T> {
    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |panic| match QUIET.get() {
            true => {}
            false => hook(panic),
        }));
    });
    let outside = QUIET.replace(true);
    // What `act` changes is either whole or not used again: an image, a reader's place in a file.
    let answer = catch_unwind(AssertUnwindSafe(act));
    QUIET.set(outside);
    answer.ok()
}
