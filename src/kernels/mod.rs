//! The operations in which a network spends its time, each in one pass over memory, as extensions of burn's backends:
//! group normalisation with what follows it, and the convolutions that keep the size of an image.
//!
//! On burn's CPU backend, in 32-bit floats, they run on kernels of this module, which carry their own derivatives. On
//! its GPU backends there is one kernel for the normalisation, and in browsers one for the convolution; derivatives are
//! put together from burn's operations. On every other backend and in every other type, the network's modules compute
//! the same from burn's operations. A result never depends on the number of threads, nor an image's on the batch that
//! it is in.

// A build that only samples has no use for the backward halves of these modules.
#[cfg(all(any(feature = "flex", feature = "wgpu"), feature = "autodiff"))]
mod autodiff;
#[cfg(any(feature = "flex", feature = "wgpu"))]
mod backend;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(not(feature = "flex"))]
#[path = "no_cpu.rs"]
mod cpu;
#[cfg(feature = "wgpu")]
mod gpu;
#[cfg(all(any(feature = "flex", feature = "wgpu"), feature = "autodiff"))]
mod gradients;
mod options;
mod same_conv;

use burn::nn::Linear;
use burn::tensor::Tensor;

pub(crate) use cpu::cached_weight_bytes;
pub use cpu::{Panels, WeightCache};
#[cfg(feature = "flex")]
pub(crate) use cpu::{channels_last, for_each_chunk};
#[cfg(feature = "wgpu")]
use gpu::sampling;
pub(crate) use options::GroupNormOptions;
pub use same_conv::SameConv2d;

/// x̂ · scale + shift, and SiLU of it where the options say so, with x̂ the normalised `x`; `None` where there is no
/// kernel for it.
///
/// # Shapes
///
/// `x` and the result: `[batch, channels, height, width]`; `scale`, `shift`: `[batch, channels]` or `[1, channels]`.
pub(crate) fn group_norm(
    x: &Tensor<4>,
    scale: &Tensor<2>,
    shift: &Tensor<2>,
    options: GroupNormOptions,
) -> Option<Tensor<4>> {
    #[cfg(any(feature = "flex", feature = "wgpu"))]
    if backend::normalizes(x) {
        let [batch, channels, ..] = x.dims();
        let [scale, shift] = [scale, shift].map(|t| t.clone().expand([batch, channels]));
        return Some(backend::group_norm(x.clone(), scale, shift, options));
    }
    #[cfg(not(any(feature = "flex", feature = "wgpu")))]
    let _ = (x, scale, shift, options);
    None
}

/// `module.forward(x)`.
///
/// # Shapes
///
/// As [`Linear::forward`].
pub(crate) fn linear(module: &Linear, x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "wgpu")]
    if sampling::serves(&x)
        && let Some(y) = sampling::linear_rows(module, &x)
    {
        return y;
    }
    module.forward(x)
}

/// `silu(norm(x · weight + bias) · (1 + scale) + shift)`; `None` where there is no kernel for it.
///
/// # Shapes
///
/// `x` and the result: `[batch, channels, height, width]`; `weight`, `bias`: `[channels]`; `modulation`, scales and then
/// shifts: `[at least batch, 2 · channels]`.
pub(crate) fn modulated_group_norm(
    x: &Tensor<4>,
    [weight, bias]: [Tensor<1>; 2],
    modulation: &Tensor<2>,
    options: GroupNormOptions,
) -> Option<Tensor<4>> {
    #[cfg(feature = "wgpu")]
    if sampling::serves(x) {
        let (x, modulation) = (x.clone(), modulation.clone());
        return Some(sampling::modulated_group_norm(
            x, weight, bias, modulation, options,
        ));
    }
    #[cfg(not(feature = "wgpu"))]
    let _ = (x, weight, bias, modulation, options);
    None
}

/// x and what self-attention over the pixels of the normalised x makes of it; `None` where there is no kernel for it.
///
/// # Shapes
///
/// `x`, `normalized` and the result: `[batch, channels, height, width]`; `qkv` makes queries, keys and values, within each
/// head after head, and `output` takes the heads' results.
pub(crate) fn attention(
    x: &Tensor<4>,
    normalized: &Tensor<4>,
    [qkv, output]: [&Linear; 2],
    heads: usize,
) -> Option<Tensor<4>> {
    #[cfg(feature = "wgpu")]
    if sampling::serves(x) {
        return sampling::attention(x.clone(), normalized.clone(), qkv, output, heads);
    }
    #[cfg(not(feature = "wgpu"))]
    let _ = (x, normalized, qkv, output, heads);
    None
}

/// An image of half the height and width, by averaging 2×2 pixels; `None` where there is no kernel for it.
///
/// # Shapes
///
/// `x`: `[batch, channels, height, width]`; the result: `[batch, channels, height / 2, width / 2]`.
pub(crate) fn halve(x: &Tensor<4>) -> Option<Tensor<4>> {
    #[cfg(feature = "wgpu")]
    if sampling::serves(x) && x.dims()[2..].iter().all(|size| size.is_multiple_of(2)) {
        return Some(sampling::halve(x.clone()));
    }
    #[cfg(not(feature = "wgpu"))]
    let _ = x;
    None
}

/// An image of twice the height and width, by repeating pixels; `None` where there is no kernel for it.
///
/// # Shapes
///
/// `x`: `[batch, channels, height, width]`; the result: `[batch, channels, 2 · height, 2 · width]`.
pub(crate) fn double(x: &Tensor<4>) -> Option<Tensor<4>> {
    #[cfg(feature = "wgpu")]
    if sampling::serves(x) {
        return Some(sampling::double(x.clone()));
    }
    #[cfg(not(feature = "wgpu"))]
    let _ = x;
    None
}

#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests;
