//! Convolutions: of an image that is normalised and activated while it is read, and of one that is not activated.
//!
//! Weights are `[inputs, taps, outputs]`, with outputs in vectors and filled up to whole cubes. What is learned for each
//! channel is in another buffer: the scales and shifts of the normalisation, and the bias.

use burn_cubecl::cubecl::{self, prelude::*};

use super::super::grid::cube_index;
use super::statistics::{Normed, fill_table};
use super::tile::{
    DOUBLED, HALVED, OUTPUTS, Place, Sizes, THREADS, VECTOR, add_product, finish, output_vectors,
    place, zeros,
};

/// Input channels that are in shared memory at a time.
const DEPTH: usize = 8;
/// Side of the kernel.
const TAPS: usize = 3;
/// Pixels of the largest tile with a border.
const AREA: usize = 100;
/// Pixels that a thread reads of a tile with its border.
const PASSES: usize = 2;

/// conv3×3(resample(silu(norm(x)))), and what is added. `first`, `other`: x, in two parts where it has two; with a rest,
/// `other` and `third` are that of it. `affine`: scales, shifts and the bias; `resample`: PLAIN, HALVED or DOUBLED, with
/// which no rest is projected; `room`: channels that there is room for.
///
/// The weights of a projected rest follow those of x: to this kernel its channels are more channels of x, which are not
/// normalised and of which it sees only the pixel itself.
#[cube(launch_unchecked)]
pub(super) fn normalized_convolution<E: Float>(
    first: &[E],
    other: &[E],
    third: &[E],
    affine: &[E],
    weights: &[Vector<E, Const<4>>],
    scratch: &mut [f32],
    y: &mut [E],
    normed: Normed,
    sizes: Sizes,
    resample: usize,
    #[comptime] room: usize,
) {
    let mut table = Shared::<[f32]>::new_slice(comptime!(2 * room));
    let mut patch = Shared::<[f32]>::new_slice(comptime!((DEPTH * AREA).max(OUTPUTS * THREADS)));
    let place = place(&sizes, cube_index());
    if place.row < sizes.rows {
        fill_table::<E>(&mut table, scratch, affine, &normed, place.row * sizes.row);
        let mut from = Array::<usize>::new(PASSES);
        let mut inside = Array::<bool>::new(PASSES);
        seen_pixels(&mut from, &mut inside, &normed, &sizes, &place, resample);
        let mut sums = zeros();
        let vectors = output_vectors(sizes.outputs);
        let normed_channels = normed.first + normed.second;
        let channels = normed_channels + sizes.rest_first + sizes.rest_second;
        let edge = sizes.side + 2;
        let corner = place.down.min(sizes.side - 1) * edge + place.across;
        let mut at = place.output / VECTOR;
        let mut chunk = 0usize;
        while chunk < channels {
            let depth = (channels - chunk).min(DEPTH);
            sync_cube();
            for input in 0..depth {
                fill_patch::<E>(
                    &mut patch,
                    &table,
                    first,
                    other,
                    third,
                    &normed,
                    &sizes,
                    &place,
                    &from,
                    &inside,
                    chunk + input,
                    input,
                    resample,
                );
            }
            sync_cube();
            for input in 0..depth {
                let is_normed = chunk + input < normed_channels;
                let taps = select(is_normed, TAPS, 1usize);
                let mut seen = input * AREA + corner + select(is_normed, 0usize, edge + 1);
                for _row in 0..taps {
                    for column in 0..taps {
                        add_product::<E>(&mut sums, weights, at, patch[seen + column]);
                        at += vectors;
                    }
                    seen += edge;
                }
            }
            chunk += DEPTH;
        }
        finish::<E>(&sums, affine, other, y, &mut patch, scratch, &sizes, &place);
    }
}

/// The places in a plane of the pixels that a thread reads of the tile with its border, and whether they are in the image.
#[cube]
fn seen_pixels(
    from: &mut Array<usize>,
    inside: &mut Array<bool>,
    normed: &Normed,
    sizes: &Sizes,
    place: &Place,
    resample: usize,
) {
    #[unroll]
    for pass in 0..PASSES {
        let slot = UNIT_POS as usize + pass * THREADS;
        // Quicker than a division by a number that the compiler does not know.
        let row = select(sizes.side == 8, slot / 10, slot / 6);
        let column = slot - row * (sizes.side + 2);
        // Above and left of the image, these wrap around to more than any size.
        let y = place.top + row - 1;
        let x = place.left + column - 1;
        inside[pass] = row < sizes.side + 2 && y < sizes.height && x < sizes.width;
        let mut at = y * normed.width + x;
        if resample == DOUBLED {
            at = y / 2 * normed.width + x / 2;
        }
        if resample == HALVED {
            at = 2 * y * normed.width + 2 * x;
        }
        from[pass] = at;
    }
}

