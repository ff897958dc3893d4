//! Group normalisation (Wu & He 2018), an affine map of every channel, and SiLU, in one pass over memory.
//!
//! A group of an image lies in one piece in memory and mostly fits a first-level cache, so it is read from memory once
//! for its mean, its variance and the result.

use pulp::{Simd, WithSimd};

use super::patches::Images;
use super::simd::{dispatch, sigmoid};
use super::threads;

/// What is computed: y = act(x̂ · scale + shift) with x̂ = (x − mean) / √(variance + epsilon) over every group.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupNorm<'a> {
    pub shape: Images,
    pub groups: usize,
    pub epsilon: f32,
    /// Whether act is SiLU, or else the identity.
    pub silu: bool,
    /// `[batch, channels]`
    pub scale: &'a [f32],
    /// `[batch, channels]`
    pub shift: &'a [f32],
}

impl GroupNorm<'_> {
    /// Channels of a group.
    pub(super) fn channels(&self) -> usize {
        self.shape.channels / self.groups
    }

    /// y, of the shape of x.
    pub(super) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let size = self.channels() * self.shape.pixels();
        if size == 0 {
            return Vec::new();
        }
        threads::new_by_chunks(x.len(), size, |(): &mut (), group, y| {
            dispatch(Forward {
                norm: self,
                group,
                x: &x[group * size..][..size],
                y,
            });
        })
    }
}

/// Σ (x − centre)ᵖ for p = 1, or for p = 2 where `squared`.
#[inline(always)]
fn sum<S: Simd>(simd: S, x: &[f32], centre: f32, squared: bool) -> f32 {
    let centres = simd.splat_f32s(centre);
    let (vectors, rest) = S::as_simd_f32s(x);
    // Four sums at a time, because each addition waits for the one before.
    let mut sums = [simd.splat_f32s(0.0); 4];
    for four in vectors.chunks(4) {
        for (sum, &x) in sums.iter_mut().zip(four) {
            let x = simd.sub_f32s(x, centres);
            *sum = if squared {
                simd.mul_add_e_f32s(x, x, *sum)
            } else {
                simd.add_f32s(*sum, x)
            };
        }
    }
    let even = simd.add_f32s(sums[0], sums[2]);
    let odd = simd.add_f32s(sums[1], sums[3]);
    let mut total = simd.reduce_sum_f32s(simd.add_f32s(even, odd));
    for &x in rest {
        let x = x - centre;
        total += if squared { x * x } else { x };
    }
    total
}

/// The mean and 1 / √(variance + epsilon) of a group.
#[inline(always)]
pub(super) fn statistics<S: Simd>(simd: S, x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = sum(simd, x, 0.0, false) / count;
    let variance = sum(simd, x, mean, true) / count;
    (mean, 1.0 / libm::sqrtf(variance + epsilon))
}

/// What a group's values are computed with, in every lane.
#[derive(Clone, Copy)]
pub(super) struct Lanes<S: Simd> {
    pub simd: S,
    mean: S::f32s,
    /// 1 / √(variance + epsilon)
    pub unit: S::f32s,
    pub scale: S::f32s,
    pub shift: S::f32s,
    pub silu: bool,
}

impl<S: Simd> Lanes<S> {
    #[inline(always)]
    pub(super) fn new(
        simd: S,
        norm: &GroupNorm<'_>,
        (mean, unit): (f32, f32),
        channel: usize,
    ) -> Self {
        Self {
            simd,
            mean: simd.splat_f32s(mean),
            unit: simd.splat_f32s(unit),
            scale: simd.splat_f32s(norm.scale[channel]),
            shift: simd.splat_f32s(norm.shift[channel]),
            silu: norm.silu,
        }
    }

    #[inline(always)]
    pub(super) fn normalize(self, x: S::f32s) -> S::f32s {
        let centred = self.simd.sub_f32s(x, self.mean);
        self.simd.mul_f32s(centred, self.unit)
    }

    /// y
    #[inline(always)]
    fn forward(self, x: S::f32s) -> S::f32s {
        let Self { simd, .. } = self;
        let v = simd.mul_add_e_f32s(self.normalize(x), self.scale, self.shift);
        if self.silu {
            simd.mul_f32s(v, sigmoid(simd, v))
        } else {
            v
        }
    }
}

struct Forward<'a> {
    norm: &'a GroupNorm<'a>,
    group: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let statistics = statistics(simd, self.x, self.norm.epsilon);
        let pixels = self.norm.shape.pixels();
        let first = self.group * self.norm.channels();
        let planes = self
            .x
            .chunks_exact(pixels)
            .zip(self.y.chunks_exact_mut(pixels));
        for (channel, (x, y)) in planes.enumerate() {
            let lanes = Lanes::new(simd, self.norm, statistics, first + channel);
            let (x, x_rest) = S::as_simd_f32s(x);
            let (y, y_rest) = S::as_mut_simd_f32s(y);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = lanes.forward(x);
            }
            if !x_rest.is_empty() {
                simd.partial_store_f32s(y_rest, lanes.forward(simd.partial_load_f32s(x_rest)));
            }
        }
    }
}
