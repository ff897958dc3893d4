//! The gradient of a convolution's weights, from images with the channels of a pixel beside each other.
//!
//! Where tiles cover the image, by minimal filtering as the convolution itself: with d the 6×6 pixels under a tile of 4×4,
//! and y the gradient of the tile, ∂g = Gᵀ [Σ (Bᵀ d B) ⊙ (A y Aᵀ)] G, the sum over tiles, in which every pair of channels
//! takes 36 products for sixteen pixels where the sum itself takes 144.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::patches::Images;
use super::super::simd::dispatch;
use super::super::threads;
use super::image::Image;
use super::memory::{Arena, LINE, Values, with_arena};
use super::minimal_filtering::{self, G, InputTransform, PRODUCTS, SIDE, UNDER};
use super::outer::{OuterProduct, padded};
use super::planes;

/// Parts of a batch whose sums are taken alone and added in order, so that no sum depends on the number of threads.
const PARTS: usize = 2;
/// Bytes of tiles that are transformed at a time.
const BYTES: usize = 2 << 20;
/// Pixels that are multiplied at a time where there are no tiles.
const PIXELS: usize = 512;
/// Images that are less wide have the pixels under a tap gathered, so that products have more of them at a time.
const NARROW: usize = 32;

/// What a gradient is taken of: the weights of a convolution, or of a linear layer, whose kernel is 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeightShape {
    pub outputs: usize,
    pub inputs: usize,
    pub kernel: usize,
    /// Whether sums are taken of tiles.
    pub filtered: bool,
}

impl WeightShape {
    /// Matrices of sums: products of a tile, or taps of the kernel.
    fn matrices(&self) -> usize {
        match self.filtered {
            true => PRODUCTS,
            false => self.kernel * self.kernel,
        }
    }

    /// Values of a matrix of sums.
    fn matrix(&self) -> usize {
        padded(self.inputs) * self.outputs.next_multiple_of(LINE)
    }

    /// The values of all sums.
    pub(crate) fn sums(&self) -> usize {
        self.matrices() * self.matrix()
    }

    /// The number of weights.
    pub(crate) fn weights(&self) -> usize {
        self.outputs * self.inputs * self.kernel * self.kernel
    }

    /// Tiles that are transformed at a time.
    fn tiles_at_once(&self) -> usize {
        let steps = [self.inputs, self.outputs].map(|channels| channels.next_multiple_of(LINE));
        (BYTES / (PRODUCTS * (steps[0] + steps[1]) * size_of::<f32>())).max(1)
    }

    /// Adds what some images give to the sums. `x` has a border of half a kernel; `grad` may have one.
    pub(crate) fn add(&self, arena: &mut Arena, x: &Image, grad: &Image, sums: &mut [f32]) {
        match self.filtered {
            true => add_tiles(arena, x, grad, *self, sums),
            false => add_pixels(arena, x, grad, *self, sums),
        }
    }

    /// The gradient, `[outputs, inputs, kernel, kernel]`, of the sums of all parts.
    pub(crate) fn finish(&self, first: &[f32], rest: &[Values], gradient: &mut [f32]) {
        // Some outputs at a time, because the sums have outputs beside each other.
        let rows = LINE * self.inputs * self.kernel * self.kernel;
        threads::for_each_chunk(gradient, rows, |(): &mut (), i, gradient| {
            dispatch(Finish {
                first,
                rest,
                shape: *self,
                output: i * LINE,
                gradient,
            });
        });
    }

    /// The gradient of a linear layer's weights, `[inputs, outputs]`, of the sums.
    pub(crate) fn finish_linear(&self, sums: &[f32], gradient: &mut [f32]) {
        let step = self.outputs.next_multiple_of(LINE);
        let rows = gradient.chunks_exact_mut(self.outputs);
        for (gradient, sums) in rows.zip(sums.chunks_exact(step)) {
            gradient.copy_from_slice(&sums[..self.outputs]);
        }
    }
}

