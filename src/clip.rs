//! What is made of values of x̃ outside of [−1, 1].

use burn::tensor::{Tensor, TensorData};

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

/// 1 where a value is above 0, else 0. Arithmetic alone: comparisons of every type would make the runtime for browsers larger.
pub(crate) fn above_zero(values: Tensor<4>) -> Tensor<4> {
    (values * 1e30).clamp(0.0, 1.0)
}

/// Powers of 16 that a quantile is first searched among: up to 2³², more than any estimate.
const POWERS: usize = 8;
/// Bisections after that, which leave 1/65536 of the power.
const BISECTIONS: usize = 16;

/// The quantile of |x| of every image, from above and within 1/4096 of it; where it is below 1, something below 1. It is searched
/// by counting, because no GPU can sort without an answer to the page.
///
/// # Shapes
///
/// `x`: `[images, channels, height, width]`; result: `[images, 1, 1, 1]`.
fn magnitude(x: &Tensor<4>, quantile: f64) -> Tensor<4> {
    let [images, channels, height, width] = x.dims();
    let values = (channels * height * width) as f64;
    let magnitudes = x.clone().square().sqrt();
    // Counts are whole numbers, which 32 bits hold exactly.
    let beyond = values - quantile * values;
    let is_below = |end: Tensor<4>| {
        let above = above_zero(magnitudes.clone() - end).sum_dims(&[1, 2, 3]);
        above_zero(above - beyond)
    };
    let ones = TensorData::new(vec![1f32; images], [images, 1, 1, 1]);
    let mut power = Tensor::<4>::from_data(ones, &x.device());
    for _ in 0..POWERS {
        power = power.clone() * (is_below(power) * 15.0 + 1.0);
    }
    let mut low = power.clone() / 16.0;
    let mut range = power * (15.0 / 16.0);
    for _ in 0..BISECTIONS {
        range = range / 2.0;
        let is_below = is_below(low.clone() + range.clone());
        low = low + range.clone() * is_below;
    }
    low + range
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

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
        // All quantiles are above 1.
        values.iter_mut().for_each(|value| *value *= 1e3);
        for quantile in [0.05, 0.5, 0.9, 0.995, 1.0] {
            let found = read(magnitude(&images(&values, 3), quantile));
            for (found, image) in found.into_iter().zip(values.chunks(500)) {
                let mut sorted: Vec<f32> = image.iter().map(|value| value.abs()).collect();
                sorted.sort_by(f32::total_cmp);
                let exact = sorted[(quantile * 500.0).ceil() as usize - 1];
                assert!(
                    found >= exact * 0.999_999 && found <= exact * (1.0 + 1.0 / 4096.0),
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
