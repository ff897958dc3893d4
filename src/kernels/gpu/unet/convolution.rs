//! Convolutions: of an image that is normalised and activated while it is read, and of one that is not activated.
//!
//! Weights are `[inputs, taps, outputs]`, with outputs in vectors and filled up to whole cubes. What is learned for each
//! channel is in another buffer: the scales and shifts of the normalisation, and the bias.

use burn_cubecl::cubecl::{self, prelude::*};

use super::super::grid::cube_index;
use super::statistics::{Normed, fill_table};
use super::tile::{
    DOUBLED, HALVED, OUTPUTS, Place, STRIP, Sizes, Strip, THREADS, VECTOR, add_products, finish,
    output_vectors, place, strip, zeros,
};

/// Input channels that are in shared memory at a time.
const DEPTH: usize = 8;
/// Side of the kernel.
const TAPS: usize = 3;
/// Pixels of the largest tile with a border.
const AREA: usize = 100;
/// Pixels that a thread reads of a tile with its border.
const PASSES: usize = 2;
/// Pixels of a row that a strip of the result sees.
const SEEN: usize = STRIP + TAPS - 1;

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
        let strip = strip(sizes.side);
        let corner = strip.down * edge + strip.across;
        let mut at = place.output / VECTOR + strip.vector;
        let mut seen = Array::<f32>::new(SEEN);
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
                let mut start = input * AREA + corner;
                if chunk + input < normed_channels {
                    for _row in 0..TAPS {
                        #[unroll]
                        for column in 0..SEEN {
                            seen[column] = patch[start + column];
                        }
                        #[unroll]
                        for column in 0..TAPS {
                            add_products::<E>(&mut sums, weights[at], &seen, comptime!(column));
                            at += vectors;
                        }
                        start += edge;
                    }
                } else {
                    #[unroll]
                    for column in 0..STRIP {
                        seen[column] = patch[start + edge + 1 + column];
                    }
                    add_products::<E>(&mut sums, weights[at], &seen, 0usize);
                    at += vectors;
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

/// The places in a plane of the pixels that a strip of the result sees through one tap, and how much of each counts: all or,
/// beyond the image, nothing.
#[cube]
fn tapped_pixels(
    from: &mut Array<usize>,
    share: &mut Array<f32>,
    normed: &Normed,
    sizes: &Sizes,
    moves: &Moves,
    place: &Place,
    strip: &Strip,
    tap_y: usize,
    tap_x: usize,
) {
    let times = select(moves.resample == DOUBLED, 2usize, 1usize);
    let y = (place.top + strip.down).min(sizes.height - 1);
    // Above and left of the image, these wrap around to more than any size.
    let seen_y = y * moves.stride + tap_y - moves.border;
    #[unroll]
    for pixel in 0..STRIP {
        let x = (place.left + strip.across + pixel).min(sizes.width - 1);
        let seen_x = x * moves.stride + tap_x - moves.border;
        let inside = seen_y < normed.height * times && seen_x < normed.width * times;
        let at = seen_y / times * normed.width + seen_x / times;
        from[pixel] = select(inside, at, 0usize);
        share[pixel] = select(inside, 1.0f32, 0.0f32);
    }
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
        let strip = strip(sizes.side);
        let mut from = Array::<usize>::new(STRIP);
        let mut share = Array::<f32>::new(STRIP);
        let mut values = Array::<f32>::new(STRIP);
        for tap_y in 0..moves.taps {
            for tap_x in 0..moves.taps {
                tapped_pixels(
                    &mut from, &mut share, &normed, &sizes, &moves, &place, &strip, tap_y, tap_x,
                );
                let tap = tap_y * moves.taps + tap_x;
                let mut at = tap * vectors + place.output / VECTOR + strip.vector;
                let mut plane = place.row * normed.first * step;
                for input in 0..normed.first {
                    #[unroll]
                    for pixel in 0..STRIP {
                        let value = f32::cast_from(x[plane + from[pixel]]);
                        let value = value * table[2 * input] + table[2 * input + 1];
                        values[pixel] = value * share[pixel];
                    }
                    add_products::<E>(&mut sums, weights[at], &values, 0usize);
                    plane += step;
                    at += taps * vectors;
                }
            }
        }
        finish::<E>(&sums, affine, rest, y, &mut shared, scratch, &sizes, &place);
    }
}
