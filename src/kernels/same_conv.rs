//! The layer of the convolutions that keep the size of an image.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, Tensor};

use crate::initial::Initial;

#[cfg(any(feature = "flex", feature = "wgpu"))]
use super::backend;
#[cfg(feature = "flex")]
use super::cpu::channels_last::{self, Arena, Image, Parameter};
use super::cpu::{ConvolutionWeights, WeightCache};

/// A convolution of stride 1 whose zero padding keeps the size of the image, with a bias.
///
/// Its parameters are those of burn's `Conv2d`, by the same names. On the CPU, a network that is not trained keeps
/// small weights in the order in which kernels read them. A copy of the layer, which shares its weights, shares those.
#[derive(Module, Debug)]
pub struct SameConv2d {
    /// `[outputs, inputs, kernel, kernel]`, of an odd kernel.
    pub(super) weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub(super) bias: Param<Tensor<1>>,
    #[module(skip)]
    cache: Arc<WeightCache>,
    #[module(skip)]
    rows: Arc<WeightCache<ConvolutionWeights>>,
}

impl SameConv2d {
    /// A layer initialised as burn's convolutions are; `kernel` is odd.
    pub(crate) fn new(channels: [usize; 2], kernel: usize, device: &Device) -> Self {
        let fan = channels[0] * kernel * kernel;
        Self::with(Initial::Uniform { fan }, channels, kernel, device)
    }

    /// A layer that answers zero.
    pub(crate) fn zeros(channels: [usize; 2], kernel: usize, device: &Device) -> Self {
        Self::with(Initial::Zeros, channels, kernel, device)
    }

    fn with(
        initial: Initial,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        device: &Device,
    ) -> Self {
        Self {
            weight: initial.parameter([outputs, inputs, kernel, kernel], device),
            bias: initial.parameter([outputs], device),
            cache: Arc::default(),
            rows: Arc::default(),
        }
    }

    /// `[outputs, inputs, kernel, kernel]`.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(crate) fn weight(&self) -> Tensor<4> {
        self.weight.val()
    }

    /// `[outputs]`.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(crate) fn bias(&self) -> Tensor<1> {
        self.bias.val()
    }

    /// Gives back what sampling keeps.
    #[cfg(all(feature = "flex", feature = "autodiff"))]
    pub(crate) fn clear_rows(&self) {
        self.rows.clear();
    }

    #[cfg(all(feature = "flex", feature = "autodiff"))]
    pub(crate) fn weight_parameter(&self) -> &Param<Tensor<4>> {
        &self.weight
    }

    #[cfg(all(feature = "flex", feature = "autodiff"))]
    pub(crate) fn bias_parameter(&self) -> &Param<Tensor<1>> {
        &self.bias
    }

    /// The type of its numbers.
    pub(crate) fn dtype(&self) -> DType {
        self.weight.dtype()
    }

    /// What it has cache of its weights.
    #[cfg(all(test, feature = "flex"))]
    pub(super) fn cached_weights(&self) -> Option<(usize, u64)> {
        self.cache.packed()
    }

    /// Whether it keeps weights for [`rows`](Self::rows).
    #[cfg(all(test, feature = "flex"))]
    pub(crate) fn keeps_rows(&self) -> bool {
        self.rows.keeps()
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, inputs, height, width]`.
    /// - result: `[batch, outputs, height, width]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.rows.clear();
        let (weight, bias) = (self.weight.val(), self.bias.val());
        #[cfg(any(feature = "flex", feature = "wgpu"))]
        if backend::convolves(&x) {
            return backend::convolve(x, weight, bias, Some(self.cache.clone()));
        }
        let padding = [weight.dims()[2] / 2; 2];
        let options = ConvOptions::new([1, 1], padding, [1, 1], 1);
        conv2d(x, weight, Some(bias), options)
    }

    /// Whether [`rows`](Self::rows) serves: its weights are 32-bit floats on burn's CPU backend, and not to be trained.
    #[cfg(feature = "flex")]
    pub(crate) fn has_rows(&self) -> bool {
        Parameter::of(self.weight.val()).is_some()
    }

    /// [`forward`](Self::forward) on one thread, for a network on the CPU, and the sum with `add`. The border of `x` is half
    /// a kernel.
    #[cfg(feature = "flex")]
    pub(crate) fn rows(&self, arena: &mut Arena, x: &Image, add: Option<&Image>) -> Image {
        let (weight, bias) = (Parameter::known(&self.weight), Parameter::known(&self.bias));
        let [outputs, inputs, kernel, _] = self.weight.dims();
        let shape = [outputs, inputs, kernel];
        channels_last::convolve(arena, x, [&weight, &bias], shape, &self.rows, add)
    }
}
