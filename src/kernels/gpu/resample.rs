//! Halving and doubling images.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl::{self, client::Client, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::allocation::empty_like;

/// Threads of a cube.
const THREADS: usize = 64;

/// Averages 2×2 pixels of an image of even height and width, contiguous.
pub(super) fn halve(x: CubeTensor) -> CubeTensor {
    resample(
        x,
        |size| size / 2,
        |client, cubes, dim, x, y, values, width| {
            // SAFETY: the kernel reads and writes within the tensors, which end where it is told.
            unsafe { halve_kernel::launch_unchecked(client, cubes, dim, x, y, values, width) }
        },
    )
}

/// Repeats every pixel of an image, contiguous.
pub(super) fn double(x: CubeTensor) -> CubeTensor {
    resample(
        x,
        |size| 2 * size,
        |client, cubes, dim, x, y, values, width| {
            // SAFETY: the kernel reads and writes within the tensors, which end where it is told.
            unsafe { double_kernel::launch_unchecked(client, cubes, dim, x, y, values, width) }
        },
    )
}

/// Launches a kernel with a thread for every value of the result, whose height and width are `side` of those of `x`.
/// More cubes than one dimension may have are a rectangle of them.
fn resample(
    x: CubeTensor,
    side: impl Fn(usize) -> usize,
    launch: impl FnOnce(&Client, CubeCount, CubeDim, BufferArg, BufferArg, usize, usize),
) -> CubeTensor {
    let [batch, channels, height, width] = x.shape().dims();
    let y = empty_like(&x, [batch, channels, side(height), side(width)]);
    let values = y.shape().num_elements();
    let cubes = values.div_ceil(THREADS);
    let (across, _, _) = y.client.properties().hardware.max_cube_count;
    let across = cubes.min(across as usize);
    if cubes > 0 {
        let client = x.client.clone();
        let count = CubeCount::Static(across as u32, cubes.div_ceil(across) as u32, 1);
        let dim = CubeDim::new_1d(THREADS as u32);
        let (x, result) = (x.into_buffer_arg(), y.clone().into_buffer_arg());
        launch(&client, count, dim, x, result, values, side(width));
    }
    y
}

/// Every value is the mean of four; `width` is that of the result. Rows of all images are one above the other.
#[cube(launch_unchecked)]
fn halve_kernel(x: &[f32], y: &mut [f32], values: usize, width: usize) {
    let at = ABSOLUTE_POS;
    if at < values {
        let upper = (at / width) * 4 * width + (at % width) * 2;
        let lower = upper + 2 * width;
        y[at] = (x[upper] + x[upper + 1] + x[lower] + x[lower + 1]) * 0.25;
    }
}

/// `width` is that of the result.
#[cube(launch_unchecked)]
fn double_kernel(x: &[f32], y: &mut [f32], values: usize, width: usize) {
    let at = ABSOLUTE_POS;
    if at < values {
        y[at] = x[(at / (2 * width)) * (width / 2) + (at % width) / 2];
    }
}
