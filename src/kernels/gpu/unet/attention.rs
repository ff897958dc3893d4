//! Self-attention over the pixels of an image, in one kernel that never holds the matrix of scores (Dao et al. 2022).

use burn_cubecl::cubecl::{self, prelude::*};

use super::super::grid::cube_index;

/// Queries of a cube, one for each thread.
pub(super) const QUERIES: usize = 32;
/// Components of the result that a thread computes.
pub(super) const COMPONENTS: usize = 8;
/// Keys at a time.
const KEYS: usize = 4;

/// softmax(queryᵀ · key / √depth) · value.
///
/// `qkv`: `[rows, 3 · heads · depth, pixels]`, query, key and value, and within each head after head; `y`:
/// `[rows, heads · depth, pixels]`. A thread goes through the keys with its query, and keeps the largest score so far, the
/// sum of the weights relative to it, and the sum of some components of the values so weighted.
#[cube(launch_unchecked)]
pub(super) fn attention<E: Float>(
    qkv: &[E],
    y: &mut [E],
    rows: usize,
    heads: usize,
    depth: usize,
    pixels: usize,
    factor: f32,
) {
    let parts = depth.div_ceil(COMPONENTS);
    let blocks = pixels.div_ceil(QUERIES);
    let index = cube_index();
    let component = index % parts * COMPONENTS;
    let query = index / parts % blocks * QUERIES + UNIT_POS as usize;
    let head = index / (parts * blocks) % heads;
    let row = index / (parts * blocks * heads);
    if row < rows && query < pixels {
        let first_query = (row * 3 * heads + head) * depth * pixels;
        let first_key = first_query + heads * depth * pixels;
        let first_value = first_key + heads * depth * pixels;
        let mut sums = Array::<f32>::new(COMPONENTS);
        #[unroll]
        for i in 0..COMPONENTS {
            sums[i] = 0.0;
        }
        let mut largest = f32::new(-1e30);
        let mut weights = 0.0f32;
        let mut first = 0usize;
        while first < pixels {
            let mut scores = Array::<f32>::new(KEYS);
            #[unroll]
            for key in 0..KEYS {
                scores[key] = 0.0;
            }
            for i in 0..depth {
                let asked = f32::cast_from(qkv[first_query + i * pixels + query]) * factor;
                let at = first_key + i * pixels;
                #[unroll]
                for key in 0..KEYS {
                    let place = at + (first + key).min(pixels - 1);
                    scores[key] += asked * f32::cast_from(qkv[place]);
                }
            }
            let mut larger = largest;
            #[unroll]
            for key in 0..KEYS {
                // Beyond the last key nothing has weight.
                scores[key] = select(first + key < pixels, scores[key], f32::new(-1e30));
                larger = larger.max(scores[key]);
            }
            let before = (largest - larger).exp();
            weights *= before;
            #[unroll]
            for key in 0..KEYS {
                scores[key] = (scores[key] - larger).exp();
                weights += scores[key];
            }
            #[unroll]
            for i in 0..COMPONENTS {
                let at = first_value + (component + i).min(depth - 1) * pixels;
                let mut sum = sums[i] * before;
                #[unroll]
                for key in 0..KEYS {
                    let place = at + (first + key).min(pixels - 1);
                    sum += scores[key] * f32::cast_from(qkv[place]);
                }
                sums[i] = sum;
            }
            largest = larger;
            first += KEYS;
        }
        #[unroll]
        for i in 0..COMPONENTS {
            if component + i < depth {
                let channel = head * depth + component + i;
                let at = (row * heads * depth + channel) * pixels + query;
                y[at] = E::cast_from(sums[i] / weights);
            }
        }
    }
}
