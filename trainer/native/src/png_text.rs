//! PNG files with a text, which stores how a picture was made.
//!
//! The text is an uncompressed `iTXt` chunk (PNG specification, section 11.3.3.4). It is UTF-8, and a few lines of
//! JavaScript can also read and write it.

use thiserror::Error;

/// The keyword under which freeguide stores the settings of a picture.
pub const KEYWORD: &str = "freeguide";

/// Why a PNG was not written or read.
#[derive(Debug, Error)]
pub enum PngError {
    /// The buffer does not have the size of the described picture.
    #[error("{width}×{height} pixels with {channels} channels do not have {len} bytes")]
    Shape {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Channels a pixel.
        channels: usize,
        /// The number of bytes given.
        len: usize,
    },
    /// A number of channels other than 1 and 3.
    #[error("a picture with {0} channels cannot be written, only grey (1) and RGB (3)")]
    Channels(usize),
    /// The encoder refused, for instance for a keyword that is empty or longer than 79 characters.
    #[error("cannot write the PNG")]
    Encode(#[from] png::EncodingError),
    /// The bytes are not a readable PNG.
    #[error("cannot read the PNG")]
    Decode(#[from] png::DecodingError),
}

/// Encodes 8-bit pixels as PNG, optionally with a text, given as (keyword, text). The same input gives the same bytes.
///
/// # Shapes
/// `pixels`: `[height, width, channels]`, where `channels` is 1 (grey) or 3 (RGB).
pub fn encode_png(
    pixels: &[u8],
    width: usize,
    height: usize,
    channels: usize,
    text: Option<(&str, &str)>,
) -> Result<Vec<u8>, PngError> {
    let color = match channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => return Err(PngError::Channels(channels)),
    };
    let shape = || PngError::Shape {
        width,
        height,
        channels,
        len: pixels.len(),
    };
    let expected = width
        .checked_mul(height)
        .and_then(|area| area.checked_mul(channels));
    let (Ok(columns), Ok(rows)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(shape());
    };
    if expected != Some(pixels.len()) {
        return Err(shape());
    }

    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns, rows);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    // Set explicitly, so that a new default of the encoder does not change the bytes of a picture.
    encoder.set_compression(png::Compression::Balanced);
    if let Some((keyword, text)) = text {
        encoder.add_itxt_chunk(keyword.into(), text.into())?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// The text of `png` under `keyword`, if it has one, before or after the pixels. Only `iTXt` chunks are read, and the
/// first one counts. A compressed text is limited to two megabytes, because a picture is untrusted and a few bytes can
/// expand to any number.
pub fn read_text(png: &[u8], keyword: &str) -> Result<Option<String>, PngError> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info()?;
    reader.finish()?;
    let chunk = reader
        .info()
        .utf8_text
        .iter()
        .find(|chunk| chunk.keyword == keyword);
    let Some(mut chunk) = chunk.cloned() else {
        return Ok(None);
    };
    chunk.decompress_text()?;
    Ok(Some(chunk.get_text()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> (Vec<u8>, png::ColorType) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (pixels, info.color_type)
    }

    #[test]
    fn pixels_and_text_come_back() {
        let text = "{\"class\":\"Füße 🦶\",\"seed\":7}";
        for (channels, color) in [(1, png::ColorType::Grayscale), (3, png::ColorType::Rgb)] {
            let pixels: Vec<u8> = (0..6 * channels as u8).map(|v| v * 9).collect();
            let bytes = encode_png(&pixels, 3, 2, channels, Some((KEYWORD, text))).unwrap();
            assert_eq!(decode(&bytes), (pixels, color));
            assert_eq!(read_text(&bytes, KEYWORD).unwrap().as_deref(), Some(text));
            assert_eq!(read_text(&bytes, "other").unwrap(), None);
        }
    }

    #[test]
    fn the_text_is_a_plain_chunk_that_other_readers_find() {
        let bytes = encode_png(&[0], 1, 1, 1, Some(("freeguide", "é"))).unwrap();
        // keyword, 0, not compressed, method 0, no language, no translated keyword, text.
        let chunk = b"iTXtfreeguide\0\0\0\0\0\xc3\xa9";
        assert!(bytes.windows(chunk.len()).any(|window| window == chunk));
    }

    #[test]
    fn a_compressed_text_is_read_up_to_two_megabytes() {
        let with = |bytes: usize| {
            let mut chunk = png::text_metadata::ITXtChunk::new(KEYWORD, "x".repeat(bytes));
            chunk.compressed = true;
            let mut file = Vec::new();
            let mut writer = png::Encoder::new(&mut file, 1, 1).write_header().unwrap();
            writer.write_text_chunk(&chunk).unwrap();
            writer.write_image_data(&[0]).unwrap();
            writer.finish().unwrap();
            assert!(file.len() < bytes / 10);
            read_text(&file, KEYWORD)
        };
        let text = with(1 << 20).unwrap().unwrap();
        assert_eq!(text.len(), 1 << 20);
        assert!(matches!(with(3 << 20), Err(PngError::Decode(_))));
    }

    #[test]
    fn the_same_picture_gives_the_same_bytes() {
        let pixels: Vec<u8> = (0..64 * 64 * 3).map(|v| (v * v % 253) as u8).collect();
        let encode = || encode_png(&pixels, 64, 64, 3, Some((KEYWORD, "x"))).unwrap();
        assert_eq!(encode(), encode());
        assert_eq!(
            read_text(&encode_png(&pixels, 64, 64, 3, None).unwrap(), KEYWORD).unwrap(),
            None
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(matches!(
            encode_png(&[0; 5], 2, 1, 3, None),
            Err(PngError::Shape { len: 5, .. })
        ));
        assert!(matches!(
            encode_png(&[], usize::MAX, 2, 3, None),
            Err(PngError::Shape { .. })
        ));
        assert!(matches!(
            encode_png(&[0; 4], 1, 1, 4, None),
            Err(PngError::Channels(4))
        ));
        assert!(matches!(
            encode_png(&[], 0, 0, 3, None),
            Err(PngError::Encode(_))
        ));
        assert!(matches!(
            encode_png(&[0], 1, 1, 1, Some(("", "x"))),
            Err(PngError::Encode(_))
        ));
        assert!(matches!(
            read_text(b"no picture", KEYWORD),
            Err(PngError::Decode(_))
        ));
        let whole = encode_png(&[0; 300], 10, 10, 3, Some((KEYWORD, "x"))).unwrap();
        assert!(read_text(&whole[..whole.len() - 20], KEYWORD).is_err());
    }
}
