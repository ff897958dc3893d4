//! The way from latents to what the network reads, and from what it writes to its answer.

use burn_cubecl::cubecl::{self, prelude::*};

use super::super::grid::cube_index;

/// Threads of a cube, one for each value.
pub(super) const THREADS: usize = 64;

/// The sizes of a batch of pictures.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct PictureSizes {
    pub rows: usize,
    pub colors: usize,
    pub height: usize,
    pub width: usize,
    /// Side of the squares of pixels that become one pixel with more channels.
    pub patch: usize,
    /// Numbers of a row in the scratch memory.
    pub row: usize,
    /// Where the factors of the input that is added to the answer begin in a row.
    pub factors: usize,
}

/// Folds the latents of each row's image, `[images, colors, height, width]`, into patches, as `pixel_unshuffle` does. `images`:
/// the image of each row.
#[cube(launch_unchecked)]
pub(super) fn fold<E: Float>(z: &[f32], images: &[u32], x: &mut [E], sizes: PictureSizes) {
    let values = sizes.colors * sizes.height * sizes.width;
    let at = cube_index() * THREADS + UNIT_POS as usize;
    if at < sizes.rows * values {
        let (row, within) = (at / values, at % values);
        let from = images[row] as usize * values + within;
        x[row * values + folded(within, &sizes)] = E::cast_from(z[from]);
    }
}

/// Unfolds the last layer's result into the answer, with the input times a factor for each row and color where `skip` says
/// so; sets `overflow` where a value is not a finite number.
#[cube(launch_unchecked)]
pub(super) fn unfold<E: Float>(
    x: &[E],
    z: &[f32],
    images: &[u32],
    scratch: &[f32],
    answer: &mut [f32],
    overflow: &mut [f32],
    sizes: PictureSizes,
    skip: usize,
) {
    let values = sizes.colors * sizes.height * sizes.width;
    let at = cube_index() * THREADS + UNIT_POS as usize;
    if at < sizes.rows * values {
        let (row, within) = (at / values, at % values);
        let mut value = f32::cast_from(x[row * values + folded(within, &sizes)]);
        if skip == 1 {
            let color = within / (sizes.height * sizes.width);
            let factor = scratch[row * sizes.row + sizes.factors + color];
            value += factor * z[images[row] as usize * values + within];
        }
        answer[at] = value;
        // By its bits: a compiler of shaders may take it that no number is infinite.
        if (u32::reinterpret(value) & 0x7f80_0000) == 0x7f80_0000 {
            overflow[0] = 1.0;
        }
    }
}

/// The place of a picture's value among the patches.
#[cube]
fn folded(within: usize, sizes: &PictureSizes) -> usize {
    let image = sizes.height * sizes.width;
    let (color, pixel) = (within / image, within % image);
    let (y, x) = (pixel / sizes.width, pixel % sizes.width);
    let side = sizes.patch;
    let channel = (color * side + y % side) * side + x % side;
    (channel * (sizes.height / side) + y / side) * (sizes.width / side) + x / side
}
