//! Convolutions of 3×3 by Winograd's minimal filtering, F(2×2, 3×3) of Lavin & Gray 2015 ("Fast Algorithms for
//! Convolutional Neural Networks"): four pixels of the result for 16 products, where the sum itself takes 36.
//!
//! With d the 4×4 pixels under a tile of 2×2 and g the kernel, Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A. The sum over the input
//! channels is taken of the 16 products ⊙, as 16 matrix products of weights with tiles.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::buffer::Buffer;
use super::convolution::Weights;
use super::patches::{Block, Images, run_length};
use super::simd::dispatch;
use super::threads;
use super::tile::{self, VECTORS};

/// Products of a tile.
const PRODUCTS: usize = 16;
/// Pixels of the blocks that are transformed at a time.
const BLOCK_PIXELS: usize = 1024;
/// Pixels that a unit of work should at least have.
const UNIT_PIXELS: usize = 256;

/// Whether a convolution should go this way: it has tiles, and enough of them to pay for transforming its weights.
pub(super) fn pays(shape: Images, weights: Weights<'_>) -> bool {
    let Images { height, width, .. } = shape;
    weights.kernel == 3
        && height % 2 == 0
        && width % 2 == 0
        && shape.pixels() >= 64
        && weights.inputs >= 16
        && weights.outputs >= 16
}

/// As [`super::convolution::convolve`], for a convolution for which it [`pays`].
pub(super) fn convolve(x: &[f32], shape: Images, weights: Weights<'_>) -> Vec<f32> {
    let mut out = vec![0.0; shape.with_channels(weights.outputs).len()];
    let packed = dispatch(Transform(weights));
    let images = (UNIT_PIXELS / shape.pixels()).clamp(1, shape.batch.max(1));
    let size = images * weights.outputs * shape.pixels();
    threads::for_each_chunk(&mut out, size, |scratch: &mut Scratch, i, out| {
        dispatch(Unit {
            x,
            shape,
            weights,
            packed: &packed,
            images: i * images..((i + 1) * images).min(shape.batch),
            scratch,
            out,
        });
    });
    out
}

/// G g Gᵀ, in the order in which tiles read it: `[tiles of channels][products][inputs][channels]`, the last tile
/// filled up with zeros.
struct TransformedWeights {
    values: Vec<f32>,
    channels: usize,
}

struct Transform<'a>(Weights<'a>);

impl WithSimd for Transform<'_> {
    type Output = TransformedWeights;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> TransformedWeights {
        let weights = self.0;
        let channels = tile::channels::<S>(weights.outputs);
        let tiles = weights.outputs.div_ceil(channels);
        let plane = weights.inputs * channels;
        let mut values = vec![0.0; tiles * PRODUCTS * plane];
        threads::for_each_chunk(
            &mut values,
            PRODUCTS * plane,
            |kernels: &mut Vec<f32>, tile, values| {
                let first = tile * channels;
                // The kernels of the tile, `[9][inputs][channels]`.
                kernels.clear();
                kernels.resize(9 * plane, 0.0);
                for c in 0..channels.min(weights.outputs - first) {
                    let source = &weights.values[(first + c) * weights.inputs * 9..];
                    let (source, _) = source.as_chunks::<9>();
                    for (input, kernel) in source.iter().take(weights.inputs).enumerate() {
                        for (k, &value) in kernel.iter().enumerate() {
                            kernels[k * plane + input * channels + c] = value;
                        }
                    }
                }
                transform_kernels(kernels, plane, values);
            },
        );
        TransformedWeights { values, channels }
    }
}

