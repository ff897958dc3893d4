//! The data set `glyphs`: the letters and digits of open typefaces, 64×64, black on white, one class a character.

use std::fs;
use std::path::Path;

use ab_glyph::{Font, FontRef, Glyph, GlyphId, Outline, Point, PxScale, point};
use anyhow::{Context, Result, anyhow, ensure};
use png::ColorType;
use serde_json::Value;

use super::Image;

/// The side of an image in pixels.
const SIDE: u32 = 64;

/// The row of the baseline, from the top, in pixels.
const BASELINE: f32 = 46.0;

/// The height of a capital H in pixels, in typefaces whose other glyphs fit beside it.
const CAP_HEIGHT: f32 = 36.0;

/// The white border that every glyph keeps, in pixels.
const BORDER: f32 = 2.0;

/// One typeface in this many is held out of training.
const HELD_OUT: usize = 10;

/// The licences under which a typeface is taken.
const LICENSES: [&str; 2] = ["OFL-1.1", "Apache-2.0"];

/// The checksum of the whole set.
const CHECKSUM: u64 = 0x5269_6c44_f1b7_ce52;

/// Makes train/ and val/ in `dir`.
pub fn make(dir: &Path) -> Result<()> {
    let packages = super::fetch("glyphs", 320)?.join("@fontsource");
    let mut images = Vec::new();
    for (n, name) in typefaces()?.iter().enumerate() {
        let part = if n % HELD_OUT == HELD_OUT - 1 {
            "val"
        } else {
            "train"
        };
        render_typeface(&packages.join(name), name, part, &mut images)
            .with_context(|| format!("typeface {name}"))?;
    }
    super::write(dir, &images, SIDE, ColorType::Grayscale, CHECKSUM)?;
    println!(
        "{:>5} images of 64×64 pixels in {}\n\
         Rendered from typefaces under the SIL Open Font License 1.1 or the Apache License 2.0.",
        images.len(),
        dir.display()
    );
    Ok(())
}

/// The names of the packages, without their scope, in the lock file's order.
fn typefaces() -> Result<Vec<String>> {
    let package: Value = serde_json::from_str(include_str!("../../glyphs/package.json"))?;
    let names = package["dependencies"]
        .as_object()
        .context("package.json has no dependencies")?;
    let unscoped = |name: &String| name.strip_prefix("@fontsource/").map(str::to_owned);
    names
        .keys()
        .map(|name| unscoped(name).with_context(|| format!("{name} is no typeface")))
        .collect()
}

/// Renders the regular weight of a typeface and its bold, where it has one.
fn render_typeface(package: &Path, name: &str, part: &str, images: &mut Vec<Image>) -> Result<()> {
    let about: Value = serde_json::from_slice(&fs::read(package.join("package.json"))?)?;
    let license = about["license"].as_str().unwrap_or_default();
    ensure!(
        LICENSES.contains(&license),
        "its licence is {license:?}, which this set does not take"
    );
    for weight in [400, 700] {
        let file = package.join(format!("files/{name}-latin-{weight}-normal.woff"));
        if weight == 700 && !file.is_file() {
            continue;
        }
        let woff = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let font =
            wuff::decompress_woff1(&woff).map_err(|e| anyhow!("{}: {e:?}", file.display()))?;
        let font = FontRef::try_from_slice(&font)?;
        let layout = Layout::of(&font)?;
        for (class, character) in characters() {
            images.push(Image {
                path: format!("{part}/{class}/{name}-{weight}.png"),
                pixels: layout.render(&font, character)?,
            });
        }
    }
    Ok(())
}

/// The 62 characters with the names of their classes. Upper and lower case have names that differ on file systems that
/// ignore case.
fn characters() -> impl Iterator<Item = (String, char)> {
    ('0'..='9')
        .map(|c| (format!("digit-{c}"), c))
        .chain(('a'..='z').map(|c| (format!("lower-{c}"), c)))
        .chain(('A'..='Z').map(|c| (format!("upper-{}", c.to_ascii_lowercase()), c)))
}

/// How large a font is drawn: all characters at one scale and on one baseline, so that c and C, o and O differ.
struct Layout {
    /// Pixels per font unit.
    scale: f32,
}

impl Layout {
    /// The scale at which a capital H has [`CAP_HEIGHT`], or a smaller one at which everything fits.
    fn of(font: &FontRef) -> Result<Self> {
        let (mut ascent, mut descent, mut width) = (0f32, 0f32, 0f32);
        for (_, character) in characters() {
            let bounds = outline(font, character)?.bounds;
            let [left, right] = [bounds.min.x, bounds.max.x];
            let [bottom, top] = [
                bounds.min.y.min(bounds.max.y),
                bounds.min.y.max(bounds.max.y),
            ];
            ascent = ascent.max(top);
            descent = descent.max(-bottom);
            width = width.max(right - left);
        }
        let cap = outline(font, 'H')?.bounds;
        let side = SIDE as f32;
        let fits = [
            CAP_HEIGHT / (cap.max.y - cap.min.y).abs(),
            (BASELINE - BORDER) / ascent,
            (side - BASELINE - BORDER) / descent,
            (side - 2.0 * BORDER) / width,
        ];
        let scale = fits.into_iter().fold(f32::INFINITY, f32::min);
        ensure!(scale.is_finite() && scale > 0.0, "its outlines are empty");
        Ok(Self { scale })
    }

    /// The character in black on white, in the middle of the image: `SIDE` × `SIDE` grey values.
    fn render(&self, font: &FontRef, character: char) -> Result<Vec<u8>> {
        let bounds = outline(font, character)?.bounds;
        let middle = (bounds.min.x + bounds.max.x) / 2.0 * self.scale;
        let glyph = Glyph {
            id: font.glyph_id(character),
            // ab_glyph's scale is the height of a line.
            scale: PxScale::from(self.scale * font.height_unscaled()),
            position: point(SIDE as f32 / 2.0 - middle, BASELINE),
        };
        let outlined = font
            .outline_glyph(glyph)
            .with_context(|| format!("no outline for {character}"))?;
        let Point { x: left, y: top } = outlined.px_bounds().min;
        let mut pixels = vec![255; (SIDE * SIDE) as usize];
        outlined.draw(|x, y, coverage| {
            let (x, y) = (x as f32 + left, y as f32 + top);
            let inside = |v: f32| (0.0..SIDE as f32).contains(&v);
            if inside(x) && inside(y) {
                let ink = (coverage.clamp(0.0, 1.0) * 255.0).round() as u8;
                pixels[y as usize * SIDE as usize + x as usize] = 255 - ink;
            }
        });
        Ok(pixels)
    }
}

fn outline(font: &FontRef, character: char) -> Result<Outline> {
    let id = font.glyph_id(character);
    ensure!(id != GlyphId(0), "it has no {character}");
    font.outline(id)
        .with_context(|| format!("no outline for {character}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn classes_differ_without_their_case() {
        let names: BTreeSet<String> = characters().map(|(name, _)| name.to_lowercase()).collect();
        assert_eq!(names.len(), 62);
        let upper = characters().find(|(_, c)| *c == 'Q').unwrap();
        assert_eq!(upper.0, "upper-q");
    }

    #[test]
    fn there_are_enough_typefaces_to_train_and_to_hold_out() {
        let names = typefaces().unwrap();
        assert!(names.len() >= 200, "{}", names.len());
        assert!(names.iter().all(|name| !name.contains('/')));
        assert!(names.is_sorted(), "the split goes by the order");
    }
}
