//! The operations' gradients on burn's CPU backend.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;

use super::super::backend::KernelGradients;
use super::super::options::GroupNormOptions;
use super::bias_gradient::bias_gradient;
use super::channels_last::{Direction, convolve_planes, weight_gradient};
use super::values::{Values, norm, tensor, tensor_of, weights};

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
        let (weights, shape) = (weights(&weight, None), grad.images());
        let x = convolve_planes(grad.get(), shape, weights, Direction::Backward);
        tensor(x, shape.with_channels(weights.inputs))
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
