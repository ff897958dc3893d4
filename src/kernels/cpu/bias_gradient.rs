//! The gradient of a convolution's bias.

use pulp::{Simd, WithSimd};

use super::patches::Images;
use super::simd::dispatch;
use super::threads;

/// The gradient of the bias, `[channels]`: the sum of `grad` over images and pixels.
pub(super) fn bias_gradient(grad: &[f32], shape: Images) -> Vec<f32> {
    threads::map(shape.channels, |channel| {
        dispatch(ChannelSum {
            grad,
            shape,
            channel,
        })
    })
}

struct ChannelSum<'a> {
    grad: &'a [f32],
    shape: Images,
    channel: usize,
}

impl WithSimd for ChannelSum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let pixels = self.shape.pixels();
        let mut sum = simd.splat_f32s(0.0);
        for n in 0..self.shape.batch {
            let plane = &self.grad[(n * self.shape.channels + self.channel) * pixels..][..pixels];
            let (vectors, rest) = S::as_simd_f32s(plane);
            for &vector in vectors {
                sum = simd.add_f32s(sum, vector);
            }
            sum = simd.add_f32s(sum, simd.partial_load_f32s(rest));
        }
        simd.reduce_sum_f32s(sum)
    }
}
