//! The data set `emoji64`: emoji in two drawing styles, 64×64 on white, one class a category.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use png::{ColorType, Transformations};
use serde_json::Value;

use super::Image;

/// The side of an image in pixels.
const SIDE: u32 = 64;

/// A drawing style: what files are called by, and what its npm package calls it.
struct Style {
    name: &'static str,
    vendor: &'static str,
}

/// In the order in which images are numbered.
const STYLES: [Style; 2] = [
    Style {
        name: "noto",
        vendor: "google",
    },
    Style {
        name: "twemoji",
        vendor: "twitter",
    },
];

/// The checksum of the whole set.
const CHECKSUM: u64 = 0x013b_688b_61e7_fd66;

/// Makes the class folders in `dir`.
pub fn make(dir: &Path) -> Result<()> {
    let packages = super::fetch("emoji64", 140)?;
    let mut images = Vec::new();
    for style in &STYLES {
        let package = packages.join(format!("emoji-datasource-{}", style.vendor));
        let index = fs::read(package.join("emoji.json")).context("no index in the npm package")?;
        let index = serde_json::from_slice(&index).context("the npm package's index")?;
        let folder = package
            .join("img")
            .join(style.vendor)
            .join(SIDE.to_string());
        for emoji in emoji_of(&index, style.vendor)? {
            images.push((emoji.class, style.name, emoji.name, folder.join(emoji.file)));
        }
    }
    let mut files = Vec::new();
    for (n, (class, style, name, source)) in images.iter().enumerate() {
        let pixels = on_white(source).with_context(|| format!("image {}", source.display()))?;
        let path = format!("{class}/{style}-{n:04}-{name}.png");
        files.push(Image { path, pixels });
    }
    super::write(dir, &files, SIDE, ColorType::Rgb, CHECKSUM)?;
    println!(
        "{:>5} images of 64×64 pixels in {}\n\
         Noto Emoji by Google, Apache License 2.0; Twemoji by Twitter and contributors, CC-BY 4.0.\n\
         Name both beside whatever you publish of it.",
        images.len(),
        dir.display()
    );
    Ok(())
}

/// One emoji of a package's index.
#[derive(Debug, PartialEq)]
struct Emoji {
    class: String,
    name: String,
    file: String,
}

/// The emoji of an index that the vendor has drawn, in its order. What is no emoji of its own, the
/// category "Component" with its skin-tone swatches, is left out; skin-tone variants lie deeper in
/// the index, beneath the emoji that they vary.
fn emoji_of(index: &Value, vendor: &str) -> Result<Vec<Emoji>> {
    let drawn = format!("has_img_{vendor}");
    let mut all = Vec::new();
    for entry in index.as_array().context("the index is no list")? {
        let text = |field: &str| {
            entry[field]
                .as_str()
                .with_context(|| format!("an emoji has no {field}"))
        };
        let category = text("category")?;
        if category == "Component" || entry[&drawn] != Value::Bool(true) {
            continue;
        }
        all.push(Emoji {
            class: category
                .to_lowercase()
                .replace(" & ", "-")
                .replace(' ', "-"),
            name: text("short_name")?.replace('/', "_"),
            file: text("image")?.to_owned(),
        });
    }
    Ok(all)
}

/// The RGB pixels of a PNG of any colour type, laid on white.
fn on_white(path: &Path) -> Result<Vec<u8>> {
    let rgba = decode(BufReader::new(File::open(path)?))?;
    Ok(rgba
        .iter()
        .flat_map(|&[r, g, b, a]| [r, g, b].map(|x| over_white(x, a)))
        .collect())
}

