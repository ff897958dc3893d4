//! Convolutions of 3×3 by Winograd's minimal filtering, F(4×4, 3×3) of Lavin & Gray 2015 ("Fast Algorithms for Convolutional
//! Neural Networks"): sixteen pixels of the result for 36 products, where the sum itself takes 144.
//!
//! With d the 6×6 pixels under a tile of 4×4 and g the kernel, Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A. The sum over the input
//! channels is taken of the 36 products ⊙, as 36 matrix products of tiles with weights.

use pulp::{Simd, WithSimd};

use super::super::simd::dispatch;
use super::image::Image;
use super::memory::{Arena, LINE, Values};
use super::product::{Panels, Product};

/// Side of a tile of the result, and of the pixels under it.
pub(super) const SIDE: usize = 4;
pub(super) const UNDER: usize = SIDE + 2;
/// Products of a tile.
pub(crate) const PRODUCTS: usize = UNDER * UNDER;
/// Bytes of tiles that are transformed at a time, before and after the products: half of a second-level cache.
const BYTES: usize = 1 << 19;

/// G, for the points 0, ±1, ±2 and ∞.
pub(super) const G: [[f64; 3]; UNDER] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// G g Gᵀ of `[outputs, inputs, 3, 3]`, as the taps of a matrix.
pub(crate) fn transform_weights(weights: &[f32], outputs: usize, inputs: usize) -> Panels {
    let mut transformed = vec![0.0f32; weights.len() * 4];
    let (kernels, _) = weights.as_chunks::<9>();
    for (i, g) in kernels.iter().enumerate() {
        let half: [[f64; 3]; UNDER] = G.map(|row| {
            std::array::from_fn(|x| (0..3).map(|k| row[k] * f64::from(g[3 * k + x])).sum())
        });
        for (y, half) in half.iter().enumerate() {
            for (x, row) in G.iter().enumerate() {
                let value: f64 = (0..3).map(|k| half[k] * row[k]).sum();
                transformed[(y * UNDER + x) * kernels.len() + i] = value as f32;
            }
        }
    }
    Panels::new([PRODUCTS, inputs, outputs], |tap, input, output| {
        transformed[tap * kernels.len() + output * inputs + input]
    })
}

/// Pixels that an image should have, and channels that a layer should have, for the transforms to pay. Natively the larger
/// weights of a small image are not read as fast as they are multiplied with.
const PIXELS: usize = if cfg!(target_family = "wasm") {
    64
} else {
    256
};
pub(crate) const INPUTS: usize = 16;
pub(super) const OUTPUTS: usize = 8;

/// Whether tiles cover images of this height and width.
pub(crate) fn covers(kernel: usize, [height, width]: [usize; 2]) -> bool {
    kernel == 3 && height % SIDE == 0 && width % SIDE == 0
}

/// Whether a convolution of `[outputs, inputs, kernel]` goes this way: tiles cover images of this height and width, and it
/// pays.
pub(super) fn pays([outputs, inputs, kernel]: [usize; 3], [height, width]: [usize; 2]) -> bool {
    covers(kernel, [height, width])
        && height * width >= PIXELS
        && inputs >= INPUTS
        && outputs >= OUTPUTS
}

/// out = bias + x ∗ weights + add; `x` has a border of one pixel.
pub(crate) fn convolve(
    arena: &mut Arena,
    x: &Image,
    weights: &Panels,
    bias: &[f32],
    add: Option<&Image>,
    out: &mut Image,
) {
    let rows = x.step() + out.step();
    let tiles = (BYTES / (PRODUCTS * rows * size_of::<f32>())).max(8) / 8 * 8;
    let all = x.images * x.pixels() / (SIDE * SIDE);
    let parts = all.div_ceil(tiles);
    let tiles = all.div_ceil(parts).next_multiple_of(8);
    // A line more from product to product, so that the same tile of different ones is not in the same place of a cache.
    let (before, after) = (tiles * x.step() + LINE, tiles * out.step() + LINE);
    let mut transformed = arena.take(PRODUCTS * before);
    let mut products = arena.take(PRODUCTS * after);
    let (mut sources, mut targets) = (Vec::new(), Vec::new());
    let places = |step: usize| (0..tiles).map(|i| i * step).collect::<Vec<_>>();
    let (from, to) = (places(x.step()), places(out.step()));
    for first in (0..all).step_by(tiles) {
        let count = tiles.min(all - first);
        sources.clear();
        targets.clear();
        for tile in first..first + count {
            let (image, y, column) = place(x, tile);
            sources.push(x.at(image, y, column) - x.row() - x.step());
            targets.push(out.at(image, y, column));
        }
        dispatch(InputTransform {
            x,
            places: &sources,
            stride: before,
            out: &mut transformed,
        });
        for product in 0..PRODUCTS {
            Product {
                x: &transformed[product * before..],
                places: &from[..count],
                taps: &[0],
                weights,
                first_tap: product,
                bias: None,
                add: None,
                out: &mut products[product * after..][..after],
                targets: &to[..count],
                width: out.step(),
            }
            .run();
        }
        dispatch(OutputTransform {
            products: &products,
            stride: after,
            bias,
            add,
            places: &targets,
            out,
        });
    }
    arena.give(transformed);
    arena.give(products);
}

/// The image, the row and the column at which a tile begins.
pub(super) fn place(x: &Image, tile: usize) -> (usize, usize, usize) {
    let (columns, of_image) = (x.width / SIDE, x.pixels() / (SIDE * SIDE));
    let (image, tile) = (tile / of_image, tile % of_image);
    (image, tile / columns * SIDE, tile % columns * SIDE)
}

