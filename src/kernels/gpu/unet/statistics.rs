//! The statistics of group normalisation.
//!
//! A convolution leaves behind, for every channel and every tile of its result, the sum of the values and the sum of their
//! squared distances from their mean. What normalises the result merges those of a group (Chan, Golub & LeVeque 1979), so
//! that no kernel reads an image only to measure it.

use burn_cubecl::cubecl::{self, prelude::*};

/// Numbers that are kept for a channel of a tile.
pub(super) const PER_TILE: usize = 2;

/// Side of the square tiles that images of this size are computed in.
pub(super) fn tile_side(height: usize, width: usize) -> usize {
    if height.min(width) >= 8 { 8 } else { 4 }
}

/// The number of tiles of an image.
pub(super) fn tiles(height: usize, width: usize) -> usize {
    let side = tile_side(height, width);
    height.div_ceil(side) * width.div_ceil(side)
}

/// No modulation of a normalisation.
pub(super) const UNMODULATED: usize = 0;
/// x̂ · (1 + scale) + shift.
pub(super) const SCALE_SHIFT: usize = 1;
/// The normalisation of x + shift.
pub(super) const ADD: usize = 2;

/// What a kernel knows of the images that it reads and may normalise: those of one tensor, or of two whose channels follow
/// each other.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Normed {
    /// Channels of the first tensor.
    pub first: usize,
    /// Channels of the second one, 0 without one.
    pub second: usize,
    pub height: usize,
    pub width: usize,
    /// Side of the tiles that their statistics are of.
    pub side: usize,
    /// Channels of a group, 0 if nothing is normalised.
    pub members: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Where the first tensor's statistics begin in a row of the scratch memory.
    pub first_slot: usize,
    /// Where the second tensor's do.
    pub second_slot: usize,
    /// One of the constants above.
    pub modulated: usize,
    /// Where the modulation begins: scales and then shifts, or shifts alone.
    pub modulation: usize,
}

/// Writes the scale and the shift of every channel into `table`, alternately: a normalised value is value · scale + shift.
/// `affine`: the learned scales, then the learned shifts; `base`: where the row begins in the scratch memory. Threads must be
/// synchronised afterwards.
#[cube]
pub(super) fn fill_table<E: Float>(
    table: &mut Shared<[f32]>,
    scratch: &mut [f32],
    affine: &[E],
    normed: &Normed,
    base: usize,
) {
    let channels = normed.first + normed.second;
    let groups = channels / normed.members;
    let down = normed.height.div_ceil(normed.side);
    let across = normed.width.div_ceil(normed.side);
    let stride = down * across * PER_TILE;
    let pixels = f32::cast_from(normed.height * normed.width);
    let mut group = UNIT_POS as usize;
    while group < groups {
        let begin = group * normed.members;
        let mut total = 0.0f32;
        for member in 0..normed.members {
            let channel = begin + member;
            let place = base + statistics_of(normed, channel, stride);
            for tile in 0..down * across {
                total += scratch[place + tile * PER_TILE];
            }
            total += added_to(scratch, normed, base, channel) * pixels;
        }
        let count = f32::cast_from(normed.members) * pixels;
        let mean = total / count;
        let mut squares = 0.0f32;
        for member in 0..normed.members {
            let channel = begin + member;
            let mut place = base + statistics_of(normed, channel, stride);
            let off = added_to(scratch, normed, base, channel) - mean;
            for row in 0..down {
                let rows = normed.side.min(normed.height - row * normed.side);
                for column in 0..across {
                    let columns = normed.side.min(normed.width - column * normed.side);
                    let pixels = f32::cast_from(rows * columns);
                    let distance = scratch[place] / pixels + off;
                    squares += scratch[place + 1] + pixels * distance * distance;
                    place += PER_TILE;
                }
            }
        }
        let factor = 1.0 / (squares / count + normed.epsilon).sqrt();
        for member in 0..normed.members {
            let channel = begin + member;
            let mut scale = factor * f32::cast_from(affine[channel]);
            let mut shift = f32::cast_from(affine[channels + channel]) - mean * scale;
            if normed.modulated == SCALE_SHIFT {
                let at = base + normed.modulation + channel;
                let more = 1.0 + scratch[at];
                scale *= more;
                shift = shift * more + scratch[at + channels];
            }
            shift += added_to(scratch, normed, base, channel) * scale;
            table[2 * channel] = scale;
            table[2 * channel + 1] = shift;
        }
        group += CUBE_DIM as usize;
    }
}

/// Where a channel's statistics begin in a row.
#[cube]
fn statistics_of(normed: &Normed, channel: usize, stride: usize) -> usize {
    if channel < normed.first {
        normed.first_slot + channel * stride
    } else {
        normed.second_slot + (channel - normed.first) * stride
    }
}

/// What is added to a channel before it is normalised.
#[cube]
fn added_to(scratch: &mut [f32], normed: &Normed, base: usize, channel: usize) -> f32 {
    let mut added = 0.0f32;
    if normed.modulated == ADD {
        added = scratch[base + normed.modulation + channel];
    }
    added
}
