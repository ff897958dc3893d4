//! Convolution as a product of matrices, weight times patches, of which no matrix is ever made: a cube keeps the part of
//! both that it multiplies in shared memory.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::allocation::empty_like;
use super::grid::{cube_count, cube_index};

/// Values of a vector in shared memory and in a thread's accumulators.
const VECTOR: usize = 4;
/// Input channels that are in shared memory at a time.
const DEPTH: usize = 16;
/// With fewer cubes than this, smaller ones keep more of a GPU busy.
const MANY: usize = 128;

/// What a cube computes: `rows` × `columns` threads, each with `vectors` · 4 output channels of 4 pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tile {
    rows: usize,
    columns: usize,
    vectors: usize,
}

impl Tile {
    /// 32 output channels of 32 pixels.
    const SMALL: Tile = Tile {
        rows: 8,
        columns: 8,
        vectors: 1,
    };
    /// 64 output channels of 64 pixels.
    const LARGE: Tile = Tile {
        rows: 8,
        columns: 16,
        vectors: 2,
    };

    fn channels(self) -> usize {
        self.rows * self.vectors * VECTOR
    }

    fn pixels(self) -> usize {
        self.columns * VECTOR
    }

    /// Cubes for so many pixels and output channels.
    fn cubes(self, pixels: usize, outputs: usize) -> [usize; 2] {
        [
            pixels.div_ceil(self.pixels()),
            outputs.div_ceil(self.channels()),
        ]
    }

    /// The tile for so many pixels and output channels.
    fn choose(pixels: usize, outputs: usize) -> Tile {
        match Self::LARGE.cubes(pixels, outputs).iter().product::<usize>() < MANY {
            true => Self::SMALL,
            false => Self::LARGE,
        }
    }
}

/// The convolution of stride 1 whose zero padding keeps the size of the image, of contiguous tensors.
///
/// `x`: `[batch, inputs, height, width]`; `weight`: `[outputs, inputs, kernel, kernel]`; `bias`: `[outputs]`.
pub(super) fn convolve(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
    let [batch, inputs, height, width] = x.shape().dims();
    let [outputs, _, kernel, _] = weight.shape().dims();
    let y = empty_like(&x, [batch, outputs, height, width]);
    let pixels = batch * height * width;
    if pixels * outputs == 0 {
        return y;
    }
    let tile = Tile::choose(pixels, outputs);
    let [across, down] = tile.cubes(pixels, outputs);
    let client = x.client.clone();
    // SAFETY: the kernel reads within the images and the weight, and writes within the result, whose sizes it is told.
    unsafe {
        convolution_kernel::launch_unchecked(
            &client,
            cube_count(across * down),
            CubeDim::new_1d((tile.rows * tile.columns) as u32),
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            batch,
            inputs,
            outputs,
            height,
            width,
            kernel,
            tile,
        );
    }
    y
}

#[cube(launch_unchecked)]
fn convolution_kernel(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
    batch: usize,
    inputs: usize,
    outputs: usize,
    height: usize,
    width: usize,
    #[comptime] kernel_size: usize,
    #[comptime] tile: Tile,
) {
    let taps = comptime!(kernel_size * kernel_size);
    let border = comptime!(kernel_size / 2);
    // Vectors of output channels that the cube has.
    let vectors = comptime!(tile.rows * tile.vectors);
    let image = height * width;

    let mut weights = Shared::<[Vector<f32, Const<4>>]>::new_slice(comptime!(DEPTH * vectors));
    let mut patches = Shared::<[Vector<f32, Const<4>>]>::new_slice(comptime!(DEPTH * tile.columns));
    let unit = UNIT_POS as usize;
    let row = unit / tile.columns;
    let column = unit % tile.columns;
    let down = outputs.div_ceil(comptime!(vectors * VECTOR));
    let first_output = cube_index() % down * comptime!(vectors * VECTOR);
    let first_pixel = (cube_index() / down * tile.columns + column) * VECTOR;

    // The thread's pixels, which it both loads and computes.
    let mut image_of = Array::<usize>::new(VECTOR);
    let mut top = Array::<usize>::new(VECTOR);
    let mut left = Array::<usize>::new(VECTOR);
    #[unroll]
    for i in 0..VECTOR {
        let pixel = first_pixel + i;
        let within = pixel % image;
        image_of[i] = pixel / image;
        top[i] = within / width;
        left[i] = within % width;
    }

    let mut sums = Array::<Vector<f32, Const<4>>>::new(comptime!(tile.vectors * VECTOR));
    #[unroll]
    for i in 0..comptime!(tile.vectors * VECTOR) {
        sums[i] = Vector::new(0.0);
    }

    let mut first_input = 0usize;
    while first_input < inputs {
        for tap in 0..taps {
            sync_cube();
            // The weight, transposed, so that a thread finds its output channels side by side.
            #[unroll]
            for pass in 0..comptime!(DEPTH * vectors / (tile.rows * tile.columns)) {
                let slot = pass * comptime!(tile.rows * tile.columns) + unit;
                let depth = slot % DEPTH;
                let vector = slot / DEPTH;
                let input = first_input + depth;
                let output = first_output + vector * VECTOR;
                let mut values = Vector::<f32, Const<4>>::new(0.0);
                #[unroll]
                for i in 0..VECTOR {
                    if input < inputs && output + i < outputs {
                        let place = ((output + i) * inputs + input) * taps + tap;
                        values.insert(i, weight[place]);
                    }
                }
                weights[depth * vectors + vector] = values;
            }
            // The pixels that the tap sees, zero outside of the image.
            let tap_y = tap / kernel_size;
            let tap_x = tap % kernel_size;
            let mut place = Array::<usize>::new(VECTOR);
            let mut inside = Array::<bool>::new(VECTOR);
            #[unroll]
            for i in 0..VECTOR {
                // Above and left of the image, these wrap around to more than any size.
                let seen_y = top[i] + tap_y - border;
                let seen_x = left[i] + tap_x - border;
                inside[i] = image_of[i] < batch && seen_y < height && seen_x < width;
                place[i] = image_of[i] * inputs * image + seen_y * width + seen_x;
            }
            #[unroll]
            for pass in 0..comptime!(DEPTH / tile.rows) {
                let depth = pass * tile.rows + row;
                let input = first_input + depth;
                let mut values = Vector::<f32, Const<4>>::new(0.0);
                #[unroll]
                for i in 0..VECTOR {
                    if inside[i] && input < inputs {
                        values.insert(i, x[place[i] + input * image]);
                    }
                }
                patches[depth * tile.columns + column] = values;
            }
            sync_cube();
            for depth in 0..DEPTH {
                let seen = patches[depth * tile.columns + column];
                #[unroll]
                for part in 0..tile.vectors {
                    let factors = weights[depth * vectors + part * tile.rows + row];
                    #[unroll]
                    for i in 0..VECTOR {
                        sums[part * VECTOR + i] += Vector::new(factors.extract(i)) * seen;
                    }
                }
            }
        }
        first_input += DEPTH;
    }

    #[unroll]
    for part in 0..tile.vectors {
        #[unroll]
        for i in 0..VECTOR {
            let output = first_output + (part * tile.rows + row) * VECTOR + i;
            if output < outputs {
                let sum = sums[part * VECTOR + i] + Vector::new(bias[output]);
                #[unroll]
                for j in 0..VECTOR {
                    if image_of[j] < batch {
                        let at =
                            (image_of[j] * outputs + output) * image + top[j] * width + left[j];
                        y[at] = sum.extract(j);
                    }
                }
            }
        }
    }
}
