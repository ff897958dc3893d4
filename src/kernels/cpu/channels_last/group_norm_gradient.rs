//! The gradients of a group normalisation, with the channels of a pixel beside each other.

use pulp::{Simd, WithSimd};

use super::super::simd::{dispatch, sigmoid};
use super::group_norm::{Norm, statistics};
use super::image::Image;
use super::memory::{Arena, LINE};

impl Norm<'_> {
    /// The gradient of `x`, with a border of 0, for that of the result, `grad`, of the same size. Neither has a border.
    ///
    /// Adds the gradients of scale and shift, `[images, channels]`, to `of_scale` and `of_shift`.
    pub(crate) fn backward(
        &self,
        arena: &mut Arena,
        [x, grad]: [&Image; 2],
        border: usize,
        [of_scale, of_shift]: [&mut [f32]; 2],
    ) -> Image {
        let mut out = x.like(arena, x.channels, border);
        let mut buffers = arena.take(BUFFERS * x.step());
        let affine = of_scale
            .chunks_exact_mut(x.channels)
            .zip(of_shift.chunks_exact_mut(x.channels));
        for (image, (of_scale, of_shift)) in affine.enumerate() {
            dispatch(One {
                norm: self,
                image,
                x,
                grad,
                buffers: &mut buffers,
                out: &mut out,
                of_scale,
                of_shift,
            });
        }
        arena.give(buffers);
        out
    }
}

/// Values that are kept for every channel: see [`One`].
const BUFFERS: usize = 6;

struct One<'a> {
    norm: &'a Norm<'a>,
    image: usize,
    x: &'a Image,
    grad: &'a Image,
    /// Means, 1/√(variance + epsilon), scales, shifts, and the sums of g and of g · x̂.
    buffers: &'a mut [f32],
    out: &'a mut Image,
    of_scale: &'a mut [f32],
    of_shift: &'a mut [f32],
}

impl WithSimd for One<'_> {
    type Output = ();

    /// With v = x̂ · scale + shift and g the gradient of v, over the n values of a group:
    ///
    /// ∂x = (g · scale − mean(g · scale) − x̂ · mean(g · scale · x̂)) / √(variance + epsilon)
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            norm,
            image,
            x,
            grad,
            buffers,
            out,
            of_scale,
            of_shift,
        } = self;
        let (step, pixels, channels) = (x.step(), x.pixels(), x.channels);
        let source = &x.values[image * x.plane()..][..pixels * step];
        let grads = &grad.values[image * grad.plane()..][..pixels * step];
        let (means, rest) = buffers.split_at_mut(step);
        let (units, rest) = rest.split_at_mut(step);
        let (scales, rest) = rest.split_at_mut(step);
        let (shifts, rest) = rest.split_at_mut(step);
        let (sums, sums_x) = rest.split_at_mut(step);
        statistics(simd, source, x, (norm.groups, norm.epsilon), means, units);
        scales.fill(0.0);
        shifts.fill(0.0);
        scales[..channels].copy_from_slice(&norm.scale[image * channels..][..channels]);
        shifts[..channels].copy_from_slice(&norm.shift[image * channels..][..channels]);
        let affine = [&*means, &*units, &*scales, &*shifts];
        // First g, kept in place of the result, and its sums with 1 and with x̂.
        for first in (0..step).step_by(LINE) {
            let place = Place {
                image,
                first,
                step,
                out,
            };
            let line = match norm.silu {
                true => before_activation::<S, true>(simd, source, grads, affine, place),
                false => before_activation::<S, false>(simd, source, grads, affine, place),
            };
            sums[first..first + LINE].copy_from_slice(&line[0]);
            sums_x[first..first + LINE].copy_from_slice(&line[1]);
        }
        for (total, sum) in of_shift.iter_mut().zip(&*sums) {
            *total += sum;
        }
        for (total, sum) in of_scale.iter_mut().zip(&*sums_x) {
            *total += sum;
        }
        let size = channels / norm.groups;
        let count = (size * pixels) as f32;
        for group in (0..channels).step_by(size) {
            let group = group..group + size;
            for sums in [&mut *sums, &mut *sums_x] {
                let total: f32 = group.clone().map(|c| sums[c] * scales[c]).sum();
                sums[group.clone()].fill(total / count);
            }
        }
        sums[channels..].fill(0.0);
        sums_x[channels..].fill(0.0);
        let lines = [&*means, &*units, &*scales, &*sums, &*sums_x];
        let [means, units, scales, sums, sums_x] = lines.map(|values| S::as_simd_f32s(values).0);
        for (y, row) in source.chunks_exact(x.width * step).enumerate() {
            let at = out.at(image, y, 0);
            let out = &mut out.values[at..at + x.width * step];
            for (out, x) in out.chunks_exact_mut(step).zip(row.chunks_exact(step)) {
                let (out, x) = (S::as_mut_simd_f32s(out).0, S::as_simd_f32s(x).0);
                for (v, (out, &x)) in out.iter_mut().zip(x).enumerate() {
                    let normal = simd.mul_f32s(simd.sub_f32s(x, means[v]), units[v]);
                    let inner = simd.sub_f32s(simd.mul_f32s(*out, scales[v]), sums[v]);
                    let inner = simd.sub_f32s(inner, simd.mul_f32s(normal, sums_x[v]));
                    *out = simd.mul_f32s(inner, units[v]);
                }
            }
        }
    }
}

