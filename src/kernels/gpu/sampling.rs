//! Operations that only sampling on WebGPU has: whole parts of the network, each in one kernel where burn starts several.
//! They have no gradients.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension};
use burn::nn::Linear;
use burn::tensor::{DType, Shape, Tensor};

use super::super::options::GroupNormOptions;
use super::attention::attends;

/// The operations, for tensors of 32-bit floats.
#[backend_extension(Cube, Fusion)]
pub trait SamplingKernels: Backend {
    /// `silu(norm(x · weight + bias) · (1 + scale) + shift)`.
    ///
    /// `x`: `[batch, channels, height, width]`; `weight`, `bias`: `[channels]`; `modulation`, scales and then shifts:
    /// `[at least batch, 2 · channels]`.
    #[fusion(dtype = x, shape = x)]
    fn modulated_group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        modulation: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> FloatTensor<Self>;

    /// [`Kernels::same_convolution`](super::super::backend::Kernels::same_convolution) and the sum with `rest`, which has the
    /// result's shape.
    #[fusion(dtype = x, shape = rest)]
    fn same_convolution_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rest: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// A linear layer on the channels of every pixel.
    ///
    /// `x`: `[batch, inputs, height, width]`; `weight`: `[inputs, outputs]`; `bias`: `[outputs]`.
    #[fusion(dtype = x, shape = projected(x, weight))]
    fn project(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`project`](Self::project) and the sum with `rest`, which has the result's shape.
    #[fusion(dtype = x, shape = rest)]
    fn project_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rest: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// softmax(queryᵀ · key / √depth) · value over the pixels of an image.
    ///
    /// `qkv`: `[batch, 3 · channels, height, width]`, query, key and value, and within each head after head; the result:
    /// `[batch, channels, height, width]`.
    #[fusion(dtype = qkv, shape = attended(qkv))]
    fn attend(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self>;

    /// A linear layer of few rows.
    ///
    /// `x`: `[rows, inputs]`; `weight`: `[inputs, outputs]`; `bias`: `[outputs]`.
    #[fusion(dtype = x, shape = Shape::new([x[0], weight[1]]))]
    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// An image of half the height and width, by averaging 2×2 pixels, of even ones.
    #[fusion(dtype = x, shape = resized(x, |size| size / 2))]
    fn halve(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// An image of twice the height and width, by repeating pixels.
    #[fusion(dtype = x, shape = resized(x, |size| 2 * size))]
    fn double(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

fn projected(x: &Shape, weight: &Shape) -> Shape {
    Shape::new([x[0], weight[1], x[2], x[3]])
}

fn attended(qkv: &Shape) -> Shape {
    Shape::new([qkv[0], qkv[1] / 3, qkv[2], qkv[3]])
}

fn resized(x: &Shape, side: impl Fn(usize) -> usize) -> Shape {
    Shape::new([x[0], x[1], side(x[2]), side(x[3])])
}

/// Whether a tensor is on WebGPU in 32-bit floats and nobody asks for gradients.
pub(in crate::kernels) fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    cfg!(target_family = "wasm")
        && x.dtype() == DType::F32
        && matches!(x.device().as_dispatch(), DispatchDevice::Cube(_))
}

/// [`SamplingKernels::modulated_group_norm`] of tensors.
pub(in crate::kernels) fn modulated_group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    modulation: Tensor<2>,
    options: GroupNormOptions,
) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::modulated_group_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        modulation.into_dispatch(),
        options,
    ))
}

/// [`SamplingKernels::same_convolution_add`] of tensors.
pub(in crate::kernels) fn same_convolution_add(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    rest: Tensor<4>,
) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::same_convolution_add(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        rest.into_dispatch(),
    ))
}

/// Self-attention with a residual connection; `None` where there is no kernel for a layer of this kind.
///
/// # Shapes
///
/// As [`attention`](super::super::attention).
pub(in crate::kernels) fn attention(
    x: Tensor<4>,
    normalized: Tensor<4>,
    qkv: &Linear,
    output: &Linear,
    heads: usize,
) -> Option<Tensor<4>> {
    let (qkv_bias, output_bias) = (qkv.bias.as_ref()?, output.bias.as_ref()?);
    let [_, channels, ..] = x.dims();
    if !attends(channels / heads) {
        return None;
    }
    let qkv = Dispatch::project(
        normalized.into_dispatch(),
        qkv.weight.val().into_dispatch(),
        qkv_bias.val().into_dispatch(),
    );
    Some(Tensor::from_dispatch(Dispatch::project_add(
        Dispatch::attend(qkv, heads),
        output.weight.val().into_dispatch(),
        output_bias.val().into_dispatch(),
        x.into_dispatch(),
    )))
}

/// [`SamplingKernels::linear_rows`] of tensors, where the layer has a bias.
pub(in crate::kernels) fn linear_rows(layer: &Linear, x: &Tensor<2>) -> Option<Tensor<2>> {
    let bias = layer.bias.as_ref()?;
    Some(Tensor::from_dispatch(Dispatch::linear_rows(
        x.clone().into_dispatch(),
        layer.weight.val().into_dispatch(),
        bias.val().into_dispatch(),
    )))
}

/// [`SamplingKernels::halve`] of tensors.
pub(in crate::kernels) fn halve(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::halve(x.into_dispatch()))
}

/// [`SamplingKernels::double`] of tensors.
pub(in crate::kernels) fn double(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::double(x.into_dispatch()))
}