/// The gradient, `[outputs, inputs, kernel, kernel]`, for `x` (`[batch, inputs, height, width]`) and that of the result,
/// `grad` (`[batch, outputs, height, width]`).
pub(in super::super) fn weight_gradient(
    x: &[f32],
    grad: &[f32],
    images: Images,
    outputs: usize,
    kernel: usize,
) -> Vec<f32> {
    let shape = WeightShape {
        outputs,
        inputs: images.channels,
        kernel,
        filtered: minimal_filtering::covers(kernel, [images.height, images.width]),
    };
    let mut gradient = vec![0.0; shape.weights()];
    if gradient.is_empty() || images.batch * images.pixels() == 0 {
        return gradient;
    }
    let mut parts: [Values; PARTS] = Default::default();
    threads::for_each_chunk(&mut parts, 1, |(): &mut (), part, sums| {
        let size = images.batch.div_ceil(PARTS);
        let range = (part * size).min(images.batch)..((part + 1) * size).min(images.batch);
        with_arena(|arena| sums[0] = sum_over(arena, [x, grad], shape, images, range));
    });
    let [first, rest @ ..] = &parts;
    shape.finish(first, rest, &mut gradient);
    with_arena(|arena| parts.into_iter().for_each(|values| arena.give(values)));
    gradient
}

/// The sums over some images, `[matrices, padded inputs, padded outputs]`.
fn sum_over(
    arena: &mut Arena,
    [x, grad]: [&[f32]; 2],
    shape: WeightShape,
    of: Images,
    images: Range<usize>,
) -> Values {
    let mut sums = arena.take(shape.sums());
    sums.fill(0.0);
    let pixels_at_once = match shape.filtered {
        true => shape.tiles_at_once() * SIDE * SIDE,
        false => PIXELS,
    };
    let at_once = (pixels_at_once / of.pixels()).clamp(1, images.len().max(1));
    let border = shape.kernel / 2;
    let mut places = Vec::new();
    for first in images.clone().step_by(at_once) {
        let count = at_once.min(images.end - first);
        let mut convert = |values: &[f32], channels: usize, border: usize| {
            let size = channels * of.pixels();
            let of = [count, of.height, of.width, channels];
            let mut image = Image::new(arena, of, border);
            planes::fill(&mut image, &values[first * size..], &mut places);
            image
        };
        let x = convert(x, shape.inputs, border);
        let grad = convert(grad, shape.outputs, 0);
        shape.add(arena, &x, &grad, &mut sums);
        x.free(arena);
        grad.free(arena);
    }
    sums
}

/// Adds the products of pixels, tap by tap.
fn add_pixels(arena: &mut Arena, x: &Image, grad: &Image, shape: WeightShape, sums: &mut [f32]) {
    let gathers = x.border > 0 && x.width < NARROW;
    let mut gathered = arena.take(if gathers {
        PIXELS.max(x.width) * x.step()
    } else {
        0
    });
    // The gradient of some rows of pixels in one piece.
    let mut grads = arena.take(match grad.border {
        0 => 0,
        _ => PIXELS.max(x.width) * grad.step(),
    });
    let run = |a: &[f32], b: &[f32], count: usize, sums: &mut [f32]| {
        OuterProduct {
            a,
            a_step: x.step(),
            b,
            b_step: grad.step(),
            count,
            inputs: shape.inputs,
            sums,
        }
        .run();
    };
    if x.border == 0 && grad.border == 0 {
        run(&x.values, &grad.values, x.images * x.pixels(), sums);
    } else {
        let rows: Vec<(usize, usize)> = (0..x.images)
            .flat_map(|image| (0..x.height).map(move |y| (image, y)))
            .collect();
        let at_once = if gathers {
            (PIXELS / x.width).max(1)
        } else {
            1
        };
        let length = x.width * grad.step();
        for rows in rows.chunks(at_once) {
            let grad_of = |&(image, y): &(usize, usize)| grad.at(image, y, 0);
            let b: &[f32] = match grad.border {
                0 => &grad.values[grad_of(&rows[0])..],
                _ => {
                    for (to, row) in grads.chunks_exact_mut(length).zip(rows) {
                        to.copy_from_slice(&grad.values[grad_of(row)..][..length]);
                    }
                    &grads
                }
            };
            for (tap, sums) in sums.chunks_exact_mut(shape.matrix()).enumerate() {
                let (ky, kx) = (tap / shape.kernel, tap % shape.kernel);
                let under = |&(image, y): &(usize, usize)| {
                    let corner = x.at(image, y, 0) - x.border * (x.row() + x.step());
                    corner + ky * x.row() + kx * x.step()
                };
                if !gathers {
                    run(&x.values[under(&rows[0])..], b, x.width, sums);
                    continue;
                }
                let length = x.width * x.step();
                for (to, row) in gathered.chunks_exact_mut(length).zip(rows) {
                    to.copy_from_slice(&x.values[under(row)..][..length]);
                }
                run(&gathered, b, rows.len() * x.width, sums);
            }
        }
    }
    arena.give(gathered);
    arena.give(grads);
}

