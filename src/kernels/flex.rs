//! The operations on burn's CPU backend.

use std::sync::Arc;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape};

use super::GroupNormOptions;
#[cfg(feature = "autodiff")]
use super::backend::KernelGradients;
use super::backend::Kernels;
use super::convolution::{self, Packed, Weights};
use super::group_norm::GroupNorm;
use super::kept::KeptWeights;
use super::patches::Images;

impl Kernels for Flex {
    fn fused_group_norm(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        options: GroupNormOptions,
    ) -> FlexTensor {
        let (x, scale, shift) = (Values::of(x), Values::of(scale), Values::of(shift));
        let shape = x.images();
        let y = norm(shape, options, &scale, &shift).forward(x.get());
        tensor(y, shape)
    }

    fn same_convolution(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        kept: Option<Arc<KeptWeights>>,
    ) -> FlexTensor {
        let (x, weight, bias) = (Values::of(x), Values::of(weight), Values::of(bias));
        let weights = weights(&weight, Some(&bias));
        let shape = x.images();
        let packed = match kept {
            Some(kept) => kept.pack(&weight.0, shape, weights),
            None => Arc::new(Packed::new(shape, weights)),
        };
        let y = convolution::convolve(x.get(), shape, weights, &packed);
        tensor(y, shape.with_channels(weights.outputs))
    }
}

fn norm<'a>(
    shape: Images,
    options: GroupNormOptions,
    scale: &'a Values,
    shift: &'a Values,
) -> GroupNorm<'a> {
    GroupNorm {
        shape,
        groups: options.groups,
        epsilon: options.epsilon as f32,
        silu: options.silu,
        scale: scale.get(),
        shift: shift.get(),
    }
}

fn weights<'a>(weight: &'a Values, bias: Option<&'a Values>) -> Weights<'a> {
    let shape = weight.images();
    Weights {
        values: weight.get(),
        bias: bias.map(Values::get),
        outputs: shape.batch,
        inputs: shape.channels,
        kernel: shape.height,
    }
}

/// A tensor whose values lie in memory in the order of its indices.
struct Values(FlexTensor);

impl Values {
    fn of(tensor: FlexTensor) -> Self {
        Self(tensor.to_contiguous())
    }

    fn get(&self) -> &[f32] {
        let (start, end) = self.0.layout().contiguous_offsets().unwrap_or_default();
        &self.0.storage()[start..end]
    }

    /// The shape of four dimensions.
    fn images(&self) -> Images {
        let [batch, channels, height, width] = self.0.shape().dims();
        Images {
            batch,
            channels,
            height,
            width,
        }
    }
}

fn tensor(values: Vec<f32>, shape: Images) -> FlexTensor {
    let Images {
        batch,
        channels,
        height,
        width,
    } = shape;
    tensor_of(values, Shape::new([batch, channels, height, width]))
}

fn tensor_of(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

#[cfg(feature = "autodiff")]
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
        let turned = convolution::turned(forward);
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
        let gradient =
            super::weight_gradient::weight_gradient(x.get(), grad.get(), shape, outputs, kernel);
        let shape = Shape::new([outputs, shape.channels, kernel, kernel]);
        tensor_of(gradient, shape)
    }

    fn same_convolution_bias_backward(grad: FlexTensor) -> FlexTensor {
        let grad = Values::of(grad);
        let shape = grad.images();
        let gradient = super::weight_gradient::bias_gradient(grad.get(), shape);
        tensor_of(gradient, Shape::new([shape.channels]))
    }
}