/// G g Gᵀ of `[9][plane]`: `[16][plane]`.
#[inline(always)]
fn transform_kernels(kernels: &[f32], plane: usize, values: &mut [f32]) {
    for i in 0..plane {
        let g = |row: usize, column: usize| kernels[(row * 3 + column) * plane + i];
        // G g, of 4 rows and 3 columns.
        let mut half = [[0.0; 3]; 4];
        for column in 0..3 {
            let (top, middle, bottom) = (g(0, column), g(1, column), g(2, column));
            half[0][column] = top;
            half[1][column] = 0.5 * (top + middle + bottom);
            half[2][column] = 0.5 * (top - middle + bottom);
            half[3][column] = bottom;
        }
        for (row, [left, middle, right]) in half.into_iter().enumerate() {
            let mut put = |column: usize, value: f32| {
                values[(row * 4 + column) * plane + i] = value;
            };
            put(0, left);
            put(1, 0.5 * (left + middle + right));
            put(2, 0.5 * (left - middle + right));
            put(3, right);
        }
    }
}

#[derive(Default)]
struct Scratch {
    split: Vec<f32>,
    tiles: Vec<usize>,
    transformed: Buffer,
    products: Buffer,
}

/// Some images.
struct Unit<'a> {
    x: &'a [f32],
    shape: Images,
    weights: Weights<'a>,
    packed: &'a TransformedWeights,
    images: Range<usize>,
    scratch: &'a mut Scratch,
    /// `[images, outputs, height, width]`
    out: &'a mut [f32],
}

impl WithSimd for Unit<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        tile::with_channels!(S, self.packed.channels, CHANNELS => self.run::<S, CHANNELS>(simd));
    }
}

/// Where the pixels of a block are after their columns were split into even and odd ones.
#[derive(Clone, Copy)]
struct Split {
    /// Columns of either kind.
    columns: usize,
    /// From a row to the next, from a channel to the next.
    row: usize,
    plane: usize,
}

impl Unit<'_> {
    #[inline(always)]
    fn run<S: Simd, const CHANNELS: usize>(self, simd: S) {
        let Self { shape, weights, .. } = self;
        let Scratch {
            split,
            tiles,
            transformed,
            products,
        } = self.scratch;
        let lanes = S::F32_LANES;
        let width = VECTORS * lanes;
        let inputs = weights.inputs;
        let pixels = shape.pixels();
        // Tiles that are certainly of one row of one image.
        let run = run_length(shape.width / 2, lanes);
        let transformed = transformed.get(PRODUCTS * inputs * width);
        let products = products.get(PRODUCTS * CHANNELS * width);
        for block in Block::divide(shape, self.images.clone(), BLOCK_PIXELS, 2) {
            let layout = split_columns(self.x, shape, inputs, &block, split);
            let tile_rows = block.rows.len() / 2;
            tiles.clear();
            let mut places = Vec::new();
            for n in 0..block.images.len() {
                let image = block.images.start + n - self.images.start;
                for row in 0..tile_rows {
                    for column in (0..shape.width / 2).step_by(run) {
                        tiles.push(n * inputs * layout.plane + 2 * row * layout.row + column);
                        let y = block.rows.start + 2 * row;
                        places
                            .push(image * weights.outputs * pixels + y * shape.width + 2 * column);
                    }
                }
            }
            let panel = width / run;
            for (tiles, places) in tiles.chunks(panel).zip(places.chunks(panel)) {
                transform_tiles(simd, split, layout, tiles, run, inputs, transformed);
                let size = PRODUCTS * inputs * CHANNELS;
                for (tile, weights) in self.packed.values.chunks_exact(size).enumerate() {
                    multiply::<S, CHANNELS>(simd, weights, transformed, inputs, products);
                    let first = tile * CHANNELS;
                    let kept = CHANNELS.min(self.weights.outputs - first);
                    for c in 0..kept {
                        let bias = self.weights.bias.map_or(0.0, |bias| bias[first + c]);
                        let at = (first + c) * pixels;
                        let product = &products[c * width..];
                        let stride = CHANNELS * width;
                        let result = Result {
                            bias,
                            at,
                            row: shape.width,
                            run,
                        };
                        store(simd, product, stride, result, places, self.out);
                    }
                }
            }
        }
    }
}

