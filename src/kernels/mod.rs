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

use burn::tensor::Tensor;

pub(crate) use cpu::cached_weight_bytes;
#[cfg(all(feature = "flex", feature = "autodiff"))]
pub(crate) use cpu::{ConvolutionWeights, in_order, map};
pub use cpu::{Panels, WeightCache};
#[cfg(feature = "flex")]
pub(crate) use cpu::{channels_last, for_each_chunk, thread_count};
#[cfg(all(
    test,
    feature = "wgpu",
    not(feature = "fusion"),
    feature = "flex",
    feature = "autodiff"
))]
pub(crate) use gpu::tests::gpu as test_gpu;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub(crate) use gpu::unet;
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

#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests;
