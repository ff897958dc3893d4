//! A linear layer of few rows, such as one of an embedding for each image.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// Outputs of a cube.
const OUTPUTS: usize = 32;
/// Threads that share an output.
const PARTS: usize = 8;

/// `x · weight + bias`, of contiguous tensors.
///
/// `x`: `[rows, inputs]`; `weight`: `[inputs, outputs]`; `bias`: `[outputs]`.
pub(super) fn linear_rows(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
    let [rows, inputs] = x.shape().dims();
    let [_, outputs] = weight.shape().dims();
    let (client, device) = (x.client.clone(), x.device.clone());
    let shape = [rows, outputs].into();
    let y = empty_device_contiguous_dtype(client.clone(), device, shape, x.dtype);
    if rows * outputs == 0 {
        return y;
    }
    // SAFETY: the kernel reads and writes within the tensors, whose sizes it is told.
    unsafe {
        linear_kernel::launch_unchecked(
            &client,
            CubeCount::Static(outputs.div_ceil(OUTPUTS) as u32, rows as u32, 1),
            CubeDim::new_1d((OUTPUTS * PARTS) as u32),
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            inputs,
            outputs,
        );
    }
    y
}

#[cube(launch_unchecked)]
fn linear_kernel(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
    inputs: usize,
    outputs: usize,
) {
    let unit = UNIT_POS as usize;
    let part = unit / OUTPUTS;
    let output = CUBE_POS_X as usize * OUTPUTS + unit % OUTPUTS;
    let row = CUBE_POS_Y as usize;
    let mut shared = Shared::<[f32]>::new_slice(comptime!(OUTPUTS * PARTS));

    let mut sum = 0.0f32;
    if output < outputs {
        let mut input = part;
        while input < inputs {
            sum += x[row * inputs + input] * weight[input * outputs + output];
            input += PARTS;
        }
    }
    shared[unit] = sum;
    sync_cube();
    if unit < OUTPUTS && output < outputs {
        let mut total = bias[output];
        #[unroll]
        for i in 0..PARTS {
            total += shared[i * OUTPUTS + unit];
        }
        y[row * outputs + output] = total;
    }
}