/// Copies a block with a border of one pixel, every row as its even columns and then its odd ones: a tile and the next
/// ones then lie beside each other.
#[inline(always)]
fn split_columns(
    x: &[f32],
    shape: Images,
    inputs: usize,
    block: &Block,
    split: &mut Vec<f32>,
) -> Split {
    let columns = shape.width / 2 + 1;
    let row = 2 * columns;
    let plane = (block.rows.len() + 2) * row;
    split.resize(block.images.len() * inputs * plane, 0.0);
    let first = block.images.start * inputs;
    for (i, target) in split.chunks_exact_mut(plane).enumerate() {
        let source = &x[(first + i) * shape.pixels()..][..shape.pixels()];
        for (y, target) in target.chunks_exact_mut(row).enumerate() {
            // The row of the image, one too many.
            let y = block.rows.start + y;
            if y == 0 || y > shape.height {
                target.fill(0.0);
                continue;
            }
            let (pairs, _) = source[(y - 1) * shape.width..][..shape.width].as_chunks::<2>();
            // With the border, the image's even columns are odd ones.
            let (even, odd) = target.split_at_mut(columns);
            even[0] = 0.0;
            odd[columns - 1] = 0.0;
            for ((even, odd), &[a, b]) in even[1..].iter_mut().zip(odd).zip(pairs) {
                *odd = a;
                *even = b;
            }
        }
    }
    Split {
        columns,
        row,
        plane,
    }
}

/// Bᵀ d B of a panel of tiles: `[products][inputs][VECTORS]` vectors.
#[inline(always)]
fn transform_tiles<S: Simd>(
    simd: S,
    split: &[f32],
    layout: Split,
    tiles: &[usize],
    run: usize,
    inputs: usize,
    transformed: &mut [f32],
) {
    let lanes = S::F32_LANES;
    let (transformed, _) = S::as_mut_simd_f32s(transformed);
    let runs = lanes / run;
    for vector in 0..VECTORS {
        let first = (vector * runs).min(tiles.len());
        let tiles = &tiles[first..(first + runs).min(tiles.len())];
        for input in 0..inputs {
            let source = &split[input * layout.plane..];
            let mut d = [[simd.splat_f32s(0.0); 4]; 4];
            for (y, d) in d.iter_mut().enumerate() {
                for (x, d) in d.iter_mut().enumerate() {
                    let at = y * layout.row + x % 2 * layout.columns + x / 2;
                    *d = load_runs(simd, &source[at..], tiles, run);
                }
            }
            // Bᵀ d, then its rows by B.
            let mut half = d;
            for x in 0..4 {
                half[0][x] = simd.sub_f32s(d[0][x], d[2][x]);
                half[1][x] = simd.add_f32s(d[1][x], d[2][x]);
                half[2][x] = simd.sub_f32s(d[2][x], d[1][x]);
                half[3][x] = simd.sub_f32s(d[1][x], d[3][x]);
            }
            for (y, row) in half.iter().enumerate() {
                let at = |x: usize| ((y * 4 + x) * inputs + input) * VECTORS + vector;
                transformed[at(0)] = simd.sub_f32s(row[0], row[2]);
                transformed[at(1)] = simd.add_f32s(row[1], row[2]);
                transformed[at(2)] = simd.sub_f32s(row[2], row[1]);
                transformed[at(3)] = simd.sub_f32s(row[1], row[3]);
            }
        }
    }
}

/// A vector of runs from several places; lanes after the last are 0.
#[inline(always)]
fn load_runs<S: Simd>(simd: S, source: &[f32], places: &[usize], run: usize) -> S::f32s {
    if run == S::F32_LANES {
        return match places {
            [place, ..] => S::as_simd_f32s(&source[*place..][..run]).0[0],
            [] => simd.splat_f32s(0.0),
        };
    }
    let mut values = [0.0; 16];
    match run {
        8 => gather::<8>(source, places, &mut values),
        4 => gather::<4>(source, places, &mut values),
        2 => gather::<2>(source, places, &mut values),
        _ => gather::<1>(source, places, &mut values),
    }
    S::as_simd_f32s(&values).0[0]
}

