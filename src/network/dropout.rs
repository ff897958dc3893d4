//! Dropout (Srivastava et al. 2014) without state: whether a value is dropped is a function of
//! (seed, step, layer, image, position).
//!
//! Dropout masks are counter-based. burn's own dropout draws from one generator for the whole
//! device, so that a mask depends on everything that was drawn before it. Here a step that is repeated, in a resumed
//! run, in parts or on another rank, drops the same values. The masks are computed in integers and so have the same bits
//! on every device.

use std::cell::Cell;

use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::noise::{NoiseStream, Purpose};

/// The first of the streams of [`Purpose::Training`] for dropout masks, one for each layer. [`training`](crate::training)
/// uses the streams below it.
const STREAMS: u64 = 1 << 32;

/// The masks of one forward pass in training.
#[derive(Debug)]
pub struct DropoutMasks {
    key: MaskKey,
    layer: Cell<u32>,
}

/// What masks are a function of, beside the layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaskKey {
    seed: u64,
    step: u32,
    first_image: usize,
}

impl MaskKey {
    /// The sequences of counters of some images of this batch in a layer: for each the increment, which is odd, and the start.
    pub(super) fn sequences(
        self,
        layer: u32,
        first: usize,
        count: usize,
    ) -> impl Iterator<Item = [u32; 2]> {
        let stream = STREAMS + u64::from(layer);
        let mut words = NoiseStream::new(Purpose::Training, self.seed, stream, self.step);
        words.skip(2 * (self.first_image + first) as u64);
        (0..count).map(move |_| [words.word() | 1, words.word()])
    }
}

impl DropoutMasks {
    /// The masks of step `step` for the images of its batch from index `first_image` on.
    pub fn new(seed: u64, step: u32, first_image: usize) -> Self {
        Self {
            key: MaskKey {
                seed,
                step,
                first_image,
            },
            layer: Cell::new(0),
        }
    }

    /// What they are a function of, beside the layer.
    #[cfg(all(feature = "flex", feature = "autodiff"))]
    pub(super) fn key(&self) -> MaskKey {
        self.key
    }

    /// Drops each value of `x`, `[batch, channels, height, width]`, with this probability, and scales the others by
    /// 1/(1 − probability). Each call is for the next layer.
    pub(super) fn apply(&self, x: Tensor<4>, probability: f64) -> Tensor<4> {
        let layer = self.layer.replace(self.layer.get() + 1);
        if probability == 0.0 {
            return x;
        }
        let shape = x.dims();
        let (batch, values) = (shape[0], shape[1] * shape[2] * shape[3]);
        let device = x.device();
        let sequences = self.key.sequences(layer, 0, batch);
        let (increments, starts): (Vec<i32>, Vec<i32>) =
            sequences.map(|[by, from]| (by as i32, from as i32)).unzip();
        let column = |words: Vec<i32>| {
            let data = TensorData::new(words, [batch, 1]);
            Tensor::<2, Int>::from_data(data, (&device, DType::I32))
        };
        let place = Tensor::<1, Int>::arange(0..values as i64, (&device, DType::I32));
        let counter = place.unsqueeze_dim::<2>(0) * column(increments) + column(starts);
        // 31 bits, so that positive numbers are compared.
        let bits = mix(counter).bitwise_and_scalar(i32::MAX);
        let dropped = bits.lower_elem(threshold(probability) as i32);
        x.mask_fill(dropped.reshape(shape), 0.0) * (1.0 / (1.0 - probability))
    }
}

/// A value is dropped whose 31 bits are below this.
pub(super) fn threshold(probability: f64) -> u32 {
    (probability * f64::from(1u32 << 31)) as u32
}

/// The 31 bits of a counter; see [`mix`].
#[cfg(all(feature = "flex", feature = "autodiff"))]
#[inline(always)]
pub(super) fn bits(counter: u32) -> u32 {
    let h = (counter ^ (counter >> 16)).wrapping_mul(0x85eb_ca6b);
    let h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    (h ^ (h >> 16)) & 0x7fff_ffff
}