/// One channel of a pixel of opacity `alpha` over white, rounded.
fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// The pixels of a 64×64 PNG as red, green, blue and alpha.
fn decode(file: impl std::io::BufRead + std::io::Seek) -> Result<Vec<[u8; 4]>> {
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().context("too large")?];
    let frame = reader.next_frame(&mut bytes)?;
    ensure!(
        (frame.width, frame.height) == (SIDE, SIDE),
        "not of {SIDE}×{SIDE} pixels"
    );
    let pixels = &bytes[..frame.buffer_size()];
    Ok(match frame.color_type {
        ColorType::Rgba => pixels
            .chunks_exact(4)
            .map(|p| [p[0], p[1], p[2], p[3]])
            .collect(),
        ColorType::Rgb => pixels
            .chunks_exact(3)
            .map(|p| [p[0], p[1], p[2], 255])
            .collect(),
        ColorType::GrayscaleAlpha => pixels
            .chunks_exact(2)
            .map(|p| [p[0], p[0], p[0], p[1]])
            .collect(),
        ColorType::Grayscale => pixels.iter().map(|&p| [p, p, p, 255]).collect(),
        ColorType::Indexed => bail!("a palette that was not expanded"),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use serde_json::json;

    use super::*;

    #[test]
    fn emoji_are_taken_in_order_without_components_and_undrawn_ones() {
        let entry = |category: &str, name: &str, drawn: bool| {
            json!({ "category": category, "short_name": name, "image": format!("{name}.png"),
                    "has_img_google": drawn, "skin_variations": { "1F3FB": { "image": "tone.png" } } })
        };
        let index = json!([
            entry("Smileys & Emotion", "grinning", true),
            entry("Component", "skin-tone-2", true),
            entry("Flags", "flag-xx", false),
            entry("People & Body", "man/woman", true),
        ]);
        let found = emoji_of(&index, "google").unwrap();
        let emoji = |class: &str, name: &str, file: &str| Emoji {
            class: class.into(),
            name: name.into(),
            file: file.into(),
        };
        assert_eq!(
            found,
            [
                emoji("smileys-emotion", "grinning", "grinning.png"),
                emoji("people-body", "man_woman", "man/woman.png"),
            ]
        );
        assert!(emoji_of(&index, "twitter").unwrap().is_empty());
        assert!(
            emoji_of(
                &json!([{ "category": "Flags", "has_img_google": true }]),
                "google"
            )
            .is_err()
        );
        assert!(emoji_of(&json!({}), "google").is_err());
    }

    #[test]
    fn transparency_becomes_white() {
        assert_eq!(over_white(17, 0), 255);
        assert_eq!(over_white(17, 255), 17);
        assert_eq!(over_white(0, 128), 127);
        assert_eq!(over_white(100, 51), 224);
    }

    /// A PNG all of one pixel value.
    fn png_of(color: ColorType, pixel: &[u8], side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side, side);
        encoder.set_color(color);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![9, 8, 7, 200, 100, 50]);
            encoder.set_trns(vec![255, 51]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer
            .write_image_data(&pixel.repeat((side * side) as usize))
            .unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn every_colour_type_of_the_packages_is_read() {
        let read = |color, pixel: &[u8]| {
            let pixels = decode(Cursor::new(png_of(color, pixel, SIDE))).unwrap();
            assert_eq!(pixels.len(), 64 * 64);
            assert!(pixels.iter().all(|p| p == &pixels[0]));
            pixels[0]
        };
        assert_eq!(read(ColorType::Rgba, &[1, 2, 3, 4]), [1, 2, 3, 4]);
        assert_eq!(read(ColorType::Rgb, &[1, 2, 3]), [1, 2, 3, 255]);
        assert_eq!(read(ColorType::GrayscaleAlpha, &[5, 6]), [5, 5, 5, 6]);
        assert_eq!(read(ColorType::Grayscale, &[7]), [7, 7, 7, 255]);
        assert_eq!(read(ColorType::Indexed, &[1]), [200, 100, 50, 51]);
    }

    #[test]
    fn another_size_is_refused() {
        let error = decode(Cursor::new(png_of(ColorType::Rgb, &[0, 0, 0], 32))).unwrap_err();
        assert!(error.to_string().contains("64×64"), "{error}");
    }
}