#[inline(always)]
fn gather<const RUN: usize>(source: &[f32], places: &[usize], values: &mut [f32; 16]) {
    for (&place, value) in places.iter().zip(values.as_chunks_mut::<RUN>().0) {
        value.copy_from_slice(&source[place..][..RUN]);
    }
}

/// The 16 matrix products: `[products][CHANNELS][VECTORS]` vectors.
#[inline(always)]
fn multiply<S: Simd, const CHANNELS: usize>(
    simd: S,
    weights: &[f32],
    transformed: &[f32],
    inputs: usize,
    products: &mut [f32],
) {
    let width = VECTORS * S::F32_LANES;
    for ((weights, tiles), product) in weights
        .chunks_exact(inputs * CHANNELS)
        .zip(transformed.chunks_exact(inputs * width))
        .zip(products.chunks_exact_mut(CHANNELS * width))
    {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; CHANNELS];
        tile::multiply(simd, weights, S::as_simd_f32s(tiles).0, &mut sums);
        let (product, _) = S::as_mut_simd_f32s(product);
        for (product, &sum) in product.iter_mut().zip(sums.as_flattened()) {
            *product = sum;
        }
    }
}

/// Where the pixels of a channel go.
#[derive(Clone, Copy)]
struct Result {
    bias: f32,
    at: usize,
    row: usize,
    run: usize,
}

/// Aᵀ m A of one channel of a panel, to its places in the result. The products of a tile are `stride` apart.
#[inline(always)]
fn store<S: Simd>(
    simd: S,
    products: &[f32],
    stride: usize,
    result: Result,
    places: &[usize],
    out: &mut [f32],
) {
    let lanes = S::F32_LANES;
    let bias = simd.splat_f32s(result.bias);
    let runs = lanes / result.run;
    for (vector, places) in places.chunks(runs).enumerate() {
        let mut m = [[simd.splat_f32s(0.0); 4]; 4];
        for (i, m) in m.as_flattened_mut().iter_mut().enumerate() {
            *m = S::as_simd_f32s(&products[i * stride + vector * lanes..][..lanes]).0[0];
        }
        let mut half = [[simd.splat_f32s(0.0); 4]; 2];
        for x in 0..4 {
            let sum = simd.add_f32s(m[1][x], m[2][x]);
            let difference = simd.sub_f32s(m[1][x], m[2][x]);
            half[0][x] = simd.add_f32s(m[0][x], sum);
            half[1][x] = simd.sub_f32s(difference, m[3][x]);
        }
        for (y, row) in half.iter().enumerate() {
            let sum = simd.add_f32s(row[1], row[2]);
            let difference = simd.sub_f32s(row[1], row[2]);
            let left = simd.add_f32s(simd.add_f32s(row[0], sum), bias);
            let right = simd.add_f32s(simd.sub_f32s(difference, row[3]), bias);
            let (mut lefts, mut rights) = ([0.0; 16], [0.0; 16]);
            S::as_mut_simd_f32s(&mut lefts).0[0] = left;
            S::as_mut_simd_f32s(&mut rights).0[0] = right;
            let at = result.at + y * result.row;
            match result.run {
                16 => interleave::<16>(&lefts, &rights, at, places, out),
                8 => interleave::<8>(&lefts, &rights, at, places, out),
                4 => interleave::<4>(&lefts, &rights, at, places, out),
                2 => interleave::<2>(&lefts, &rights, at, places, out),
                _ => interleave::<1>(&lefts, &rights, at, places, out),
            }
        }
    }
}

#[inline(always)]
fn interleave<const RUN: usize>(
    lefts: &[f32; 16],
    rights: &[f32; 16],
    at: usize,
    places: &[usize],
    out: &mut [f32],
) {
    let (lefts, _) = lefts.as_chunks::<RUN>();
    let (rights, _) = rights.as_chunks::<RUN>();
    for ((&place, lefts), rights) in places.iter().zip(lefts).zip(rights) {
        let (pairs, _) = out[at + place..][..2 * RUN].as_chunks_mut::<2>();
        for ((pair, &left), &right) in pairs.iter_mut().zip(lefts).zip(rights) {
            *pair = [left, right];
        }
    }
}
