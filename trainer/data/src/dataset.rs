//! Labelled images of one size, decoded and in memory.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Beside;

/// Labelled images of one size, in memory.
///
/// `N` images of `H × W` pixels (`H = W = size`) and `C` channels. The order is that of the files' paths, class after
/// class, and so the same on every machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Pixels, `[N, H, W, C]` in row-major order, 0 … 255.
    pub images: Vec<u8>,
    /// The class of each image: an index into `classes`. `N` entries.
    pub labels: Vec<u32>,
    /// What images have beside one class.
    pub beside: Beside,
    /// Class names, in the order of their ids.
    pub classes: Vec<String>,
    /// Width and height of every image, in pixels.
    pub size: usize,
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
}

impl Dataset {
    /// The number of images, `N`, at least 1 for a data set that was loaded.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of values in one image, `H · W · C`.
    pub fn image_len(&self) -> usize {
        self.size * self.size * self.channels
    }

    /// The number of images of each class, in the order of `classes`.
    pub fn class_counts(&self) -> Vec<usize> {
        self.beside.counts(&self.labels, self.classes.len())
    }

    /// The pixels of image `index`, `[H, W, C]`.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let len = self.image_len();
        &self.images[index * len..(index + 1) * len]
    }

    /// SHA-256, in lower-case hexadecimal, over everything that training sees: size, channels, class names, labels and
    /// decoded pixels, in order. A run is resumed only on the data it was started with, and a bundle names what it was
    /// trained on by this.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"freeguide data set 1\n");
        for number in [self.size, self.channels, self.classes.len(), self.len()] {
            hash.update((number as u64).to_le_bytes());
        }
        for class in &self.classes {
            // The length keeps ["ab", "c"] and ["a", "bc"] apart.
            hash.update((class.len() as u64).to_le_bytes());
            hash.update(class.as_bytes());
        }
        for label in &self.labels {
            hash.update(label.to_le_bytes());
        }
        self.beside.feed_hash(&mut |bytes| hash.update(bytes));
        hash.update(&self.images);
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Writes the images `indices` into `out` as the network takes them: x / 127.5 − 1, so that black is −1 and white
    /// is 1. Image `k` of the batch is mirrored left to right where `flips[k]`. What `out` held before is dropped; its
    /// memory is used again.
    ///
    /// # Shapes
    /// `indices`, `flips`: `[B]`; `out`: `[B, C, H, W]`.
    ///
    /// # Panics
    /// If `flips` is not as long as `indices`, or an index is not below [`len`](Self::len).
    pub fn fill_batch(&self, indices: &[usize], flips: &[bool], out: &mut Vec<f32>) {
        assert_eq!(indices.len(), flips.len(), "one flip an image");
        out.clear();
        out.resize(indices.len() * self.image_len(), 0.0);
        if out.is_empty() {
            return;
        }
        out.par_chunks_mut(self.image_len())
            .enumerate()
            .for_each(|(k, chunk)| {
                let pixels = self.image(indices[k]);
                fill_image(pixels, self.size, self.channels, flips[k], chunk);
            });
    }
}

/// One image of a batch: `[H, W, C]` of 0 … 255 to `[C, H, W]` of −1 … 1, mirrored where `flip`.
pub fn fill_image(pixels: &[u8], size: usize, channels: usize, flip: bool, out: &mut [f32]) {
    for (channel, plane) in out.chunks_exact_mut(size * size).enumerate() {
        for (y, row) in plane.chunks_exact_mut(size).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let from = if flip { size - 1 - x } else { x };
                let pixel = pixels[(y * size + from) * channels + channel];
                *value = f32::from(pixel) / 127.5 - 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two 2×2 RGB images whose values are 0, 1, 2, …
    fn dataset() -> Dataset {
        Dataset {
            images: (0..24).collect(),
            labels: vec![0, 2],
            beside: Beside::default(),
            classes: vec!["ab".into(), "c".into(), "d".into()],
            size: 2,
            channels: 3,
        }
    }

    #[test]
    fn counts_and_slices_by_image() {
        let data = dataset();
        assert_eq!(data.len(), 2);
        assert_eq!(data.class_counts(), [1, 0, 1]);
        assert_eq!(data.image(1), (12..24).collect::<Vec<u8>>());
    }

    #[test]
    fn a_batch_is_channel_first_scaled_and_mirrored() {
        let data = dataset();
        let mut out = vec![7.0; 3];
        data.fill_batch(&[1, 0], &[false, true], &mut out);
        let bytes: Vec<u8> = out
            .iter()
            .map(|v| ((v + 1.0) * 127.5).round() as u8)
            .collect();
        let plain = [12, 15, 18, 21, 13, 16, 19, 22, 14, 17, 20, 23];
        let mirrored = [3, 0, 9, 6, 4, 1, 10, 7, 5, 2, 11, 8];
        assert_eq!(bytes, [plain, mirrored].concat());
    }

    #[test]
    fn black_is_minus_one_and_white_is_one() {
        let data = Dataset {
            images: vec![0, 255, 255, 0],
            labels: vec![0],
            beside: Beside::default(),
            classes: vec!["a".into()],
            size: 2,
            channels: 1,
        };
        let mut out = Vec::new();
        data.fill_batch(&[0], &[false], &mut out);
        assert_eq!(out, [-1.0, 1.0, 1.0, -1.0]);
        data.fill_batch(&[], &[], &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn the_fingerprint_covers_names_labels_and_pixels() {
        let data = dataset();
        let print = data.fingerprint();
        assert_eq!(print.len(), 64);
        assert_eq!(print, data.clone().fingerprint());

        let mut pixels = data.clone();
        pixels.images[5] ^= 1;
        let mut labels = data.clone();
        labels.labels[0] = 1;
        let mut names = data.clone();
        names.classes = vec!["a".into(), "bc".into(), "d".into()];
        for other in [pixels, labels, names] {
            assert_ne!(print, other.fingerprint());
        }
    }
}
