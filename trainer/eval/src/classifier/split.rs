//! Which images a classifier is trained on, and which it is examined on.

use freeguide::noise::{NoiseStream, Purpose};

/// Indices of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Images for training.
    pub train: Vec<usize>,
    /// Held-out images.
    pub held_out: Vec<usize>,
}

/// The stream of [`Purpose::Evaluation`] for the split.
const STREAM: u64 = 1 << 32;

/// Holds out a fifth of every class, and at least one image if there are two.
pub fn split(labels: &[u32], classes: usize, seed: u64) -> Split {
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for class in 0..classes as u32 {
        let of_class = |&i: &usize| labels[i] == class;
        let mut images: Vec<usize> = (0..labels.len()).filter(of_class).collect();
        NoiseStream::new(Purpose::Evaluation, seed, STREAM + u64::from(class), 0)
            .shuffle(&mut images);
        let out = match images.len() {
            0 | 1 => 0,
            count => (count / 5).max(1),
        };
        held_out.extend(images.drain(..out));
        train.extend(images);
    }
    Split { train, held_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_in_both_parts_and_no_image_is() {
        let labels: Vec<u32> = (0..103).map(|i| u32::from(i % 10 == 0)).collect();
        let split = split(&labels, 2, 7);
        let mut all = [split.train.clone(), split.held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..103).collect::<Vec<_>>());
        for class in 0..2 {
            let count = |part: &[usize]| part.iter().filter(|&&i| labels[i] == class).count();
            let (train, out) = (count(&split.train), count(&split.held_out));
            assert_eq!(out, (train + out) / 5);
        }
        assert_ne!(split, super::split(&labels, 2, 8));
    }
}
