//! What every layout on disk comes down to.

use std::ops::Range;

use image::DynamicImage;

use super::Beside;

/// Labelled images on disk that can be read by index, in any order and from many threads at once.
pub trait Records: Send + Sync {
    /// The class of each image, an index into [`classes`](Self::classes). At least one.
    fn labels(&self) -> &[u32];

    /// What images have beside one class, where they have anything.
    fn beside(&self) -> Beside {
        Beside::default()
    }

    /// Class names by id.
    fn classes(&self) -> &[String];

    /// What people find image `index` by: `DIR/cats/1.png`, or `DIR/a-000000.tar/0001.jpg`.
    fn name(&self, index: usize) -> String;

    /// The length in bytes of image `index` as it is stored, where that is known without reading it.
    fn stored_len(&self, index: usize) -> Option<u64>;

    /// Reads image `index` as it is stored. The error is for people.
    fn read(&self, index: usize) -> Result<Stored, String>;

    /// Reads some images one after another, which some layouts do faster than one by one.
    fn read_range(&self, range: Range<usize>, take: &mut dyn FnMut(usize, Result<Stored, String>)) {
        for index in range {
            take(index, self.read(index));
        }
    }
}

/// An image as it is stored.
pub enum Stored {
    /// The bytes of an image file.
    Encoded(Vec<u8>),
    /// Pixels without a container.
    Pixels(DynamicImage),
}

/// A data set that was recognised but not yet decoded.
pub struct Found {
    /// One line on what it is: `class folders`, `5 CIFAR-10 batches`.
    pub description: String,
    /// Its images.
    pub records: Box<dyn Records>,
}
