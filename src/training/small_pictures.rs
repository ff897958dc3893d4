//! The small pictures of a part of a batch, which a super-resolution model is trained to enlarge.

use super::{Part, stream};
use crate::low_resolution::{augment, enlarge, shrink};
use crate::network::UNetConfig;

/// How the small pictures of a training are made; see [`low_resolution`](crate::low_resolution).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SmallPictures {
    /// Their side in pixels.
    pub side: usize,
    /// The highest level of conditioning augmentation. Levels are uniform from 0 to it.
    pub augmentation: f64,
}

/// The small pictures of some images, enlarged again.
#[derive(Debug, Clone, PartialEq)]
pub struct Enlarged {
    /// `[images, channels, size, size]`
    pub values: Vec<f32>,
    /// The level of conditioning augmentation of each image.
    pub levels: Vec<f64>,
}

impl SmallPictures {
    /// Those that a network is trained with, if it is one of super-resolution.
    pub fn of(network: &UNetConfig) -> Option<Self> {
        network.low_resolution.map(|side| Self {
            side,
            augmentation: network.augmentation,
        })
    }

    /// The small pictures of a part of a batch, whose images have these values in [−1, 1], `[images, channels, size, size]`.
    /// What an image gets does not depend on the part that it is in.
    pub fn draw(&self, part: &Part, values: &[f32], size: usize) -> Enlarged {
        let images = part.images.len();
        let first = part.images.start as u64;
        let mut stream = part.stream(stream::AUGMENTATION);
        stream.skip(2 * first);
        let levels: Vec<f64> = (0..images)
            .map(|_| stream.uniform() * self.augmentation)
            .collect();
        let mut small = shrink(values, size, self.side);
        let each = small.len() / images.max(1);
        let mut noise = vec![0.0; small.len()];
        part.stream(stream::AUGMENTATION_NOISE)
            .fill_normal_from(first * each as u64, &mut noise);
        let pictures = small.chunks_exact_mut(each.max(1));
        for ((picture, noise), &level) in pictures.zip(noise.chunks_exact(each.max(1))).zip(&levels)
        {
            augment(picture, level, noise);
        }
        Enlarged {
            values: enlarge(&small, self.side, size),
            levels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_batch_are_the_batch() {
        let small = SmallPictures {
            side: 2,
            augmentation: 0.5,
        };
        // An odd number of pictures of three planes: parts begin between the two numbers of a pair.
        let values: Vec<f32> = (0..5 * 3 * 36)
            .map(|i| (i % 19) as f32 / 9.0 - 1.0)
            .collect();
        let whole = small.draw(&Part::whole(1, 5, 5), &values, 6);
        assert!(whole.levels.iter().all(|level| (0.0..0.5).contains(level)));
        for cut in 0..=5 {
            let part = |images: std::ops::Range<usize>| {
                let values = &values[images.start * 108..images.end * 108];
                let part = Part {
                    images,
                    ..Part::whole(1, 5, 5)
                };
                small.draw(&part, values, 6)
            };
            let (first, second) = (part(0..cut), part(cut..5));
            assert_eq!([first.levels, second.levels].concat(), whole.levels);
            assert_eq!([first.values, second.values].concat(), whole.values);
        }
        assert_ne!(small.draw(&Part::whole(1, 6, 5), &values, 6), whole);
    }
}
