//! The kernels as operations of burn's backends.

use std::sync::Arc;

#[cfg(feature = "autodiff")]
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension};
#[cfg(feature = "fusion")]
use burn::tensor::Shape;
use burn::tensor::{DType, Tensor};

use super::cpu::WeightCache;
use super::options::GroupNormOptions;

/// The operations, for tensors of 32-bit floats.
///
/// burn's dispatch selects the backend of the tensors; [`normalizes`] and [`convolves`] say for which there are kernels.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "wgpu"),
    Fusion: cfg(feature = "fusion"),
    Autodiff: cfg(feature = "autodiff")
)]
pub trait Kernels: Backend {
    /// As [`super::group_norm`].
    #[fusion(dtype = x, shape = x)]
    fn fused_group_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> FloatTensor<Self>;

    /// The convolution of stride 1 whose zero padding keeps the size of the image.
    ///
    /// `x`: `[batch, inputs, height, width]`; `weight`: `[outputs, inputs, kernel, kernel]`; `bias`: `[outputs]`. `cache` is
    /// where packed weights are cached, for tensors that no gradient is asked of.
    #[fusion(dtype = x, shape = convolved(x, weight))]
    fn same_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        cache: Option<Arc<WeightCache>>,
    ) -> FloatTensor<Self>;
}

/// The shape of [`Kernels::same_convolution`]'s result.
#[cfg(feature = "fusion")]
fn convolved(x: &Shape, weight: &Shape) -> Shape {
    let [batch, _, height, width] = x.dims();
    Shape::new([batch, weight[0], height, width])
}

/// The device that computes, beneath autodiff.
fn device(device: &DispatchDevice) -> &DispatchDevice {
    match device {
        #[cfg(feature = "autodiff")]
        DispatchDevice::Autodiff(inner) => self::device(inner),
        #[allow(unreachable_patterns)]
        _ => device,
    }
}

/// Whether there is a group norm for a tensor: in 32-bit floats, on burn's CPU and GPU backends.
pub(super) fn normalizes(x: &Tensor<4>) -> bool {
    let on_device = match device(x.device().as_dispatch()) {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "wgpu")]
        DispatchDevice::Cube(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    };
    on_device && x.dtype() == DType::F32
}

/// Whether a convolution of a tensor had better be this module's: in 32-bit floats, on burn's CPU backend and on WebGPU.
///
/// Natively burn times several kernels on a GPU, some of which use its matrix units, and takes the quickest. Browsers do
/// not let it, and then it knows only one.
pub(super) fn convolves(x: &Tensor<4>) -> bool {
    let on_device = match device(x.device().as_dispatch()) {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "wgpu")]
        DispatchDevice::Cube(_) => cfg!(target_family = "wasm"),
        #[allow(unreachable_patterns)]
        _ => false,
    };
    on_device && x.dtype() == DType::F32
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

/// [`Kernels::same_convolution`] of tensors.
pub(super) fn convolve(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    cache: Option<Arc<WeightCache>>,
) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::same_convolution(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        cache,
    ))
}

/// The gradients of [`Kernels`]' operations, from burn's where a backend has none of its own.
#[cfg(feature = "autodiff")]
pub(super) trait KernelGradients: Kernels {
    /// The gradients of x, scale and shift, for that of the result.
    fn fused_group_norm_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> [FloatTensor<Self>; 3] {
        super::gradients::group_norm::<Self>(x, scale, shift, grad, options)
    }

    /// The gradient of x, for that of the result.
    fn same_convolution_x_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let options = super::gradients::convolution::<Self>(&weight);
        Self::conv2d_x_backward(x, weight, grad, options)
    }

    /// The gradient of the weight, for that of the result.
    fn same_convolution_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let options = super::gradients::convolution::<Self>(&weight);
        Self::conv2d_weight_backward(x, weight, grad, options)
    }

    /// The gradient of the bias, for that of the result.
    fn same_convolution_bias_backward(grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = [grad.shape()[1]];
        Self::float_reshape(Self::float_sum_dims(grad, &[0, 2, 3]), shape.into())
    }
}
