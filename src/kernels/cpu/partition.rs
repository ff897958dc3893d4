//! How a convolution is divided into units of work, each for a thread: some images, and where those are too few some of
//! their channels.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::patches::Images;
use super::simd::dispatch;
use super::threads;
use super::tile;
use super::weights::Weights;

/// A way to compute a convolution, with its weights in the order in which tiles of the result read them.
pub(super) trait Algorithm: Sync {
    /// What a thread keeps from one unit to the next.
    type Scratch: Default;

    /// Channels of a tile, one of those that are compiled.
    fn channels(&self) -> usize;

    /// Computes a unit; `CHANNELS` is [`channels`](Self::channels).
    fn run<S: Simd, const CHANNELS: usize>(unit: WorkUnit<'_, Self>, simd: S)
    where
        Self: Sized;
}

/// Some output channels (whole tiles) of some images.
pub(super) struct WorkUnit<'a, A: Algorithm> {
    /// `[batch, inputs, height, width]`, all of it.
    pub x: &'a [f32],
    pub shape: Images,
    pub weights: Weights<'a>,
    pub packed: &'a A,
    pub images: Range<usize>,
    pub tiles: Range<usize>,
    pub scratch: &'a mut A::Scratch,
    /// `[images, channels of the tiles, height, width]`
    pub out: &'a mut [f32],
}

impl<A: Algorithm> WithSimd for WorkUnit<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        tile::with_channels!(S, self.packed.channels(), CHANNELS => A::run::<S, CHANNELS>(self, simd));
    }
}

/// Computes a convolution in units of at least `pixels` pixels, or one image. With `divisible` an image's channels are
/// divided too where there are more threads than units.
pub(super) fn compute<A: Algorithm>(
    x: &[f32],
    shape: Images,
    weights: Weights<'_>,
    packed: &A,
    pixels: usize,
    divisible: bool,
) -> Vec<f32> {
    let length = shape.with_channels(weights.outputs).len();
    if length == 0 {
        return Vec::new();
    }
    let all = weights.outputs.div_ceil(packed.channels());
    let images = (pixels / shape.pixels()).clamp(1, shape.batch);
    let units = shape.batch.div_ceil(images);
    let parts = match images {
        1 if divisible => (threads::count() / units).clamp(1, all),
        _ => 1,
    };
    let tiles = all.div_ceil(parts);
    let unit = |scratch: &mut A::Scratch, images, tiles, out: &mut [f32]| {
        dispatch(WorkUnit {
            x,
            shape,
            weights,
            packed,
            images,
            tiles,
            scratch,
            out,
        });
    };
    if parts == 1 {
        let size = images * weights.outputs * shape.pixels();
        return threads::new_by_chunks(length, size, |scratch, i, out| {
            let images = i * images..((i + 1) * images).min(shape.batch);
            unit(scratch, images, 0..all, out);
        });
    }
    let mut out = vec![0.0; length];
    for (n, out) in out.chunks_mut(weights.outputs * shape.pixels()).enumerate() {
        let size = tiles * packed.channels() * shape.pixels();
        threads::for_each_chunk(out, size, |scratch, i, out| {
            let tiles = i * tiles..((i + 1) * tiles).min(all);
            unit(scratch, n..n + 1, tiles, out);
        });
    }
    out
}
