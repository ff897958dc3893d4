//! Convolutions of stride 1 that keep the size of the image, as an implicit matrix product (Chellapilla et al. 2006,
//! without their copy of the image: a panel of pixels at a time is gathered into the cache).
//!
//! A pixel's sum runs over the input channels and the kernel in a fixed order, whatever the batch, the block and the
//! thread it is computed in.

use pulp::{Simd, WithSimd, bytemuck};

use super::buffer::Buffer;
use super::partition::{self, Algorithm, WorkUnit};
use super::patches::{Block, Images, Patches, run_length};
use super::simd::dispatch;
use super::threads;
use super::tile::{self, VECTORS};
use super::weights::Weights;

/// Pixels of the blocks that are given a border at a time.
const BLOCK_PIXELS: usize = 1024;
/// Bytes of panels that are gathered at a time: within a second-level cache, with room for the weights of a tile.
const PANEL_BYTES: usize = 384 << 10;
/// Pixels that a unit of work should at least have, for its weights to be worth reading.
const UNIT_PIXELS: usize = 64;

/// The convolution of `x` (`[batch, inputs, height, width]`): `[batch, outputs, height, width]`.
pub(super) fn convolve(
    x: &[f32],
    shape: Images,
    weights: Weights<'_>,
    packed: &PackedWeights,
) -> Vec<f32> {
    partition::compute(x, shape, weights, packed, UNIT_PIXELS, true)
}

/// Weights in the order in which tiles read them: `[tiles][rows][channels]`, the last tile filled up with zeros.
#[derive(Debug)]
pub struct PackedWeights {
    values: Vec<f32>,
    channels: usize,
}

impl PackedWeights {
    pub(super) fn new(weights: Weights<'_>) -> Self {
        let channels = dispatch(TileChannels(weights.outputs));
        let tiles = weights.outputs.div_ceil(channels);
        let rows = weights.rows();
        let mut values = vec![0.0; tiles * rows * channels];
        if !values.is_empty() {
            threads::for_each_chunk(&mut values, rows * channels, |(): &mut (), tile, values| {
                let first = tile * channels;
                for c in 0..channels.min(weights.outputs - first) {
                    let source = &weights.values[(first + c) * rows..][..rows];
                    for (target, &source) in values[c..].iter_mut().step_by(channels).zip(source) {
                        *target = source;
                    }
                }
            });
        }
        Self { values, channels }
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// The channels of a tile for so many outputs.
struct TileChannels(usize);

impl WithSimd for TileChannels {
    type Output = usize;

    fn with_simd<S: Simd>(self, _: S) -> usize {
        tile::channels::<S>(self.0)
    }
}

#[derive(Default)]
pub(super) struct Scratch {
    patches: Patches,
    panels: Buffer,
}

impl Algorithm for PackedWeights {
    type Scratch = Scratch;

    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn run<S: Simd, const CHANNELS: usize>(unit: WorkUnit<'_, Self>, simd: S) {
        let width = VECTORS * S::F32_LANES;
        let rows = unit.weights.rows();
        let at_once = (PANEL_BYTES / (rows * width * size_of::<f32>()).max(1)).max(1);
        let Scratch { patches, panels } = unit.scratch;
        let panels = panels.get(at_once * rows * width);
        let pixels = unit.shape.pixels();
        let first_channel = unit.tiles.start * CHANNELS;
        let channels = (unit.tiles.end * CHANNELS).min(unit.weights.outputs) - first_channel;
        for block in Block::divide(unit.shape, unit.images.clone(), BLOCK_PIXELS, 1) {
            patches.gather(
                unit.x,
                unit.shape,
                0..unit.weights.inputs,
                unit.weights.kernel,
                &block,
                width,
            );
            let skipped = (block.images.start - unit.images.start) * channels * pixels
                + block.rows.start * unit.shape.width;
            let plane = block.rows.len() * unit.shape.width;
            for first in (0..patches.pixels()).step_by(at_once * width) {
                let count = (patches.pixels() - first).div_ceil(width).min(at_once);
                for (i, panel) in panels
                    .chunks_exact_mut(rows * width)
                    .take(count)
                    .enumerate()
                {
                    patches.pack(unit.x, first + i * width, width, panel);
                }
                for tile in unit.tiles.clone() {
                    let weights = &unit.packed.values[tile * rows * CHANNELS..][..rows * CHANNELS];
                    let mut start = [[simd.splat_f32s(0.0); VECTORS]; CHANNELS];
                    if let Some(bias) = unit.weights.bias {
                        for (start, &bias) in start.iter_mut().zip(&bias[tile * CHANNELS..]) {
                            *start = [simd.splat_f32s(bias); VECTORS];
                        }
                    }
                    let channel = tile * CHANNELS - first_channel;
                    let kept = CHANNELS.min(channels - channel);
                    for (i, panel) in panels.chunks_exact(rows * width).take(count).enumerate() {
                        let mut sums = start;
                        tile::multiply(simd, weights, S::as_simd_f32s(panel).0, &mut sums);
                        let target = Target {
                            start: skipped + channel * pixels,
                            first: first + i * width,
                            count: width.min(patches.pixels() - first - i * width),
                            plane,
                            image: channels * pixels,
                            channel: pixels,
                            run: run_length(unit.shape.width, width),
                        };
                        store::<S>(&sums[..kept], target, unit.out);
                    }
                }
            }
        }
    }
}

/// Where the pixels of a tile go.
#[derive(Clone, Copy)]
struct Target {
    /// The block's first pixel of the tile's first channel.
    start: usize,
    /// The tile's first pixel within the block, and how many pixels it has.
    first: usize,
    count: usize,
    /// Pixels of one image in the block.
    plane: usize,
    /// From an image to the next, and from a channel to the next.
    image: usize,
    channel: usize,
    /// Pixels that are certainly of one image.
    run: usize,
}

#[inline(always)]
fn store<S: Simd>(sums: &[[S::f32s; VECTORS]], target: Target, out: &mut [f32]) {
    let image = target.first / target.plane;
    let whole = target.first + target.count <= (image + 1) * target.plane;
    let place =
        |pixel: usize| target.start + pixel / target.plane * target.image + pixel % target.plane;
    for (c, sums) in sums.iter().enumerate() {
        if whole && target.count == VECTORS * S::F32_LANES {
            let at = place(target.first) + c * target.channel;
            let out = &mut out[at..][..VECTORS * S::F32_LANES];
            for (out, &sum) in S::as_mut_simd_f32s(out).0.iter_mut().zip(sums) {
                *out = sum;
            }
        } else {
            let values: &[f32] = bytemuck::cast_slice(sums);
            for from in (0..target.count).step_by(target.run) {
                let at = place(target.first + from) + c * target.channel;
                out[at..at + target.run].copy_from_slice(&values[from..from + target.run]);
            }
        }
    }
}
