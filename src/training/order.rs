//! The order of the images in training.

use super::stream;
use crate::noise::{NoiseStream, Purpose};

/// The order in which training sees `images` images: each epoch is a new permutation, keyed by (seed, epoch), so that the
/// images of any step can be computed again.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    epoch: Option<u64>,
    permutation: Vec<usize>,
}

impl Order {
    /// An order of `images` images.
    pub fn new(seed: u64, images: usize) -> Self {
        Self {
            seed,
            epoch: None,
            permutation: (0..images).collect(),
        }
    }

    /// The images of a step. A batch may span two epochs.
    pub fn batch(&mut self, step: u64, batch: usize) -> Vec<usize> {
        (0..batch as u64)
            .map(|k| self.image(step * batch as u64 + k))
            .collect()
    }

    fn image(&mut self, position: u64) -> usize {
        let count = self.permutation.len() as u64;
        let epoch = position / count;
        if self.epoch != Some(epoch) {
            self.permutation.sort_unstable();
            NoiseStream::new(Purpose::Training, self.seed, stream::ORDER, epoch as u32)
                .shuffle(&mut self.permutation);
            self.epoch = Some(epoch);
        }
        self.permutation[(position % count) as usize]
    }
}

/// Which images of a step's batch are mirrored, each with probability ½.
pub fn flips(seed: u64, step: u32, batch: usize) -> Vec<bool> {
    let mut stream = NoiseStream::new(Purpose::Training, seed, stream::FLIP, step);
    (0..batch).map(|_| stream.uniform() < 0.5).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_image_once() {
        let mut order = Order::new(1, 10);
        let mut seen: Vec<usize> = (0..5).flat_map(|step| order.batch(step, 4)).collect();
        let again = order.batch(1, 4);
        assert_eq!(again, seen[4..8]);
        let second = seen.split_off(10);
        assert_ne!(seen, second);
        for mut epoch in [seen, second] {
            epoch.sort_unstable();
            assert_eq!(epoch, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn half_of_the_images_are_mirrored() {
        let flipped = flips(1, 0, 10_000).into_iter().filter(|&flip| flip).count();
        assert!((4_750..5_250).contains(&flipped), "{flipped}");
    }
}
