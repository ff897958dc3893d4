//! The operations' gradients on burn's CPU backend.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;

use super::super::backend::KernelGradients;
use super::super::options::GroupNormOptions;
use super::convolution::{self, Packed};
use super::values::{Values, norm, tensor, tensor_of, weights};
use super::weight_gradient::{bias_gradient, weight_gradient};
use super::weights::Weights;

impl KernelGradients for Flex {
    fn fused_group_norm_backward(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        grad: FlexTensor,
        options: GroupNormOptions,
    ) -> [FlexTensor; 3] {
        let (x, scale, shift) = (Values::of(x), Values::of(scale), Values::of(shift));
        let grad = Values::of(grad);
        let shape = x.images();
        let gradients = norm(shape, options, &scale, &shift).backward(x.get(), grad.get());
        let affine = Shape::new([shape.batch, shape.channels]);
        [
            tensor(gradients.x, shape),
            tensor_of(gradients.scale, affine.clone()),
            tensor_of(gradients.shift, affine),
        ]
    }

    fn same_convolution_x_backward(
        _: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
    ) -> FlexTensor {
        let (weight, grad) = (Values::of(weight), Values::of(grad));
        let forward = weights(&weight, None);
        let turned = turned(forward);
        let backward = Weights {
            values: &turned,
            outputs: forward.inputs,
            inputs: forward.outputs,
            ..forward
        };
        let shape = grad.images();
        let packed = Packed::new(shape, backward);
        let x = convolution::convolve(grad.get(), shape, backward, &packed);
        tensor(x, shape.with_channels(backward.outputs))
    }

    fn same_convolution_weight_backward(
        x: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
    ) -> FlexTensor {
        let kernel = weight.shape()[2];
        let (x, grad) = (Values::of(x), Values::of(grad));
        let (shape, outputs) = (x.images(), grad.images().channels);
        let gradient = weight_gradient(x.get(), grad.get(), shape, outputs, kernel);
        let shape = Shape::new([outputs, shape.channels, kernel, kernel]);
        tensor_of(gradient, shape)
    }

    fn same_convolution_bias_backward(grad: FlexTensor) -> FlexTensor {
        let grad = Values::of(grad);
        let shape = grad.images();
        let gradient = bias_gradient(grad.get(), shape);
        tensor_of(gradient, Shape::new([shape.channels]))
    }
}

/// The weights with which the gradient of the output is convolved to give that of the input: input and output
/// channels swapped, the kernel turned by half a turn.
fn turned(weights: Weights<'_>) -> Vec<f32> {
    let area = weights.kernel * weights.kernel;
    let mut turned = vec![0.0; weights.values.len()];
    for output in 0..weights.outputs {
        for input in 0..weights.inputs {
            let source = &weights.values[(output * weights.inputs + input) * area..][..area];
            let target = &mut turned[(input * weights.outputs + output) * area..][..area];
            for (target, &source) in target.iter_mut().rev().zip(source) {
                *target = source;
            }
        }
    }
    turned
}
