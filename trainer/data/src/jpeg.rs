//! JPEGs that zune-jpeg 0.5.15, which `image` decodes with, misreads without a word.
//!
//! A sequential JPEG may hold its components one after another, each in a scan of its own, instead of block by block in
//! one ("non-interleaved"; ITU T.81, A.2.2), and any component may be stored at the full size, not the first alone
//! (A.1.1). zune-jpeg makes stripes and noise of both (zune-image#419, #422). They are found by their headers and decoded
//! by `jpeg-decoder`, which is within 3 of 255 of libjpeg-turbo there; what that one misreads is refused.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{Decoder, PixelFormat};

use super::decode::MAX_DECODED_BYTES;

/// What the headers of a JPEG say, up to its first scan.
struct Headers {
    /// Whether its blocks are refined scan by scan.
    progressive: bool,
    /// How often each component is sampled, across and down.
    sampling: Vec<(u8, u8)>,
    /// Components in the first scan.
    scanned: usize,
}

/// The picture, upright, where these are the bytes of such a JPEG.
pub fn decode(bytes: &[u8]) -> Option<Result<DynamicImage, String>> {
    let headers = Headers::read(bytes)?;
    headers.is_misread().then(|| match headers.is_refused() {
        true => Err("a JPEG whose colours lie in scans of their own with unusual sampling factors or as CMYK is not read; save it again as an ordinary JPEG or PNG".into()),
        false => decode_here(bytes),
    })
}

impl Headers {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
        let mut frame = None;
        loop {
            // Any number of fill bytes may stand before a marker.
            let at = rest.iter().position(|&byte| byte != 0xff)?;
            let (marker, after) = (rest[at], &rest[at + 1..]);
            if at == 0 {
                return None;
            }
            // Markers that stand alone.
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                rest = after;
                continue;
            }
            let length = u16::from_be_bytes([*after.first()?, *after.get(1)?]);
            let segment = after.get(2..usize::from(length))?;
            match marker {
                0xc0..=0xc2 => frame = Some((marker == 0xc2, sampling(segment)?)),
                // Lossless, hierarchical and arithmetically coded frames, and the end.
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xd9 => return None,
                0xda => {
                    let (progressive, sampling) = frame?;
                    return Some(Self {
                        progressive,
                        sampling,
                        scanned: usize::from(*segment.first()?),
                    });
                }
                _ => {}
            }
            rest = &after[usize::from(length)..];
        }
    }

    /// The most samples of any component, across and down.
    fn most(&self) -> (u8, u8) {
        let across = self.sampling.iter().map(|&(h, _)| h).max();
        let down = self.sampling.iter().map(|&(_, v)| v).max();
        (across.unwrap_or(1), down.unwrap_or(1))
    }

    fn is_misread(&self) -> bool {
        let scans = !self.progressive && self.scanned < self.sampling.len();
        let small_first = self.sampling.first() != Some(&self.most());
        let three = self.sampling.iter().any(|&(h, v)| h == 3 || v == 3);
        self.sampling.len() > 1 && (scans || small_first || three)
    }

    /// What `jpeg-decoder` does not read as libjpeg-turbo does.
    fn is_refused(&self) -> bool {
        let (across, down) = self.most();
        let ratio = |&(h, v): &(u8, u8)| {
            let whole = h > 0 && v > 0 && across % h == 0 && down % v == 0;
            whole.then(|| (across / h, down / v))
        };
        let unusual = |component| matches!(ratio(component), None | Some((2, 4)));
        self.sampling.len() > 3 || self.sampling.iter().any(unusual)
    }
}

/// The sampling factors in a frame's header: precision, height, width, then the components.
fn sampling(frame: &[u8]) -> Option<Vec<(u8, u8)>> {
    let count = usize::from(*frame.get(5)?);
    let components = frame.get(6..6 + 3 * count)?.chunks_exact(3);
    Some(components.map(|c| (c[1] >> 4, c[1] & 15)).collect())
}

fn decode_here(bytes: &[u8]) -> Result<DynamicImage, String> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_max_decoding_buffer_size(MAX_DECODED_BYTES as usize);
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("it has no size")?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let image: Option<DynamicImage> = match info.pixel_format {
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels).map(Into::into),
        PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(Into::into),
        PixelFormat::L16 | PixelFormat::CMYK32 => None,
    };
    let mut image = image.ok_or("a JPEG with such colours is not read")?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}