/// Adds the products of tiles.
fn add_tiles(arena: &mut Arena, x: &Image, grad: &Image, shape: WeightShape, sums: &mut [f32]) {
    let all = x.images * x.pixels() / (SIDE * SIDE);
    let at_once = all.div_ceil(all.div_ceil(shape.tiles_at_once()));
    let (a_stride, b_stride) = (at_once * x.step() + LINE, at_once * grad.step() + LINE);
    let mut a = arena.take(PRODUCTS * a_stride);
    let mut b = arena.take(PRODUCTS * b_stride);
    let (mut sources, mut targets) = (Vec::new(), Vec::new());
    for first in (0..all).step_by(at_once) {
        let count = at_once.min(all - first);
        sources.clear();
        targets.clear();
        for tile in first..first + count {
            let (image, y, column) = minimal_filtering::place(x, tile);
            sources.push(x.at(image, y, column) - x.row() - x.step());
            targets.push(grad.at(image, y, column));
        }
        dispatch(InputTransform {
            x,
            places: &sources,
            stride: a_stride,
            out: &mut a,
        });
        dispatch(GradientTransform {
            grad,
            places: &targets,
            stride: b_stride,
            out: &mut b,
        });
        for (product, sums) in sums.chunks_exact_mut(shape.matrix()).enumerate() {
            OuterProduct {
                a: &a[product * a_stride..],
                a_step: x.step(),
                b: &b[product * b_stride..],
                b_step: grad.step(),
                count,
                inputs: shape.inputs,
                sums,
            }
            .run();
        }
    }
    arena.give(a);
    arena.give(b);
}

/// A y Aᵀ of tiles.
struct GradientTransform<'a> {
    grad: &'a Image,
    places: &'a [usize],
    stride: usize,
    out: &'a mut Values,
}

/// A of four vectors.
#[inline(always)]
fn gradient_transform<S: Simd>(simd: S, y: [S::f32s; SIDE]) -> [S::f32s; UNDER] {
    let two = simd.splat_f32s(2.0);
    let four = simd.splat_f32s(4.0);
    let (even, odd) = (simd.add_f32s(y[0], y[2]), simd.add_f32s(y[1], y[3]));
    let far_even = simd.mul_add_e_f32s(four, y[2], y[0]);
    let far_odd = simd.mul_f32s(two, simd.mul_add_e_f32s(four, y[3], y[1]));
    [
        y[0],
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(far_even, far_odd),
        simd.sub_f32s(far_even, far_odd),
        y[3],
    ]
}

