//! Counter-based Gaussian noise, keyed by (seed, image, step).
//!
//! ChaCha is a counter-based generator: the seed makes its key, the image its stream, the step its
//! position in the stream. So image k of seed s gets the same noise whatever batch it is drawn
//! in and on whatever device, and any step can be drawn again without the ones before it.

use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

/// The largest seed: 2⁵³ − 1, the largest integer that JavaScript's numbers hold exactly.
pub const MAX_SEED: u64 = (1 << 53) - 1;

/// What the noise is for, so that no two uses of one seed draw the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The latents of sampling: z_1 at step 0, the noise added by step t at step t.
    Sampling,
    /// By how much tileable images are shifted at a step.
    Tiling,
    /// Conditioning augmentation of the small picture that super-resolution enlarges.
    Augmentation,
    /// Everything that training draws at random; the trainer numbers its streams itself.
    Training,
    /// Which images a metric takes, where it does not take all.
    Evaluation,
}

impl Purpose {
    /// Part of the ChaCha key. Changing a tag changes every image ever drawn.
    fn tag(self) -> &'static [u8; 16] {
        match self {
            Self::Sampling => b"freeguide sample",
            Self::Tiling => b"freeguide tiling",
            Self::Augmentation => b"freeguide augmen",
            Self::Training => b"freeguide train.",
            Self::Evaluation => b"freeguide eval..",
        }
    }
}

/// Random numbers for one (seed, stream, step).
///
/// In sampling the stream is the index of the image and the step that of the solver.
#[derive(Debug, Clone)]
pub struct NoiseStream(ChaCha12Rng);

impl NoiseStream {
    /// Positions the generator at the beginning of `(seed, stream, step)`. Each step has room for
    /// 2³² numbers.
    pub fn new(purpose: Purpose, seed: u64, stream: u64, step: u32) -> Self {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[16..].copy_from_slice(purpose.tag());
        let mut rng = ChaCha12Rng::from_seed(key);
        rng.set_stream(stream);
        rng.set_word_pos(u128::from(step) << 32);
        Self(rng)
    }

    /// A uniform number in [0, 1), with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// 32 random bits.
    pub fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Passes over as many words of 32 bits as if they had been drawn. A uniform number is two
    /// words, a pair of normal ones four.
    pub fn skip(&mut self, words: u64) {
        let position = self.0.get_word_pos() + u128::from(words);
        self.0.set_word_pos(position);
    }

    /// A uniform integer below `bound` (which must not be 0), by rejection, so without bias.
    pub fn below(&mut self, bound: u32) -> u32 {
        let bound = u64::from(bound);
        let limit = (1u64 << 32) - (1u64 << 32) % bound;
        loop {
            let draw = u64::from(self.0.next_u32());
            if draw < limit {
                return (draw % bound) as u32;
            }
        }
    }

    /// Fills `out` with independent N(0, 1) numbers (Box & Muller 1958).
    ///
    /// The logarithm and the trigonometry come from `libm` rather than the platform, so that the
    /// numbers agree to the last bit natively and in WebAssembly.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        for pair in out.chunks_mut(2) {
            // 1 − u is in (0, 1]: the logarithm is finite.
            let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
            let (sin, cos) = libm::sincos(core::f64::consts::TAU * self.uniform());
            pair[0] = (radius * cos) as f32;
            if let Some(second) = pair.get_mut(1) {
                *second = (radius * sin) as f32;
            }
        }
    }

    /// As [`fill_normal`](Self::fill_normal) would after `first` numbers, without drawing those.
    pub fn fill_normal_from(&mut self, first: u64, out: &mut [f32]) {
        self.skip(first / 2 * 4);
        let (head, rest) = out.split_at_mut((first % 2).min(out.len() as u64) as usize);
        if let [second] = head {
            let mut pair = [0.0; 2];
            self.fill_normal(&mut pair);
            *second = pair[1];
        }
        self.fill_normal(rest);
    }

    /// Shuffles `items` uniformly (Fisher & Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

/// N(0, I) for a batch of images at one step of sampling.
///
/// # Shapes
///
/// `[images.len(), channels, height, width]` for `shape = [channels, height, width]`.
pub fn sampling_noise(
    seed: u64,
    images: &[u64],
    step: u32,
    shape: [usize; 3],
    device: &Device,
) -> Tensor<4> {
    let [c, h, w] = shape;
    let mut values = vec![0f32; images.len() * c * h * w];
    for (&image, out) in images.iter().zip(values.chunks_mut((c * h * w).max(1))) {
        NoiseStream::new(Purpose::Sampling, seed, image, step).fill_normal(out);
    }
    Tensor::from_data(TensorData::new(values, [images.len(), c, h, w]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(seed: u64, image: u64, step: u32, n: usize) -> Vec<f32> {
        let mut out = vec![0.0; n];
        NoiseStream::new(Purpose::Sampling, seed, image, step).fill_normal(&mut out);
        out
    }

    #[test]
    fn every_key_gives_its_own_numbers_and_gives_them_again() {
        let first = normals(7, 3, 5, 64);
        assert_eq!(first, normals(7, 3, 5, 64));
        for other in [(8, 3, 5), (7, 4, 5), (7, 3, 6)] {
            assert_ne!(first, normals(other.0, other.1, other.2, 64));
        }
        assert_ne!(first, {
            let mut out = vec![0.0; 64];
            NoiseStream::new(Purpose::Training, 7, 3, 5).fill_normal(&mut out);
            out
        });
    }

    #[test]
    fn the_numbers_never_change() {
        // A link to a picture holds a seed: these values are part of the format.
        let got = normals(1, 2, 3, 4);
        let want = [-1.149_316_1, -1.346_850_3, -0.714_983_34, -0.174_721_91];
        assert!(
            got.iter()
                .zip(want)
                .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6),
            "{got:?}"
        );
    }

    #[test]
    fn moments_are_those_of_a_normal_distribution() {
        let values = normals(1, 0, 0, 100_000);
        let moment = |k: i32| values.iter().map(|&v| f64::from(v).powi(k)).sum::<f64>() / 1e5;
        // Five standard errors of each sample moment.
        assert!(moment(1).abs() < 5.0 / 1e5f64.sqrt());
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / 1e5f64).sqrt());
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / 1e5f64).sqrt());
    }

    #[test]
    fn a_batch_is_its_images() {
        let device = Device::flex();
        let batch = sampling_noise(3, &[5, 9], 2, [3, 4, 4], &device).into_data();
        let alone = sampling_noise(3, &[9], 2, [3, 4, 4], &device).into_data();
        assert_eq!(
            batch.as_slice::<f32>().unwrap()[48..],
            *alone.as_slice::<f32>().unwrap()
        );
    }

    #[test]
    fn any_part_of_a_sequence_can_be_drawn_alone() {
        let whole = normals(7, 3, 5, 64);
        for (first, count) in [(0, 64), (1, 63), (6, 5), (7, 4), (63, 1), (9, 0)] {
            let mut part = vec![0.0; count];
            NoiseStream::new(Purpose::Sampling, 7, 3, 5).fill_normal_from(first as u64, &mut part);
            assert_eq!(part, whole[first..first + count], "{first} {count}");
        }
    }

    #[test]
    fn integers_below_a_bound_are_uniform() {
        let mut stream = NoiseStream::new(Purpose::Training, 0, 0, 0);
        let mut counts = [0u32; 7];
        (0..70_000).for_each(|_| counts[stream.below(7) as usize] += 1);
        assert!(
            counts.iter().all(|&c| (c as i32 - 10_000).abs() < 500),
            "{counts:?}"
        );
    }
}