/// Reads a channel of the tile and its border, normalised, activated and resampled, or as it is if it is one of the rest.
/// Beyond the image there are zeros.
#[cube]
fn fill_patch<E: Float>(
    patch: &mut Shared<[f32]>,
    table: &Shared<[f32]>,
    first: &[E],
    other: &[E],
    third: &[E],
    normed: &Normed,
    sizes: &Sizes,
    place: &Place,
    from: &Array<usize>,
    inside: &Array<bool>,
    channel: usize,
    input: usize,
    resample: usize,
) {
    let normed_channels = normed.first + normed.second;
    let is_normed = channel < normed_channels;
    let is_first = channel < normed.first;
    // Either the second part of x or the first part of the rest is there.
    let others = normed.first + normed.second + sizes.rest_first;
    let is_other = channel < others;
    let mut plane = place.row * normed.first + channel;
    if !is_first {
        plane = place.row * (others - normed.first) + channel - normed.first;
    }
    if !is_other {
        plane = place.row * sizes.rest_second + channel - others;
    }
    let mut scale = 1.0f32;
    let mut shift = 0.0f32;
    if is_normed {
        scale = table[2 * channel];
        shift = table[2 * channel + 1];
    }
    // Pixels that are averaged.
    let edge = select(resample == HALVED, 2usize, 1usize);
    let share = select(resample == HALVED, 0.25f32, 1.0f32);
    #[unroll]
    for pass in 0..PASSES {
        let slot = UNIT_POS as usize + pass * THREADS;
        if slot < (sizes.side + 2) * (sizes.side + 2) {
            let mut sum = 0.0f32;
            if inside[pass] {
                let pixel = plane * normed.height * normed.width + from[pass];
                for row in 0..edge {
                    for column in 0..edge {
                        let at = pixel + row * normed.width + column;
                        let mut value = 0.0f32;
                        if is_first {
                            value += f32::cast_from(first[at]);
                        } else if is_other {
                            value += f32::cast_from(other[at]);
                        } else {
                            value += f32::cast_from(third[at]);
                        }
                        value = value * scale + shift;
                        if is_normed {
                            value /= 1.0 + (-value).exp();
                        }
                        sum += value;
                    }
                }
            }
            patch[input * AREA + slot] = sum * share;
        }
    }
}

/// How a kernel moves over an image.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Moves {
    /// Side of the kernel.
    pub taps: usize,
    /// Rows and columns of the image for one of the result.
    pub stride: usize,
    /// Zeros above and left of the image.
    pub border: usize,
    /// PLAIN, or DOUBLED where the image is doubled first.
    pub resample: usize,
}

/// The convolution of an image, normalised where `normed` has groups, and what is added, which is nothing or an image.
/// `affine`: scales and shifts where it is normalised, and the bias.
#[cube(launch_unchecked)]
pub(super) fn plain_convolution<E: Float>(
    x: &[E],
    rest: &[E],
    affine: &[E],
    weights: &[Vector<E, Const<4>>],
    scratch: &mut [f32],
    y: &mut [E],
    normed: Normed,
    sizes: Sizes,
    moves: Moves,
    #[comptime] room: usize,
) {
    let mut table = Shared::<[f32]>::new_slice(comptime!(2 * room));
    let mut shared = Shared::<[f32]>::new_slice(comptime!(OUTPUTS * THREADS));
    let place = place(&sizes, cube_index());
    if place.row < sizes.rows {
        if normed.members > 0 {
            fill_table::<E>(&mut table, scratch, affine, &normed, place.row * sizes.row);
        } else {
            let mut channel = UNIT_POS as usize;
            while channel < normed.first {
                table[2 * channel] = 1.0;
                table[2 * channel + 1] = 0.0;
                channel += THREADS;
            }
        }
        sync_cube();
        let mut sums = zeros();
        let vectors = output_vectors(sizes.outputs);
        let taps = moves.taps * moves.taps;
        let step = normed.height * normed.width;
        let times = select(moves.resample == DOUBLED, 2usize, 1usize);
        for tap_y in 0..moves.taps {
            for tap_x in 0..moves.taps {
                // Above and left of the image, these wrap around to more than any size.
                let seen_y = place.y * moves.stride + tap_y - moves.border;
                let seen_x = place.x * moves.stride + tap_x - moves.border;
                if seen_y < normed.height * times && seen_x < normed.width * times {
                    let within = seen_y / times * normed.width + seen_x / times;
                    let mut pixel = place.row * normed.first * step + within;
                    let mut at = (tap_y * moves.taps + tap_x) * vectors + place.output / VECTOR;
                    for input in 0..normed.first {
                        let value =
                            f32::cast_from(x[pixel]) * table[2 * input] + table[2 * input + 1];
                        add_product::<E>(&mut sums, weights, at, value);
                        pixel += step;
                        at += taps * vectors;
                    }
                }
            }
        }
        finish::<E>(&sums, affine, rest, y, &mut shared, scratch, &sizes, &place);
    }
}
