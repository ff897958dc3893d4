//! Group normalisation with the scale, the shift and the activation that follow it, in one kernel.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::super::options::GroupNormOptions;
use super::allocation::empty_like;

/// Values that a thread reads at a time, where the number of pixels allows it.
const VECTOR: usize = 4;
/// A group with more values than this is normalised by more threads.
const SMALL: usize = 4096;

/// x̂ · scale + shift, and SiLU of it where the options say so.
///
/// `x`: `[batch, channels, height, width]`, contiguous; `scale`, `shift`: `[batch, channels]`, of any strides.
pub(super) fn group_norm(
    x: CubeTensor,
    scale: CubeTensor,
    shift: CubeTensor,
    options: GroupNormOptions,
) -> CubeTensor {
    let strides = [&scale, &shift].map(|t| [0, 1].map(|axis| t.meta.strides()[axis]));
    let affine = Affine {
        scale,
        shift,
        strides,
    };
    launch(x, affine, options)
}

/// What follows the normalisation, for every image and channel.
struct Affine {
    scale: CubeTensor,
    shift: CubeTensor,
    /// Of the scale and of the shift, by image and by channel.
    strides: [[usize; 2]; 2],
}

fn launch(x: CubeTensor, affine: Affine, options: GroupNormOptions) -> CubeTensor {
    let shape = x.shape().dims();
    let [batch, channels, height, width] = shape;
    let y = empty_like(&x, shape);
    let (pixels, members) = (height * width, channels / options.groups);
    if pixels * channels * batch == 0 {
        return y;
    }
    let vector = match pixels.is_multiple_of(VECTOR) {
        true => VECTOR,
        false => 1,
    };
    let threads: u32 = if members * pixels <= SMALL { 64 } else { 256 };
    let [[scale_row, scale_channel], [shift_row, shift_channel]] = affine.strides;
    let client = x.client.clone();
    // SAFETY: a cube is started for every group of every image, and reads and writes what belongs to that alone.
    unsafe {
        group_norm_kernel::launch_unchecked(
            &client,
            CubeCount::Static(options.groups as u32, batch as u32, 1),
            CubeDim::new_1d(threads),
            vector,
            x.into_buffer_arg(),
            affine.scale.into_buffer_arg(),
            affine.shift.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            members,
            pixels / vector,
            scale_row,
            scale_channel,
            shift_row,
            shift_channel,
            options.epsilon as f32,
            threads as usize,
            options.silu,
        );
    }
    y
}

/// A cube normalises a group: the mean, then the mean square around it, then every value.
///
/// `pixels` are counted in vectors.
#[cube(launch_unchecked)]
fn group_norm_kernel<N: Size>(
    x: &[Vector<f32, N>],
    scale: &[f32],
    shift: &[f32],
    y: &mut [Vector<f32, N>],
    members: usize,
    pixels: usize,
    scale_row: usize,
    scale_channel: usize,
    shift_row: usize,
    shift_channel: usize,
    epsilon: f32,
    #[comptime] threads: usize,
    #[comptime] silu: bool,
) {
    let group = CUBE_POS_X as usize;
    let row = CUBE_POS_Y as usize;
    let unit = UNIT_POS as usize;
    let values = members * pixels;
    let start = (row * CUBE_COUNT_X as usize + group) * values;
    let count = f32::cast_from(values * x.vector_size());

    let mut sums = Vector::<f32, N>::new(0.0);
    let mut i = unit;
    while i < values {
        sums += x[start + i];
        i += threads;
    }
    let mean = total(sums, threads) / count;

    let mut squares = Vector::<f32, N>::new(0.0);
    let mut i = unit;
    while i < values {
        let centred = x[start + i] - Vector::new(mean);
        squares += centred * centred;
        i += threads;
    }
    let variance = total(squares, threads) / count;
    let factor = 1.0 / (variance + epsilon).sqrt();

    let mut i = unit;
    while i < values {
        let channel = group * members + i / pixels;
        let scale = scale[row * scale_row + channel * scale_channel];
        let shift = shift[row * shift_row + channel * shift_channel];
        let scale = factor * scale;
        let value = (x[start + i] - Vector::new(mean)) * Vector::new(scale) + Vector::new(shift);
        y[start + i] = if comptime!(silu) {
            value / (Vector::new(1.0) + (-value).exp())
        } else {
            value
        };
        i += threads;
    }
}

/// The sum of the components of every thread's vector, for all threads.
#[cube]
fn total<N: Size>(parts: Vector<f32, N>, #[comptime] threads: usize) -> f32 {
    let mut shared = Shared::<[f32]>::new_slice(threads);
    let unit = UNIT_POS as usize;
    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..parts.vector_size() {
        sum += parts.extract(i);
    }
    shared[unit] = sum;
    sync_cube();
    let mut half = comptime!(threads / 2).runtime();
    while half > 0 {
        if unit < half {
            let other = shared[unit + half];
            shared[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    shared[0]
}
