//! Convolutions of 3×3 by Winograd's minimal filtering, F(2×2, 3×3) of Lavin & Gray 2015 ("Fast Algorithms for
//! Convolutional Neural Networks"): four pixels of the result for 16 products, where the sum itself takes 36.
//!
//! With d the 4×4 pixels under a tile of 2×2 and g the kernel, Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A. The sum over the input
//! channels is taken of the 16 products ⊙, as 16 matrix products of weights with tiles.

use pulp::{Simd, WithSimd};

use super::buffer::Buffer;
use super::partition::{self, Algorithm, WorkUnit};
use super::patches::{Block, Images, run_length};
use super::simd::dispatch;
use super::threads;
use super::tile::{self, VECTORS};
use super::weights::Weights;
use super::winograd_transforms::{
    Target, split_columns, store, transform_kernels, transform_tiles,
};

/// Products of a tile.
pub(super) const PRODUCTS: usize = 16;
/// Pixels of the blocks that are transformed at a time.
const BLOCK_PIXELS: usize = 1024;
/// Pixels that a unit of work should at least have.
const UNIT_PIXELS: usize = 256;

/// Pixels that an image should have. In wasm a vector holds four tiles, which is an image of 4×4, and a step of batch 16
/// takes 12 % less with those; with the wider vectors of a CPU they would be mostly empty.
const IMAGE_PIXELS: usize = if cfg!(target_family = "wasm") { 16 } else { 64 };

/// Whether a convolution should go this way: it has tiles, and enough of them to pay for transforming its weights.
pub(super) fn pays(shape: Images, weights: Weights<'_>) -> bool {
    let Images { height, width, .. } = shape;
    weights.kernel == 3
        && height % 2 == 0
        && width % 2 == 0
        && shape.pixels() >= IMAGE_PIXELS
        && weights.inputs >= 16
        && weights.outputs >= 16
}

/// As [`convolve`](super::direct::convolve), for a convolution for which it [`pays`].
pub(super) fn convolve(
    x: &[f32],
    shape: Images,
    weights: Weights<'_>,
    packed: &TransformedWeights,
) -> Vec<f32> {
    // Channels are not divided: every part would transform the same tiles.
    partition::compute(x, shape, weights, packed, UNIT_PIXELS, false)
}

/// G g Gᵀ, in the order in which tiles read it: `[tiles of channels][products][inputs][channels]`, the last tile
/// filled up with zeros.
#[derive(Debug)]
pub struct TransformedWeights {
    values: Vec<f32>,
    channels: usize,
}

impl TransformedWeights {
    pub(super) fn new(weights: Weights<'_>) -> Self {
        dispatch(Transform(weights))
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }
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

#[derive(Default)]
pub(super) struct Scratch {
    split: Vec<f32>,
    tiles: Vec<usize>,
    transformed: Buffer,
    products: Buffer,
}

impl Algorithm for TransformedWeights {
    type Scratch = Scratch;

    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn run<S: Simd, const CHANNELS: usize>(unit: WorkUnit<'_, Self>, simd: S) {
        let WorkUnit { shape, weights, .. } = unit;
        let Scratch {
            split,
            tiles,
            transformed,
            products,
        } = unit.scratch;
        let lanes = S::F32_LANES;
        let width = VECTORS * lanes;
        let inputs = weights.inputs;
        let pixels = shape.pixels();
        // Tiles that are certainly of one row of one image.
        let run = run_length(shape.width / 2, lanes);
        let transformed = transformed.get(PRODUCTS * inputs * width);
        let products = products.get(PRODUCTS * CHANNELS * width);
        for block in Block::divide(shape, unit.images.clone(), BLOCK_PIXELS, 2) {
            let layout = split_columns(unit.x, shape, inputs, &block, split);
            let tile_rows = block.rows.len() / 2;
            tiles.clear();
            let mut places = Vec::new();
            for n in 0..block.images.len() {
                let image = block.images.start + n - unit.images.start;
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
                for (tile, weights) in unit.packed.values.chunks_exact(size).enumerate() {
                    multiply::<S, CHANNELS>(simd, weights, transformed, inputs, products);
                    let first = tile * CHANNELS;
                    let kept = CHANNELS.min(unit.weights.outputs - first);
                    for c in 0..kept {
                        let bias = unit.weights.bias.map_or(0.0, |bias| bias[first + c]);
                        let at = (first + c) * pixels;
                        let product = &products[c * width..];
                        let stride = CHANNELS * width;
                        let target = Target {
                            bias,
                            at,
                            row: shape.width,
                            run,
                        };
                        store(simd, product, stride, target, places, unit.out);
                    }
                }
            }
        }
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
