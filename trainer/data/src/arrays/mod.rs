//! Images as bare numbers: CIFAR's batches, downsampled ImageNet, NumPy's archives, MNIST's idx files.

pub mod cifar;
pub mod idx;
mod npy;
pub mod npz;
pub mod pickled;
pub mod table;

use std::path::PathBuf;

use image::{DynamicImage, GrayImage, RgbImage};

use super::Beside;
use super::positioned::Positioned;
use super::records::{Records, Stored};

/// The form of every image of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// 1 (grey), 3 (RGB) or 4 (RGB and alpha).
    pub channels: usize,
    /// Whether each channel is a plane of its own, `[C, H, W]`, instead of `[H, W, C]`.
    pub planes: bool,
}

/// Images of one form in a file, as bytes at regular distances.
pub struct Block {
    /// Where they come from, for people.
    pub path: PathBuf,
    /// What one of them is called: `record`, `image`.
    pub noun: &'static str,
    /// Where they are.
    pub file: Positioned,
    /// The first byte of the first.
    pub offset: u64,
    /// Bytes from one to the next.
    pub stride: u64,
    /// How many.
    pub count: usize,
    /// Their form.
    pub form: Form,
}

/// A data set of such blocks, one after another.
pub struct Arrays {
    description: String,
    classes: Vec<String>,
    labels: Vec<u32>,
    beside: Beside,
    blocks: Vec<Block>,
    /// The index of the first image of each block.
    first: Vec<usize>,
}

impl Form {
    /// Bytes of an image.
    pub fn bytes(&self) -> usize {
        self.width * self.height * self.channels
    }

    /// The image of `bytes` values.
    fn image(&self, bytes: Vec<u8>) -> Option<DynamicImage> {
        let interleaved = match self.planes && self.channels > 1 {
            false => bytes,
            true => {
                let plane = self.width * self.height;
                let pixels = (0..plane).flat_map(|at| {
                    let channels = (0..self.channels).map(move |c| c * plane + at);
                    channels.map(|at| bytes[at])
                });
                pixels.collect()
            }
        };
        let (width, height) = (self.width as u32, self.height as u32);
        match self.channels {
            1 => GrayImage::from_raw(width, height, interleaved).map(Into::into),
            3 => RgbImage::from_raw(width, height, interleaved).map(Into::into),
            4 => image::RgbaImage::from_raw(width, height, interleaved).map(Into::into),
            _ => None,
        }
    }
}

impl Arrays {
    /// A set of blocks with a label for each of their images.
    pub fn new(
        description: String,
        blocks: Vec<Block>,
        classes: Vec<String>,
        labels: Vec<u32>,
    ) -> Self {
        let mut images = 0;
        let first = blocks.iter().map(|block| {
            let first = images;
            images += block.count;
            first
        });
        Self {
            description,
            classes,
            labels,
            beside: Beside::default(),
            first: first.collect(),
            blocks,
        }
    }

    /// The same set, whose images have more than a class.
    pub fn beside(self, beside: Beside) -> Self {
        Self { beside, ..self }
    }

    /// One line on what was found.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The block that holds image `index`, and its index there.
    fn locate(&self, index: usize) -> (&Block, usize) {
        let block = self.first.partition_point(|&first| first <= index) - 1;
        (&self.blocks[block], index - self.first[block])
    }
}

impl Records for Arrays {
    fn labels(&self) -> &[u32] {
        &self.labels
    }

    fn beside(&self) -> Beside {
        self.beside.clone()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        let (block, place) = self.locate(index);
        format!("{}, {} {place}", block.path.display(), block.noun)
    }

    fn stored_len(&self, index: usize) -> Option<u64> {
        Some(self.locate(index).0.stride)
    }

    fn read(&self, index: usize) -> Result<Stored, String> {
        let (block, place) = self.locate(index);
        let offset = block.offset + place as u64 * block.stride;
        let bytes = block.file.read_at(offset, block.form.bytes());
        let bytes = bytes.map_err(|error| error.to_string())?;
        let image = block.form.image(bytes).ok_or("it has no pixels")?;
        Ok(Stored::Pixels(image))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels() {
        let form = Form {
            width: 2,
            height: 1,
            channels: 3,
            planes: true,
        };
        let image = form.image(vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(image.as_bytes(), [1, 3, 5, 2, 4, 6]);
        let plain = Form {
            planes: false,
            ..form
        };
        let image = plain.image(vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(image.as_bytes(), [1, 2, 3, 4, 5, 6]);
    }
}
