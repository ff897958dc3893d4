//! The inner loops of the convolutions: a tile of the result kept in registers while the sum runs.

use pulp::Simd;

/// Vectors of pixels in a tile of [`multiply`].
pub(super) const VECTORS: usize = 2;

/// The numbers of output channels that a tile may have, the largest last: what fits the registers beside a weight and
/// the pixels, 12 into AVX-512's and NEON's 32, 6 into AVX2's 16. In wasm an engine gives out the registers, and 3 ran
/// fastest. They are few because each is compiled for each set of instructions.
const fn offered<S: Simd>() -> &'static [usize] {
    if cfg!(target_family = "wasm") {
        &[3]
    } else if S::REGISTER_COUNT >= 32 {
        &[4, 8, 12]
    } else {
        &[3, 6]
    }
}

/// Whether tiles of so many channels are compiled.
pub(super) const fn is_offered<S: Simd>(channels: usize) -> bool {
    let all = offered::<S>();
    let mut i = 0;
    while i < all.len() {
        if all[i] == channels {
            return true;
        }
        i += 1;
    }
    false
}

/// The number of channels of the tiles that compute `outputs` channels with the least left over; the largest of those.
pub(super) fn channels<S: Simd>(outputs: usize) -> usize {
    let tiles = offered::<S>().iter().copied();
    tiles
        .rev()
        .min_by_key(|channels| outputs.next_multiple_of(*channels))
        .unwrap_or(1)
}

/// Evaluates an expression with a constant that is the number of channels of a tile.
macro_rules! with_channels {
    ($simd:ty, $channels:expr, $constant:ident => $body:expr) => {
        match $channels {
            3 if const { crate::kernels::cpu::tile::is_offered::<$simd>(3) } => {
                const $constant: usize = 3;
                $body
            }
            4 if const { crate::kernels::cpu::tile::is_offered::<$simd>(4) } => {
                const $constant: usize = 4;
                $body
            }
            6 if const { crate::kernels::cpu::tile::is_offered::<$simd>(6) } => {
                const $constant: usize = 6;
                $body
            }
            8 if const { crate::kernels::cpu::tile::is_offered::<$simd>(8) } => {
                const $constant: usize = 8;
                $body
            }
            12 if const { crate::kernels::cpu::tile::is_offered::<$simd>(12) } => {
                const $constant: usize = 12;
                $body
            }
            other => unreachable!("a tile of {other} channels"),
        }
    };
}
pub(super) use with_channels;

/// `sums[c] += Σₖ weights[k][c] · pixels[k]`: weights are `[rows][CHANNELS]`, pixels `[rows][VECTORS]` vectors.
#[inline(always)]
pub(super) fn multiply<S: Simd, const CHANNELS: usize>(
    simd: S,
    weights: &[f32],
    pixels: &[S::f32s],
    sums: &mut [[S::f32s; VECTORS]; CHANNELS],
) {
    let (weights, _) = weights.as_chunks::<CHANNELS>();
    let (pixels, _) = pixels.as_chunks::<VECTORS>();
    let mut kept = *sums;
    for (weights, pixels) in weights.iter().zip(pixels) {
        for (sums, &weight) in kept.iter_mut().zip(weights) {
            let weight = simd.splat_f32s(weight);
            for (sum, &pixels) in sums.iter_mut().zip(pixels) {
                *sum = simd.mul_add_e_f32s(weight, pixels, *sum);
            }
        }
    }
    *sums = kept;
}