/// Bᵀ d B of tiles.
pub(super) struct InputTransform<'a> {
    pub x: &'a Image,
    /// Where the pixels under each tile begin.
    pub places: &'a [usize],
    /// From a product to the next.
    pub stride: usize,
    pub out: &'a mut Values,
}

/// Bᵀ of six vectors.
#[inline(always)]
fn input_transform<S: Simd>(simd: S, d: [S::f32s; UNDER]) -> [S::f32s; UNDER] {
    let two = simd.splat_f32s(2.0);
    let less_four = simd.splat_f32s(-4.0);
    let four = simd.splat_f32s(4.0);
    let less_five = simd.splat_f32s(-5.0);
    let even = simd.mul_add_e_f32s(less_four, d[2], d[4]);
    let odd = simd.mul_add_e_f32s(less_four, d[1], d[3]);
    let far_even = simd.sub_f32s(d[4], d[2]);
    let far_odd = simd.mul_f32s(two, simd.sub_f32s(d[3], d[1]));
    let first = simd.mul_add_e_f32s(less_five, d[2], d[4]);
    let last = simd.mul_add_e_f32s(less_five, d[3], d[5]);
    [
        simd.mul_add_e_f32s(four, d[0], first),
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(far_even, far_odd),
        simd.sub_f32s(far_even, far_odd),
        simd.mul_add_e_f32s(four, d[1], last),
    ]
}

impl WithSimd for InputTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            x,
            places,
            stride,
            out,
        } = self;
        let (row, step, lanes) = (x.row(), x.step(), S::F32_LANES);
        let reach = 5 * row + 6 * step;
        for (tile, &place) in places.iter().enumerate() {
            let source = &x.values[place..][..reach];
            for channel in (0..step).step_by(lanes) {
                let mut half = [[simd.splat_f32s(0.0); UNDER]; UNDER];
                for (column, half) in half.iter_mut().enumerate() {
                    let mut d = [simd.splat_f32s(0.0); UNDER];
                    for (y, d) in d.iter_mut().enumerate() {
                        let at = y * row + column * step + channel;
                        *d = S::as_simd_f32s(&source[at..][..lanes]).0[0];
                    }
                    *half = input_transform(simd, d);
                }
                let first = tile * step + channel;
                for y in 0..UNDER {
                    let mut d = [simd.splat_f32s(0.0); UNDER];
                    for (d, half) in d.iter_mut().zip(&half) {
                        *d = half[y];
                    }
                    for (column, value) in input_transform(simd, d).into_iter().enumerate() {
                        let at = (y * UNDER + column) * stride + first;
                        S::as_mut_simd_f32s(&mut out[at..][..lanes]).0[0] = value;
                    }
                }
            }
        }
    }
}

/// Aᵀ m A of tiles, to their places in the result.
struct OutputTransform<'a> {
    products: &'a Values,
    stride: usize,
    bias: &'a [f32],
    add: Option<&'a Image>,
    places: &'a [usize],
    out: &'a mut Image,
}

/// Aᵀ of six vectors.
#[inline(always)]
fn output_transform<S: Simd>(simd: S, m: [S::f32s; UNDER]) -> [S::f32s; SIDE] {
    let (sum, difference) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (far_sum, far_difference) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    let two = simd.splat_f32s(2.0);
    let four = simd.splat_f32s(4.0);
    let eight = simd.splat_f32s(8.0);
    [
        simd.add_f32s(m[0], simd.add_f32s(sum, far_sum)),
        simd.mul_add_e_f32s(two, far_difference, difference),
        simd.mul_add_e_f32s(four, far_sum, sum),
        simd.add_f32s(m[5], simd.mul_add_e_f32s(eight, far_difference, difference)),
    ]
}

impl WithSimd for OutputTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            products,
            stride,
            bias,
            add,
            places,
            out,
        } = self;
        let (row, step, lanes) = (out.row(), out.step(), S::F32_LANES);
        for channel in (0..step).step_by(lanes) {
            let from = channel.min(bias.len());
            let bias = simd.partial_load_f32s(&bias[from..(from + lanes).min(bias.len())]);
            for (tile, &place) in places.iter().enumerate() {
                let first = tile * step + channel;
                let mut half = [[simd.splat_f32s(0.0); SIDE]; UNDER];
                for (column, half) in half.iter_mut().enumerate() {
                    let mut m = [simd.splat_f32s(0.0); UNDER];
                    for (y, m) in m.iter_mut().enumerate() {
                        let at = (y * UNDER + column) * stride + first;
                        *m = S::as_simd_f32s(&products[at..][..lanes]).0[0];
                    }
                    *half = output_transform(simd, m);
                }
                for y in 0..SIDE {
                    let mut m = [simd.splat_f32s(0.0); UNDER];
                    for (m, half) in m.iter_mut().zip(&half) {
                        *m = half[y];
                    }
                    for (column, value) in output_transform(simd, m).into_iter().enumerate() {
                        let at = place + y * row + column * step + channel;
                        let mut value = simd.add_f32s(value, bias);
                        if let Some(add) = add {
                            let add = S::as_simd_f32s(&add.values[at..][..lanes]).0[0];
                            value = simd.add_f32s(value, add);
                        }
                        S::as_mut_simd_f32s(&mut out.values[at..][..lanes]).0[0] = value;
                    }
                }
            }
        }
    }
}