/// The finaliser of MurmurHash3 (Appleby 2011), which turns a counter into 32 uniform bits, as in SplitMix (Steele, Lea &
/// Flood 2014).
fn mix(h: Tensor<2, Int>) -> Tensor<2, Int> {
    // Shifting a signed integer repeats its sign, which the mask removes.
    let fold = |h: Tensor<2, Int>, bits: u32| {
        let high = h.clone().bitwise_right_shift_scalar(bits as i32);
        h.bitwise_xor(high.bitwise_and_scalar((u32::MAX >> bits) as i32))
    };
    let h = fold(h, 16) * 0x85eb_ca6b_u32 as i32;
    let h = fold(h, 13) * 0xc2b2_ae35_u32 as i32;
    fold(h, 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn applied(masks: &DropoutMasks, batch: usize, probability: f64) -> Vec<f32> {
        let x = Tensor::<4>::ones([batch, 4, 16, 16], &Device::flex());
        masks.apply(x, probability).into_data().iter().collect()
    }

    #[test]
    fn a_value_is_dropped_as_often_as_asked_and_the_mean_stays() {
        for probability in [0.0, 0.1, 0.5, 0.9] {
            let values = applied(&DropoutMasks::new(3, 5, 0), 64, probability);
            let count = values.len() as f64;
            let dropped = values.iter().filter(|&&v| v == 0.0).count() as f64 / count;
            let error = (probability * (1.0 - probability) / count).sqrt();
            assert!((dropped - probability).abs() <= 5.0 * error, "{dropped}");
            let kept = (1.0 / (1.0 - probability)) as f32;
            assert!(values.iter().all(|&v| v == 0.0 || v == kept));
        }
    }

    /// The correlation of two masks, in standard errors.
    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        let centred = |v: &f32| if *v == 0.0 { -1.0 } else { 1.0 };
        let sum: f64 = a.iter().zip(b).map(|(a, b)| centred(a) * centred(b)).sum();
        sum / (a.len() as f64).sqrt()
    }

    #[test]
    fn seeds_steps_layers_images_and_neighbours_have_nothing_in_common() {
        let first = applied(&DropoutMasks::new(3, 5, 0), 8, 0.5);
        let layers = DropoutMasks::new(3, 5, 0);
        applied(&layers, 8, 0.5);
        for (what, other) in [
            ("seed", applied(&DropoutMasks::new(4, 5, 0), 8, 0.5)),
            ("step", applied(&DropoutMasks::new(3, 6, 0), 8, 0.5)),
            ("layer", applied(&layers, 8, 0.5)),
            ("image", applied(&DropoutMasks::new(3, 5, 8), 8, 0.5)),
        ] {
            assert!(correlation(&first, &other).abs() < 5.0, "{what}");
        }
        for distance in [1, 2, 16, 256, 1024] {
            let found = correlation(&first, &first[distance..]);
            assert!(found.abs() < 5.0, "{distance}: {found}");
        }
    }

    #[test]
    fn an_image_is_masked_alike_in_any_part_of_its_batch() {
        let whole = applied(&DropoutMasks::new(3, 5, 0), 8, 0.3);
        let part = applied(&DropoutMasks::new(3, 5, 6), 2, 0.3);
        assert_eq!(whole[6 * 1024..], part);
    }

    #[test]
    fn the_integers_are_those_of_murmurhash() {
        // Computed with Python's integers.
        let data = TensorData::new(vec![0, 1, 0x1234_5678, -1], [1, 4]);
        let h = Tensor::<2, Int>::from_data(data, (&Device::flex(), DType::I32));
        let mixed: Vec<i32> = mix(h).into_data().iter().collect();
        let expected: [u32; 4] = [0, 0x514e_28b7, 0xe37c_d1bc, 0x81f1_6f39];
        assert_eq!(mixed, expected.map(|word| word as i32));
    }
}
