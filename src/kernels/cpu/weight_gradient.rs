//! The gradients of a convolution's weights and bias.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::buffer::Buffer;
use super::patches::{Block, Images, Patches};
use super::simd::dispatch;
use super::threads;

/// Pixels that are gathered at a time.
const BLOCK_PIXELS: usize = 512;
/// Rows and columns of the matrix of weights in a unit of work: what it gathers and the sums it keeps fill half of a
/// second-level cache.
const UNIT_OUTPUTS: usize = 48;
const UNIT_COLUMNS: usize = 72;

/// The gradient of the weights, `[outputs, inputs, kernel, kernel]`, of a convolution of `x` (`[batch, inputs, height,
/// width]`) whose result has the gradient `grad` (`[batch, outputs, height, width]`).
///
/// Weights are divided among the units of work, never the batch, so that every sum runs over the batch in one order.
pub(super) fn weight_gradient(
    x: &[f32],
    grad: &[f32],
    shape: Images,
    outputs: usize,
    kernel: usize,
) -> Vec<f32> {
    let inputs = shape.channels;
    let grad_shape = shape.with_channels(outputs);
    let area = kernel * kernel;
    let unit_inputs = (UNIT_COLUMNS / area).max(1);
    let columns = inputs.div_ceil(unit_inputs);
    let units = threads::map(outputs.div_ceil(UNIT_OUTPUTS) * columns, |unit| {
        let (row, column) = (unit / columns, unit % columns);
        let outputs = row * UNIT_OUTPUTS..((row + 1) * UNIT_OUTPUTS).min(outputs);
        let inputs = column * unit_inputs..((column + 1) * unit_inputs).min(inputs);
        let values = dispatch(Unit {
            x,
            x_shape: shape,
            grad,
            grad_shape,
            outputs: outputs.clone(),
            inputs: inputs.clone(),
            kernel,
        });
        (outputs, inputs, values)
    });
    let mut gradient = vec![0.0; outputs * inputs * area];
    for (outputs, columns, values) in units {
        let length = columns.len() * area;
        for (output, values) in outputs.zip(values.chunks_exact(length.max(1))) {
            let at = (output * inputs + columns.start) * area;
            gradient[at..at + length].copy_from_slice(values);
        }
    }
    gradient
}

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

struct Unit<'a> {
    x: &'a [f32],
    x_shape: Images,
    grad: &'a [f32],
    grad_shape: Images,
    outputs: Range<usize>,
    inputs: Range<usize>,
    kernel: usize,
}

impl WithSimd for Unit<'_> {
    /// `[outputs, inputs, kernel, kernel]`
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 4, 6>(simd)
        } else {
            self.run::<S, 3, 4>(simd)
        }
    }
}

impl Unit<'_> {
    /// Tiles of `A` output channels and `B` columns (input channel, ky, kx).
    #[inline(always)]
    fn run<S: Simd, const A: usize, const B: usize>(self, simd: S) -> Vec<f32> {
        let outputs = self.outputs.len();
        let columns = self.inputs.len() * self.kernel * self.kernel;
        let (tiles_a, tiles_b) = (outputs.div_ceil(A), columns.div_ceil(B));
        let mut sums = vec![[[simd.splat_f32s(0.0); B]; A]; tiles_a * tiles_b];
        let (mut patches, mut grad_patches) = (Patches::default(), Patches::default());
        let (mut panel, mut grad_panel) = (Buffer::default(), Buffer::default());
        for block in Block::divide(self.x_shape, 0..self.x_shape.batch, BLOCK_PIXELS, 1) {
            let pixels = block.images.len() * block.rows.len() * self.x_shape.width;
            let length = pixels.div_ceil(S::F32_LANES);
            let width = length * S::F32_LANES;
            patches.gather(
                self.x,
                self.x_shape,
                self.inputs.clone(),
                self.kernel,
                &block,
                S::F32_LANES,
            );
            grad_patches.gather(
                self.grad,
                self.grad_shape,
                self.outputs.clone(),
                1,
                &block,
                S::F32_LANES,
            );
            let panel = panel.get(tiles_b * B * width);
            let grad_panel = grad_panel.get(tiles_a * A * width);
            patches.pack(self.x, 0, width, panel);
            grad_patches.pack(self.grad, 0, width, grad_panel);
            // Rows that fill up the last tile.
            panel[columns * width..].fill(0.0);
            grad_panel[outputs * width..].fill(0.0);
            let (panel, _) = S::as_simd_f32s(panel);
            let (grad_panel, _) = S::as_simd_f32s(grad_panel);
            for (b, sums) in sums.chunks_exact_mut(tiles_a).enumerate() {
                let panel = &panel[b * B * length..];
                for (a, sums) in sums.iter_mut().enumerate() {
                    let grad_panel = &grad_panel[a * A * length..];
                    multiply_rows(simd, grad_panel, panel, length, sums);
                }
            }
        }
        let mut values = vec![0.0; outputs * columns];
        for (i, sums) in sums.iter().enumerate() {
            let (b, a) = (i / tiles_a * B, i % tiles_a * A);
            for (a, sums) in (a..outputs).zip(sums) {
                for (b, &sum) in (b..columns).zip(sums) {
                    values[a * columns + b] = simd.reduce_sum_f32s(sum);
                }
            }
        }
        values
    }
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

/// `sums[a][b] += a[a] · b[b]`, lane by lane along the rows of two matrices whose rows have `length` vectors; the sum
/// of a result's lanes is the product of the rows.
#[inline(always)]
fn multiply_rows<S: Simd, const A: usize, const B: usize>(
    simd: S,
    a: &[S::f32s],
    b: &[S::f32s],
    length: usize,
    sums: &mut [[S::f32s; B]; A],
) {
    // Slices of the same length, which the compiler can see, so that the loop checks no bounds.
    let mut a_rows = [&a[..length]; A];
    for (i, row) in a_rows.iter_mut().enumerate() {
        *row = &a[i * length..][..length];
    }
    let mut b_rows = [&b[..length]; B];
    for (i, row) in b_rows.iter_mut().enumerate() {
        *row = &b[i * length..][..length];
    }
    let mut kept = *sums;
    for i in 0..length {
        let mut column = [simd.splat_f32s(0.0); B];
        for (value, row) in column.iter_mut().zip(b_rows) {
            *value = row[i];
        }
        for (sums, row) in kept.iter_mut().zip(a_rows) {
            let a = row[i];
            for (sum, &b) in sums.iter_mut().zip(&column) {
                *sum = simd.mul_add_e_f32s(a, b, *sum);
            }
        }
    }
    *sums = kept;
}