/// Where a line of channels of an image is written.
struct Place<'a> {
    image: usize,
    first: usize,
    step: usize,
    out: &'a mut Image,
}

/// Writes the gradient before the activation, of a line of channels of all pixels, and returns its sums with 1 and with x̂.
#[inline(always)]
fn before_activation<S: Simd, const SILU: bool>(
    simd: S,
    source: &[f32],
    grads: &[f32],
    affine: [&[f32]; 4],
    place: Place<'_>,
) -> [[f32; LINE]; 2] {
    let Place {
        image,
        first,
        step,
        out,
    } = place;
    let vectors = LINE / S::F32_LANES;
    let one = simd.splat_f32s(1.0);
    let [means, units, scales, shifts] =
        affine.map(|values| S::as_simd_f32s(&values[first..first + LINE]).0);
    let mut sums = [[simd.splat_f32s(0.0); LINE]; 2];
    let row = out.width * step;
    let rows = source.chunks_exact(row).zip(grads.chunks_exact(row));
    for (y, (source, grads)) in rows.enumerate() {
        let at = out.at(image, y, 0);
        let out = &mut out.values[at..at + row];
        let pixels = source.chunks_exact(step).zip(grads.chunks_exact(step));
        for (out, (x, grad)) in out.chunks_exact_mut(step).zip(pixels) {
            let (x, _) = S::as_simd_f32s(&x[first..first + LINE]);
            let (grad, _) = S::as_simd_f32s(&grad[first..first + LINE]);
            let (out, _) = S::as_mut_simd_f32s(&mut out[first..first + LINE]);
            for v in 0..vectors {
                let normal = simd.mul_f32s(simd.sub_f32s(x[v], means[v]), units[v]);
                let mut g = grad[v];
                if SILU {
                    // silu′(v) = s + v · s · (1 − s) with s = sigmoid(v)
                    let value = simd.mul_add_e_f32s(normal, scales[v], shifts[v]);
                    let s = sigmoid(simd, value);
                    let rest = simd.sub_f32s(one, s);
                    let slope = simd.mul_add_e_f32s(simd.mul_f32s(value, s), rest, s);
                    g = simd.mul_f32s(g, slope);
                }
                out[v] = g;
                sums[0][v] = simd.add_f32s(sums[0][v], g);
                sums[1][v] = simd.mul_add_e_f32s(g, normal, sums[1][v]);
            }
        }
    }
    let mut found = [[0.0; LINE]; 2];
    for (found, sums) in found.iter_mut().zip(&sums) {
        let (found, _) = S::as_mut_simd_f32s(found);
        found.copy_from_slice(&sums[..vectors]);
    }
    found
}
