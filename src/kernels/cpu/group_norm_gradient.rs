//! The gradients of a group normalisation.

use pulp::{Simd, WithSimd};

use super::group_norm::{GroupNorm, Lanes, statistics};
use super::simd::{dispatch, sigmoid};
use super::threads;

/// The gradients of a group normalisation.
#[derive(Debug)]
pub(super) struct Gradients {
    /// As x: `[batch, channels, height, width]`.
    pub x: Vec<f32>,
    /// `[batch, channels]`
    pub scale: Vec<f32>,
    /// `[batch, channels]`
    pub shift: Vec<f32>,
}

impl GroupNorm<'_> {
    /// The gradients, given x and the gradient of y.
    pub(super) fn backward(&self, x: &[f32], grad: &[f32]) -> Gradients {
        let size = self.channels() * self.shape.pixels();
        let mut affine = vec![(0.0, 0.0); self.shape.batch * self.shape.channels];
        let gradient = match size {
            0 => Vec::new(),
            _ => threads::new_by_chunk_pairs(
                (x.len(), size),
                (&mut affine, self.channels()),
                |group, gradient, affine| {
                    dispatch(Backward {
                        norm: self,
                        group,
                        x: &x[group * size..][..size],
                        grad: &grad[group * size..][..size],
                        gradient,
                        affine,
                    });
                },
            ),
        };
        let (scale, shift) = affine.into_iter().unzip();
        Gradients {
            x: gradient,
            scale,
            shift,
        }
    }
}

impl<S: Simd> Lanes<S> {
    /// x̂, and the gradient before the activation for that after it.
    #[inline(always)]
    fn through_activation(self, x: S::f32s, grad: S::f32s) -> (S::f32s, S::f32s) {
        let Self { simd, .. } = self;
        let x = self.normalize(x);
        if !self.silu {
            return (x, grad);
        }
        // silu′(v) = s + v · s · (1 − s) with s = sigmoid(v)
        let v = simd.mul_add_e_f32s(x, self.scale, self.shift);
        let s = sigmoid(simd, v);
        let rest = simd.sub_f32s(simd.splat_f32s(1.0), s);
        let slope = simd.mul_add_e_f32s(simd.mul_f32s(v, s), rest, s);
        (x, simd.mul_f32s(grad, slope))
    }

    /// The gradient of x, for the gradient before the activation and its means over the group.
    #[inline(always)]
    fn gradient(
        self,
        x: S::f32s,
        grad: S::f32s,
        mean_gradient: S::f32s,
        mean_product: S::f32s,
    ) -> S::f32s {
        let Self { simd, .. } = self;
        let x = self.normalize(x);
        let inner = simd.sub_f32s(simd.mul_f32s(grad, self.scale), mean_gradient);
        let inner = simd.sub_f32s(inner, simd.mul_f32s(x, mean_product));
        simd.mul_f32s(inner, self.unit)
    }
}

struct Backward<'a> {
    norm: &'a GroupNorm<'a>,
    group: usize,
    x: &'a [f32],
    grad: &'a [f32],
    gradient: &'a mut [f32],
    /// The gradients of scale and shift of every channel of the group.
    affine: &'a mut [(f32, f32)],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    /// With v = x̂ · scale + shift and g the gradient of v, over the n values of a group:
    ///
    /// ∂x = (g · scale − mean(g · scale) − x̂ · mean(g · scale · x̂)) / √(variance + epsilon)
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let statistics = statistics(simd, self.x, self.norm.epsilon);
        let pixels = self.norm.shape.pixels();
        let first = self.group * self.norm.channels();
        // First g, kept in place of the result, and its sums with 1 and with x̂.
        let (mut sum, mut sum_x) = (0.0, 0.0);
        let planes = self
            .x
            .chunks_exact(pixels)
            .zip(self.grad.chunks_exact(pixels));
        for (channel, ((x, grad), gradient)) in planes
            .zip(self.gradient.chunks_exact_mut(pixels))
            .enumerate()
        {
            let lanes = Lanes::new(simd, self.norm, statistics, first + channel);
            let (x, x_rest) = S::as_simd_f32s(x);
            let (grad, grad_rest) = S::as_simd_f32s(grad);
            let (gradient, gradient_rest) = S::as_mut_simd_f32s(gradient);
            let mut sums = simd.splat_f32s(0.0);
            let mut sums_x = sums;
            for ((gradient, &x), &grad) in gradient.iter_mut().zip(x).zip(grad) {
                let (x, grad) = lanes.through_activation(x, grad);
                *gradient = grad;
                sums = simd.add_f32s(sums, grad);
                sums_x = simd.mul_add_e_f32s(grad, x, sums_x);
            }
            if !x_rest.is_empty() {
                // Lanes beyond the last pixel have a gradient of 0 and change no sum.
                let (x, grad) = lanes.through_activation(
                    simd.partial_load_f32s(x_rest),
                    simd.partial_load_f32s(grad_rest),
                );
                simd.partial_store_f32s(gradient_rest, grad);
                sums = simd.add_f32s(sums, grad);
                sums_x = simd.mul_add_e_f32s(grad, x, sums_x);
            }
            let shift = simd.reduce_sum_f32s(sums);
            let scale = simd.reduce_sum_f32s(sums_x);
            self.affine[channel] = (scale, shift);
            sum += self.norm.scale[first + channel] * shift;
            sum_x += self.norm.scale[first + channel] * scale;
        }
        let count = self.x.len() as f32;
        let mean_gradient = simd.splat_f32s(sum / count);
        let mean_product = simd.splat_f32s(sum_x / count);
        let planes = self.x.chunks_exact(pixels);
        for (channel, (x, gradient)) in planes
            .zip(self.gradient.chunks_exact_mut(pixels))
            .enumerate()
        {
            let lanes = Lanes::new(simd, self.norm, statistics, first + channel);
            let (x, x_rest) = S::as_simd_f32s(x);
            let (gradient, gradient_rest) = S::as_mut_simd_f32s(gradient);
            for (gradient, &x) in gradient.iter_mut().zip(x) {
                *gradient = lanes.gradient(x, *gradient, mean_gradient, mean_product);
            }
            if !x_rest.is_empty() {
                let grad = simd.partial_load_f32s(gradient_rest);
                let x = simd.partial_load_f32s(x_rest);
                let grad = lanes.gradient(x, grad, mean_gradient, mean_product);
                simd.partial_store_f32s(gradient_rest, grad);
            }
        }
    }
}
