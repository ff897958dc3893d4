//! What a cube of a convolution computes, and what it does with it: 16 output channels of a square tile of at most 64 pixels.
//!
//! A thread sums up 4 output channels of 4 pixels in a row, and so uses each value and each weight that it reads four times. Then
//! the sums go through the cube's shared memory, and a thread writes all channels of one pixel, beside those of its neighbours.

use burn_cubecl::cubecl::{self, prelude::*};

use super::statistics::PER_TILE;

/// Threads of a cube.
pub(super) const THREADS: usize = 64;
/// Output channels of a vector, which a thread computes.
pub(super) const VECTOR: usize = 4;
/// Pixels of a row that a thread computes.
pub(super) const STRIP: usize = 4;
/// Vectors of output channels that a cube computes.
pub(super) const VECTORS: usize = 4;
/// Output channels of a cube.
pub(super) const OUTPUTS: usize = VECTOR * VECTORS;

/// An image of the size that is wanted.
pub(super) const PLAIN: usize = 0;
/// One of twice the size, of which four pixels are averaged.
pub(super) const HALVED: usize = 1;
/// One of half the size, whose pixels are repeated.
pub(super) const DOUBLED: usize = 2;
/// Of what a convolution adds: nothing.
pub(super) const NOTHING: usize = 3;
/// Of what a convolution adds: a 1×1 convolution of one tensor, or of two whose channels follow each other.
pub(super) const PROJECTED: usize = 4;

/// The sizes of a convolution's result.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Sizes {
    pub rows: usize,
    pub outputs: usize,
    pub height: usize,
    pub width: usize,
    /// Side of a tile, 4 or 8.
    pub side: usize,
    /// Numbers of a row in the scratch memory.
    pub row: usize,
    /// Where the result's statistics begin in a row.
    pub slot: usize,
    /// Where the bias begins, behind the scales and shifts of a normalisation.
    pub bias: usize,
    /// What is added: one of the constants above, where those of images are of a tensor with the result's channels.
    pub rest: usize,
    /// Channels of the first tensor that a projection adds.
    pub rest_first: usize,
    /// Of the second one, 0 without one.
    pub rest_second: usize,
}

/// Where a cube and its thread are.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Place {
    pub row: usize,
    pub tile: usize,
    /// The first output channel.
    pub output: usize,
    /// The tile's first row and column of pixels.
    pub top: usize,
    pub left: usize,
    /// Whether the thread has a pixel.
    pub inside: bool,
    /// That pixel, or one of the image where the thread has none.
    pub y: usize,
    pub x: usize,
}

/// Vectors of output channels of a layer, as its weights have them.
#[cube]
pub(super) fn output_vectors(outputs: usize) -> usize {
    outputs.div_ceil(OUTPUTS) * VECTORS
}

#[cube]
pub(super) fn place(sizes: &Sizes, index: usize) -> Place {
    let blocks = sizes.outputs.div_ceil(OUTPUTS);
    let wide = sizes.width.div_ceil(sizes.side);
    let tiles = wide * sizes.height.div_ceil(sizes.side);
    let tile = index / blocks % tiles;
    let unit = UNIT_POS as usize;
    // Quicker than a division by a number that the compiler does not know.
    let down = select(sizes.side == 8, unit / 8, unit / 4);
    let across = unit - down * sizes.side;
    let top = tile / wide * sizes.side;
    let left = tile % wide * sizes.side;
    let y = top + down;
    let x = left + across;
    Place {
        row: index / (blocks * tiles),
        tile,
        output: index % blocks * OUTPUTS,
        top,
        left,
        inside: down < sizes.side && y < sizes.height && x < sizes.width,
        y: y.min(sizes.height - 1),
        x: x.min(sizes.width - 1),
    }
}

/// What a thread sums up of a cube's tile.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Strip {
    /// Which of the cube's vectors of output channels.
    pub vector: usize,
    /// The row and the first column in the tile.
    pub down: usize,
    pub across: usize,
    /// Whether the thread has a strip; small tiles have fewer strips than a cube has threads.
    pub inside: bool,
}

#[cube]
pub(super) fn strip(side: usize) -> Strip {
    let unit = UNIT_POS as usize;
    // Quicker than divisions by a number that the compiler does not know.
    let is_large = side == 8;
    let vector = select(is_large, unit / 16, unit / 4);
    let within = select(is_large, unit % 16, unit % 4);
    Strip {
        vector: vector.min(VECTORS - 1),
        down: select(is_large, within / 2, within),
        across: select(is_large, within % 2 * STRIP, 0usize),
        inside: vector < VECTORS,
    }
}

