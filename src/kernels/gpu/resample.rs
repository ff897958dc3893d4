//! Halving and doubling images.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::empty_like;

/// Threads of a cube.
const THREADS: usize = 64;

/// Averages 2×2 pixels of an image of even height and width, contiguous.
pub(super) fn halve(x: CubeTensor) -> CubeTensor {
    let [batch, channels, height, width] = x.shape().dims();
    let y = empty_like(&x, [batch, channels, height / 2, width / 2]);
    let Some(cubes) = cubes(&y) else { return y };
    let client = x.client.clone();
    // SAFETY: the kernel reads and writes within the tensors, which end where it is told.
    unsafe {
        halve_kernel::launch_unchecked(
            &client,
            cubes,
            CubeDim::new_1d(THREADS as u32),
            x.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            y.shape().num_elements(),
            width / 2,
        );
    }
    y
}

/// Repeats every pixel of an image, contiguous.
pub(super) fn double(x: CubeTensor) -> CubeTensor {
    let [batch, channels, height, width] = x.shape().dims();
    let y = empty_like(&x, [batch, channels, 2 * height, 2 * width]);
    let Some(cubes) = cubes(&y) else { return y };
    let client = x.client.clone();
    // SAFETY: as above.
    unsafe {
        double_kernel::launch_unchecked(
            &client,
            cubes,
            CubeDim::new_1d(THREADS as u32),
            x.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            y.shape().num_elements(),
            2 * width,
        );
    }
    y
}

/// A thread for every value, where there are any. More cubes than one dimension may have are a rectangle of them.
fn cubes(y: &CubeTensor) -> Option<CubeCount> {
    let cubes = y.shape().num_elements().div_ceil(THREADS);
    let (across, _, _) = y.client.properties().hardware.max_cube_count;
    let across = cubes.min(across as usize);
    (cubes > 0).then(|| CubeCount::Static(across as u32, cubes.div_ceil(across) as u32, 1))
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
