//! What is made of values of x̃ outside of [−1, 1].

use burn::tensor::Tensor;

/// How the estimate of the clean image is brought into [−1, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clip {
    /// Not at all.
    Off,
    /// Every value for itself (Ho & Salimans 2022, Algorithm 2).
    Static,
    /// Dynamic thresholding (Saharia et al. 2022, "Photorealistic Text-to-Image Diffusion Models with Deep Language
    /// Understanding", section 2.3): with s, the `quantile` of |x̃| of an image, but at least 1, x̃ is clipped to [−s, s] and
    /// divided by s. Where guidance drives many values out of the range, they keep their order and do not saturate.
    Dynamic {
        /// Above 0 and at most 1; the paper takes high percentiles, such as 0.995.
        quantile: f64,
    },
}

impl From<bool> for Clip {
    fn from(clip: bool) -> Self {
        if clip { Self::Static } else { Self::Off }
    }
}

impl Clip {
    /// The clipped x̃; `None` where nothing is clipped.
    ///
    /// # Shapes
    ///
    /// `x` and the result: `[images, channels, height, width]`.
    pub fn apply(self, x: &Tensor<4>) -> Option<Tensor<4>> {
        match self {
            Self::Off => None,
            Self::Static => Some(x.clone().clamp(-1.0, 1.0)),
            Self::Dynamic { quantile } => {
                let scaled = x.clone() / magnitude(x, quantile).clamp_min(1.0);
                Some(scaled.clamp(-1.0, 1.0))
            }
        }
    }
}

/// Parts into which each search divides the range of a quantile.
const PARTS: usize = 16;
/// Searches, each within the part that the one before it has found: 4096 parts in all.
const SEARCHES: usize = 3;

/// The quantile of |x| of every image, within 1/4096 of its largest value and from above. It is searched by counting, because
/// no GPU can sort without an answer to the page.
///
/// # Shapes
///
/// `x`: `[images, channels, height, width]`; result: `[images, 1, 1, 1]`.
fn magnitude(x: &Tensor<4>, quantile: f64) -> Tensor<4> {
    let [images, channels, height, width] = x.dims();
    let values = channels * height * width;
    let magnitudes = x.clone().abs().reshape([images, 1, values]);
    let mut range = magnitudes.clone().max_dim(2);
    let mut low = range.zeros_like();
    // Counts of values are whole numbers, which 32 bits hold exactly.
    let wanted = quantile * values as f64;
    for _ in 0..SEARCHES {
        range = range / PARTS as f64;
        let mut parts = low.zeros_like();
        // Every end of a part that too few values are below moves the begin of the next search.
        for part in 1..PARTS {
            let end = low.clone() + range.clone() * part as f64;
            let below = magnitudes
                .clone()
                .lower_equal(end.expand([images, 1, values]));
            let too_few = below.float().sum_dim(2).lower_elem(wanted);
            parts = parts + too_few.float();
        }
        low = low + range.clone() * parts;
    }
    (low + range).reshape([images, 1, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn images(values: &[f32], images: usize) -> Tensor<4> {
        let shape = [images, 1, 1, values.len() / images];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }

    fn read(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn the_quantile_is_that_of_the_sorted_values() {
        let mut stream = crate::noise::NoiseStream::new(crate::noise::Purpose::Training, 4, 0, 0);
        let mut values = vec![0.0; 3 * 500];
        stream.fill_normal(&mut values);
        for quantile in [0.05, 0.5, 0.9, 0.995, 1.0] {
            let found = read(magnitude(&images(&values, 3), quantile));
            for (found, image) in found.into_iter().zip(values.chunks(500)) {
                let mut sorted: Vec<f32> = image.iter().map(|value| value.abs()).collect();
                sorted.sort_by(f32::total_cmp);
                let exact = sorted[(quantile * 500.0).ceil() as usize - 1];
                let step = sorted[499] / 4096.0;
                assert!(
                    found >= exact * 0.999_999 && found <= exact + 1.001 * step,
                    "{quantile}: {found}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn values_keep_their_order_where_static_clipping_saturates_them() {
        let values = [0.5, -1.5, 3.0, -6.0, 0.25, -0.5, 0.0, 1.0];
        let two = images(&values, 2);
        let whole = Clip::Dynamic { quantile: 1.0 };
        let found = read(whole.apply(&two).unwrap());
        // The second image is within the range already.
        let exact = [0.5 / 6.0, -0.25, 0.5, -1.0, 0.25, -0.5, 0.0, 1.0];
        for (found, exact) in found.iter().zip(exact) {
            assert!((found - exact).abs() < 1e-3, "{found}, not {exact}");
        }
        let half = Clip::Dynamic { quantile: 0.5 };
        let found = read(half.apply(&two).unwrap());
        assert!(found[1] < -0.99 && found[2] == 1.0 && found[3] == -1.0);
        assert_eq!(
            read(Clip::Static.apply(&two).unwrap())[1..4],
            [-1.0, 1.0, -1.0]
        );
        assert!(Clip::Off.apply(&two).is_none());
    }
}