impl WithSimd for GradientTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            grad,
            places,
            stride,
            out,
        } = self;
        let (row, step, lanes) = (grad.row(), grad.step(), S::F32_LANES);
        for (tile, &place) in places.iter().enumerate() {
            for channel in (0..step).step_by(lanes) {
                let mut half = [[simd.splat_f32s(0.0); UNDER]; SIDE];
                for (column, half) in half.iter_mut().enumerate() {
                    let mut y = [simd.splat_f32s(0.0); SIDE];
                    for (i, y) in y.iter_mut().enumerate() {
                        let at = place + i * row + column * step + channel;
                        *y = S::as_simd_f32s(&grad.values[at..][..lanes]).0[0];
                    }
                    *half = gradient_transform(simd, y);
                }
                let first = tile * step + channel;
                for i in 0..UNDER {
                    let mut y = [simd.splat_f32s(0.0); SIDE];
                    for (y, half) in y.iter_mut().zip(&half) {
                        *y = half[i];
                    }
                    for (column, &value) in gradient_transform(simd, y).iter().enumerate() {
                        let at = (i * UNDER + column) * stride + first;
                        S::as_mut_simd_f32s(&mut out[at..][..lanes]).0[0] = value;
                    }
                }
            }
        }
    }
}

/// Adds the parts' sums of some outputs, and undoes the transforms where there are any.
struct Finish<'a> {
    first: &'a [f32],
    rest: &'a [Values],
    shape: WeightShape,
    output: usize,
    /// `[some outputs, inputs, kernel, kernel]`
    gradient: &'a mut [f32],
}

/// Gᵀ of six vectors.
#[inline(always)]
fn kernel_transform<S: Simd>(simd: S, m: [S::f32s; UNDER]) -> [S::f32s; 3] {
    let mut sums = [simd.splat_f32s(0.0); 3];
    for (&m, row) in m.iter().zip(&G) {
        for (sum, &factor) in sums.iter_mut().zip(row) {
            if factor != 0.0 {
                *sum = simd.mul_add_e_f32s(simd.splat_f32s(factor as f32), m, *sum);
            }
        }
    }
    sums
}

impl Finish<'_> {
    /// The sums of all parts in a matrix.
    #[inline(always)]
    fn sum<S: Simd>(&self, simd: S, matrix: usize, input: usize, lane: usize) -> S::f32s {
        let outputs = self.shape.outputs.next_multiple_of(LINE);
        let at = matrix * self.shape.matrix() + input * outputs + self.output + lane;
        let mut sum = S::as_simd_f32s(&self.first[at..][..S::F32_LANES]).0[0];
        for part in self.rest {
            sum = simd.add_f32s(sum, S::as_simd_f32s(&part[at..][..S::F32_LANES]).0[0]);
        }
        sum
    }

    /// Writes a tap of the kernels between an input and some outputs.
    #[inline(always)]
    fn put<S: Simd>(&mut self, value: S::f32s, tap: usize, input: usize, lane: usize) {
        let area = self.shape.kernel * self.shape.kernel;
        let size = self.shape.inputs * area;
        let mut values = [0.0; LINE];
        S::as_mut_simd_f32s(&mut values).0[0] = value;
        let targets = self.gradient.chunks_exact_mut(size).skip(lane);
        for (target, value) in targets.zip(&values[..S::F32_LANES]) {
            target[input * area + tap] = *value;
        }
    }
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let shape = self.shape;
        let area = shape.kernel * shape.kernel;
        let outputs = self.gradient.len() / (shape.inputs * area);
        for input in 0..shape.inputs {
            for lane in (0..outputs).step_by(S::F32_LANES) {
                if !shape.filtered {
                    for tap in 0..area {
                        let sum = self.sum(simd, tap, input, lane);
                        self.put::<S>(sum, tap, input, lane);
                    }
                    continue;
                }
                let mut half = [[simd.splat_f32s(0.0); 3]; UNDER];
                for (column, half) in half.iter_mut().enumerate() {
                    let mut m = [simd.splat_f32s(0.0); UNDER];
                    for (row, m) in m.iter_mut().enumerate() {
                        *m = self.sum(simd, row * UNDER + column, input, lane);
                    }
                    *half = kernel_transform(simd, m);
                }
                for row in 0..3 {
                    let mut m = [simd.splat_f32s(0.0); UNDER];
                    for (m, half) in m.iter_mut().zip(&half) {
                        *m = half[row];
                    }
                    for (column, &value) in kernel_transform(simd, m).iter().enumerate() {
                        self.put::<S>(value, row * 3 + column, input, lane);
                    }
                }
            }
        }
    }
}
