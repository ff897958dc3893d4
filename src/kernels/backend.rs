//! The kernels as operations of burn's backends.

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, Flex, TensorMetadata, backend_extension};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Bytes, DType, Shape, Tensor};

use super::GroupNormOptions;
use super::convolution::{self, Weights};
use super::group_norm::GroupNorm;
use super::patches::Images;

/// The operations, for tensors of 32-bit floats.
///
/// burn's dispatch selects the backend of the tensors; [`serves`] says which there are.
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
pub trait Kernels: Backend {
    /// As [`super::group_norm`].
    fn fused_group_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> FloatTensor<Self>;

    /// The convolution of stride 1 whose zero padding keeps the size of the image.
    ///
    /// `x`: `[batch, inputs, height, width]`; `weight`: `[outputs, inputs, kernel, kernel]`; `bias`: `[outputs]`.
    fn same_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Whether there are kernels for a tensor: on burn's CPU backend, with or without autodiff, in 32-bit floats.
pub(super) fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    fn on_flex(device: &DispatchDevice) -> bool {
        match device {
            DispatchDevice::Flex(_) => true,
            #[cfg(feature = "autodiff")]
            DispatchDevice::Autodiff(device) => on_flex(device),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }
    x.dtype() == DType::F32 && on_flex(x.device().as_dispatch())
}

/// The bias of a convolution that is one of those for which there is a kernel.
fn bias_if_same(module: &Conv2d) -> Option<Tensor<1>> {
    let [height, width] = module.kernel_size;
    let padding = match module.padding {
        PaddingConfig2d::Valid => [0; 4],
        PaddingConfig2d::Same => [height / 2; 4],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [top, left, bottom, right],
    };
    let same = height == width
        && height % 2 == 1
        && padding == [height / 2; 4]
        && module.stride == [1, 1]
        && module.dilation == [1, 1]
        && module.groups == 1;
    module.bias.as_ref().filter(|_| same).map(|bias| bias.val())
}

/// [`Kernels::fused_group_norm`] of tensors.
pub(super) fn group_norm(
    x: Tensor<4>,
    scale: Tensor<2>,
    shift: Tensor<2>,
    options: GroupNormOptions,
) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::fused_group_norm(
        x.into_dispatch(),
        scale.into_dispatch(),
        shift.into_dispatch(),
        options,
    ))
}

/// [`Kernels::same_convolution`] of tensors, where a convolution is one.
pub(super) fn convolve(module: &Conv2d, x: &Tensor<4>) -> Option<Tensor<4>> {
    let bias = bias_if_same(module)?;
    Some(Tensor::from_dispatch(Dispatch::same_convolution(
        x.clone().into_dispatch(),
        module.weight.val().into_dispatch(),
        bias.into_dispatch(),
    )))
}

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

    fn same_convolution(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (x, weight, bias) = (Values::of(x), Values::of(weight), Values::of(bias));
        let weights = weights(&weight, Some(&bias));
        let shape = x.images();
        let y = convolution::convolve(x.get(), shape, weights);
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

/// The gradients of [`Kernels`]' operations.
#[cfg(feature = "autodiff")]
pub(super) trait KernelGradients: Kernels {
    /// The gradients of x, scale and shift, for that of the result.
    fn fused_group_norm_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> [FloatTensor<Self>; 3];

    /// The gradient of x, for that of the result.
    fn same_convolution_x_backward(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// The gradient of a weight of kernels of `kernel`², for that of the result.
    fn same_convolution_weight_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        kernel: usize,
    ) -> FloatTensor<Self>;

    /// The gradient of the bias, for that of the result.
    fn same_convolution_bias_backward(grad: FloatTensor<Self>) -> FloatTensor<Self>;
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

    fn same_convolution_x_backward(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
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
        let x = convolution::convolve(grad.get(), shape, backward);
        tensor(x, shape.with_channels(backward.outputs))
    }

    fn same_convolution_weight_backward(
        x: FlexTensor,
        grad: FlexTensor,
        kernel: usize,
    ) -> FlexTensor {
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
