//! The operations in which a network spends its time on a CPU, each in one pass over memory, as extensions of burn's
//! backends: group normalisation with what follows it, and the convolutions that keep the size of an image.
//!
//! On burn's CPU backend, in 32-bit floats, they run on kernels of this module, which carry their own derivatives. On
//! every other backend and in every other type, the network's modules compute the same from burn's operations. A
//! result never depends on the number of threads, nor an image's on the batch that it is in.

// A build that only samples has no use for the backward halves of these modules.
#[cfg(all(feature = "flex", feature = "autodiff"))]
mod autodiff;
#[cfg(feature = "flex")]
mod backend;
#[cfg(feature = "flex")]
mod buffer;
#[cfg(feature = "flex")]
#[cfg_attr(not(feature = "autodiff"), allow(dead_code))]
mod convolution;
#[cfg(feature = "flex")]
#[cfg_attr(not(feature = "autodiff"), allow(dead_code))]
mod group_norm;
#[cfg(feature = "flex")]
mod patches;
#[cfg(feature = "flex")]
mod simd;
#[cfg(feature = "flex")]
#[cfg_attr(not(feature = "autodiff"), allow(dead_code))]
mod threads;
#[cfg(feature = "flex")]
#[cfg_attr(not(feature = "autodiff"), allow(dead_code))]
mod tile;
#[cfg(all(feature = "flex", feature = "autodiff"))]
mod weight_gradient;
#[cfg(feature = "flex")]
mod winograd;
#[cfg(feature = "flex")]
mod winograd_transforms;

use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

/// How a group normalisation goes: over how many groups, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GroupNormOptions {
    /// Groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether SiLU follows.
    pub silu: bool,
}

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
    #[cfg(feature = "flex")]
    if backend::serves(x) {
        let [batch, channels, ..] = x.dims();
        let [scale, shift] = [scale, shift].map(|t| t.clone().expand([batch, channels]));
        return Some(backend::group_norm(x.clone(), scale, shift, options));
    }
    #[cfg(not(feature = "flex"))]
    let _ = (x, scale, shift, options);
    None
}

/// `module.forward(x)`.
///
/// # Shapes
///
/// As [`Conv2d::forward`].
pub(crate) fn convolve(module: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if backend::serves(&x)
        && let Some(y) = backend::convolve(module, &x)
    {
        return y;
    }
    module.forward(x)
}

#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests;
