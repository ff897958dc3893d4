//! Self-attention of every head, without the matrix of all scores.

use pulp::{Simd, WithSimd};

use super::super::simd::{dispatch, exp};
use super::image::Image;
use super::memory::{Arena, LINE};
use super::product::{Panels, Product};

/// Pixels whose scores are there at a time.
const QUERIES: usize = 64;

/// What every head makes of queries, keys and values, `[.., 3 · channels]`, head after head within each.
pub(crate) fn attend(arena: &mut Arena, qkv: &Image, heads: usize) -> Image {
    let channels = qkv.channels / 3;
    let depth = channels / heads;
    let pixels = qkv.pixels();
    let (step, padded) = (qkv.step(), pixels.next_multiple_of(LINE));
    let mut out = qkv.like(arena, channels, 0);
    let mut scores = arena.take(QUERIES * padded);
    let mut keys = Panels::zeros(1, depth, pixels);
    let mut values = Panels::zeros(1, pixels, depth);
    let scale = 1.0 / libm::sqrtf(depth as f32);
    let (mut places, mut targets) = (Vec::new(), Vec::new());
    let lines: Vec<usize> = (0..QUERIES).map(|i| i * padded).collect();
    for image in 0..qkv.images {
        let first = image * qkv.plane();
        for head in 0..heads {
            let part = |part: usize| first + part * channels + head * depth;
            keys.fill(|_, d, pixel| qkv.values[part(1) + pixel * step + d] * scale);
            values.fill(|_, pixel, d| qkv.values[part(2) + pixel * step + d]);
            for query in (0..pixels).step_by(QUERIES) {
                let queries = query..(query + QUERIES).min(pixels);
                let count = queries.len();
                places.clear();
                targets.clear();
                places.extend(queries.clone().map(|pixel| part(0) + pixel * step));
                targets.extend(
                    queries.map(|pixel| image * out.plane() + pixel * out.step() + head * depth),
                );
                let product = |weights, width| Product {
                    x: &qkv.values,
                    places: &places,
                    taps: &[0],
                    weights,
                    first_tap: 0,
                    bias: None,
                    add: None,
                    out: &mut [],
                    targets: &lines[..count],
                    width,
                };
                Product {
                    out: &mut scores,
                    ..product(&keys, pixels)
                }
                .run();
                dispatch(Softmax {
                    scores: &mut scores[..count * padded],
                    padded,
                    length: pixels,
                });
                Product {
                    x: &scores,
                    places: &lines[..count],
                    out: &mut out.values,
                    targets: &targets,
                    ..product(&values, depth)
                }
                .run();
            }
        }
    }
    arena.give(scores);
    out
}

/// The softmax of the first `length` values of every row, in place.
pub(super) struct Softmax<'a> {
    pub(super) scores: &'a mut [f32],
    pub(super) padded: usize,
    pub(super) length: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for row in self.scores.chunks_exact_mut(self.padded) {
            let (row, _) = row.split_at_mut(self.length);
            let (vectors, rest) = S::as_mut_simd_f32s(row);
            let mut largest = simd.splat_f32s(f32::MIN);
            for &x in vectors.iter() {
                largest = simd.max_f32s(largest, x);
            }
            let largest = rest
                .iter()
                .fold(simd.reduce_max_f32s(largest), |a, &b| a.max(b));
            let largest = simd.splat_f32s(largest);
            let mut sums = simd.splat_f32s(0.0);
            for x in vectors.iter_mut() {
                *x = exp(simd, simd.sub_f32s(*x, largest));
                sums = simd.add_f32s(sums, *x);
            }
            let mut sum = simd.reduce_sum_f32s(sums);
            if !rest.is_empty() {
                let x = simd.sub_f32s(simd.partial_load_f32s(rest), largest);
                simd.partial_store_f32s(rest, exp(simd, x));
                sum += rest.iter().sum::<f32>();
            }
            let unit = simd.splat_f32s(1.0 / sum);
            for x in vectors.iter_mut() {
                *x = simd.mul_f32s(*x, unit);
            }
            let x = simd.mul_f32s(simd.partial_load_f32s(rest), unit);
            simd.partial_store_f32s(rest, x);
        }
    }
}