/// The sums of a thread, a vector for each pixel, before anything is added.
#[cube]
pub(super) fn zeros() -> Array<Vector<f32, Const<4>>> {
    let mut sums = Array::<Vector<f32, Const<4>>>::new(STRIP);
    #[unroll]
    for pixel in 0..STRIP {
        sums[pixel] = Vector::new(0.0);
    }
    sums
}

/// Adds the pixels' values, from `first` on, times the weights of a vector.
#[cube]
pub(super) fn add_products<E: Float>(
    sums: &mut Array<Vector<f32, Const<4>>>,
    weights: Vector<E, Const<4>>,
    values: &Array<f32>,
    #[comptime] first: usize,
) {
    let factors = Vector::<f32, Const<4>>::cast_from(weights);
    #[unroll]
    for pixel in 0..STRIP {
        sums[pixel] += factors * Vector::new(values[comptime!(first + pixel)]);
    }
}

/// Hands a thread's sums over to those that write them. `shared` has room for all values of the cube, channel after channel.
#[cube]
fn hand_over(sums: &Array<Vector<f32, Const<4>>>, shared: &mut Shared<[f32]>, side: usize) {
    let strip = strip(side);
    // Other threads may still read what is there.
    sync_cube();
    if strip.inside {
        let first = strip.vector * VECTOR * THREADS + strip.down * side + strip.across;
        #[unroll]
        for i in 0..VECTOR {
            #[unroll]
            for pixel in 0..STRIP {
                shared[first + comptime!(i * THREADS + pixel)] = sums[pixel].extract(i);
            }
        }
    }
    sync_cube();
}

/// The value that a rest has at the thread's pixel, in a plane counted over all images.
#[cube]
fn rest_of<E: Float>(values: &[E], plane: usize, sizes: &Sizes, place: &Place) -> f32 {
    let mut pixel = (plane * sizes.height + place.y) * sizes.width + place.x;
    let mut edge = 1usize;
    let mut share = 1.0f32;
    if sizes.rest == DOUBLED {
        pixel = (plane * (sizes.height / 2) + place.y / 2) * (sizes.width / 2) + place.x / 2;
    }
    if sizes.rest == HALVED {
        pixel = (plane * 2 * sizes.height + 2 * place.y) * 2 * sizes.width + 2 * place.x;
        edge = 2usize;
        share = 0.25f32;
    }
    let mut sum = 0.0f32;
    for row in 0..edge {
        for column in 0..edge {
            sum += f32::cast_from(values[pixel + row * 2 * sizes.width + column]);
        }
    }
    sum * share
}

/// Adds the bias and the rest, and writes the result and its statistics. `shared` has room for all values of the cube. Loops
/// that are not unrolled are what drivers compile fast.
#[cube]
pub(super) fn finish<E: Float>(
    sums: &Array<Vector<f32, Const<4>>>,
    bias: &[E],
    rest: &[E],
    y: &mut [E],
    shared: &mut Shared<[f32]>,
    scratch: &mut [f32],
    sizes: &Sizes,
    place: &Place,
) {
    let image = sizes.height * sizes.width;
    let unit = UNIT_POS as usize;
    hand_over(sums, shared, sizes.side);
    if place.inside {
        let mut slot = unit;
        for output in place.output..(place.output + OUTPUTS).min(sizes.outputs) {
            let plane = place.row * sizes.outputs + output;
            let mut value = shared[slot] + f32::cast_from(bias[sizes.bias + output]);
            if sizes.rest < NOTHING {
                value += rest_of::<E>(rest, plane, sizes, place);
            }
            shared[slot] = value;
            y[plane * image + place.y * sizes.width + place.x] = E::cast_from(value);
            slot += THREADS;
        }
    }
    sync_cube();
    measure(scratch, shared, sizes, place);
}

/// A thread for each channel sums up its values in the tile.
#[cube]
fn measure(scratch: &mut [f32], shared: &mut Shared<[f32]>, sizes: &Sizes, place: &Place) {
    let unit = UNIT_POS as usize;
    let output = place.output + unit;
    if unit < OUTPUTS && output < sizes.outputs {
        let down = sizes.side.min(sizes.height - place.top);
        let across = sizes.side.min(sizes.width - place.left);
        let begin = unit * THREADS;
        let mut total = 0.0f32;
        for row in 0..down {
            for column in 0..across {
                total += shared[begin + row * sizes.side + column];
            }
        }
        let mean = total / f32::cast_from(down * across);
        let mut squares = 0.0f32;
        for row in 0..down {
            for column in 0..across {
                let distance = shared[begin + row * sizes.side + column] - mean;
                squares += distance * distance;
            }
        }
        let wide = sizes.width.div_ceil(sizes.side);
        let tiles = wide * sizes.height.div_ceil(sizes.side);
        let at = place.row * sizes.row + sizes.slot + (output * tiles + place.tile) * PER_TILE;
        scratch[at] = total;
        scratch[at + 1] = squares;
    }
}
