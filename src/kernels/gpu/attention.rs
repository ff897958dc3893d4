//! Self-attention over the pixels of an image, in one kernel that never holds the matrix of scores (Dao et al. 2022).

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::allocation::empty_like;

/// Queries of a cube, one for each thread.
const QUERIES: usize = 32;
/// Keys and values that are in shared memory at a time.
const KEYS: usize = 16;
/// The largest depth of a head of which a thread can keep a query and a sum.
const DEEPEST: usize = 128;
/// Components of a vector.
const VECTOR: usize = 4;

/// Whether there is a kernel for heads of this depth.
pub(super) fn attends(depth: usize) -> bool {
    depth.is_multiple_of(VECTOR) && (1..=DEEPEST).contains(&depth)
}

/// softmax(queryᵀ · key / √depth) · value.
///
/// `qkv`: `[batch, 3 · heads · depth, height, width]`, contiguous, with a depth that [`attends`].
pub(super) fn attend(qkv: CubeTensor, heads: usize) -> CubeTensor {
    let [batch, channels, height, width] = qkv.shape().dims();
    let channels = channels / 3;
    let y = empty_like(&qkv, [batch, channels, height, width]);
    let (pixels, depth) = (height * width, channels / heads);
    if batch * pixels == 0 {
        return y;
    }
    let client = qkv.client.clone();
    // SAFETY: the kernel reads and writes within the tensors, whose sizes it is told.
    unsafe {
        attention_kernel::launch_unchecked(
            &client,
            CubeCount::Static(pixels.div_ceil(QUERIES) as u32, heads as u32, batch as u32),
            CubeDim::new_1d(QUERIES as u32),
            qkv.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            pixels,
            1.0 / (depth as f32).sqrt(),
            depth / VECTOR,
        );
    }
    y
}

/// A thread goes through the keys with its query, and keeps the largest score so far, the sum of the weights relative to
/// it, and the sum of the values so weighted.
#[cube(launch_unchecked)]
fn attention_kernel(
    qkv: &[f32],
    y: &mut [f32],
    pixels: usize,
    factor: f32,
    #[comptime] vectors: usize,
) {
    let depth = comptime!(vectors * VECTOR);
    let unit = UNIT_POS as usize;
    let query = CUBE_POS_X as usize * QUERIES + unit;
    let head = CUBE_POS_Y as usize;
    let heads = CUBE_COUNT_Y as usize;
    let row = CUBE_POS_Z as usize;
    let first_query = (row * 3 * heads + head) * depth * pixels;
    let first_key = first_query + heads * depth * pixels;
    let first_value = first_key + heads * depth * pixels;
    // Threads beyond the last pixel do as its thread does, and write nothing.
    let own = query.min(pixels - 1);

    let mut keys = Shared::<[Vector<f32, Const<4>>]>::new_slice(comptime!(KEYS * vectors));
    let mut values = Shared::<[Vector<f32, Const<4>>]>::new_slice(comptime!(KEYS * vectors));
    let mut asked = Array::<Vector<f32, Const<4>>>::new(vectors);
    let mut sums = Array::<Vector<f32, Const<4>>>::new(vectors);
    #[unroll]
    for vector in 0..vectors {
        let mut part = Vector::<f32, Const<4>>::new(0.0);
        #[unroll]
        for i in 0..VECTOR {
            part.insert(
                i,
                qkv[first_query + (vector * VECTOR + i) * pixels + own] * factor,
            );
        }
        asked[vector] = part;
        sums[vector] = Vector::new(0.0);
    }

    let mut largest = f32::new(-1e30);
    let mut weights = 0.0f32;
    let mut first = 0usize;
    while first < pixels {
        sync_cube();
        let mut slot = unit;
        while slot < comptime!(KEYS * vectors) {
            // Threads beside each other read pixels beside each other.
            let pixel = (first + slot % KEYS).min(pixels - 1);
            let vector = slot / KEYS;
            let mut key = Vector::<f32, Const<4>>::new(0.0);
            let mut value = Vector::<f32, Const<4>>::new(0.0);
            #[unroll]
            for i in 0..VECTOR {
                let place = (vector * VECTOR + i) * pixels + pixel;
                key.insert(i, qkv[first_key + place]);
                value.insert(i, qkv[first_value + place]);
            }
            keys[(slot % KEYS) * vectors + vector] = key;
            values[(slot % KEYS) * vectors + vector] = value;
            slot += QUERIES;
        }
        sync_cube();
        let count = (pixels - first).min(KEYS);
        for key in 0..count {
            let mut products = Vector::<f32, Const<4>>::new(0.0);
            #[unroll]
            for vector in 0..vectors {
                products += asked[vector] * keys[key * vectors + vector];
            }
            let mut score = 0.0f32;
            #[unroll]
            for i in 0..VECTOR {
                score += products.extract(i);
            }
            let larger = select(score > largest, score, largest);
            let before = (largest - larger).exp();
            let weight = (score - larger).exp();
            weights = weights * before + weight;
            #[unroll]
            for vector in 0..vectors {
                sums[vector] = sums[vector] * Vector::new(before)
                    + values[key * vectors + vector] * Vector::new(weight);
            }
            largest = larger;
        }
        first += KEYS;
    }

    if query < pixels {
        #[unroll]
        for vector in 0..vectors {
            let mean = sums[vector] / Vector::new(weights);
            #[unroll]
            for i in 0..VECTOR {
                let channel = head * depth + vector * VECTOR + i;
                y[(row * heads * depth + channel) * pixels + query] = mean.extract(i);
            }
        }
    }
}
