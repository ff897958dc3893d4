//! The operations of burn's CPU backend.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;

use super::super::backend::Kernels;
use super::super::options::GroupNormOptions;
#[cfg(feature = "autodiff")]
use super::channels_last::{Direction, convolve_planes};
use super::convolution;
#[cfg(not(feature = "autodiff"))]
use super::convolution::Packed;
use super::values::{Values, norm, tensor, weights};
use super::weight_cache::WeightCache;

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
        cache: Option<Arc<WeightCache>>,
    ) -> FlexTensor {
        let (x, weight, bias) = (Values::of(x), Values::of(weight), Values::of(bias));
        let weights = weights(&weight, Some(&bias));
        let shape = x.images();
        let packed = match cache {
            Some(cache) => cache.pack(weight.tensor(), shape, weights),
            #[cfg(feature = "autodiff")]
            None => {
                let y = convolve_planes(x.get(), shape, weights, Direction::Forward);
                return tensor(y, shape.with_channels(weights.outputs));
            }
            #[cfg(not(feature = "autodiff"))]
            None => Arc::new(Packed::new(shape, weights)),
        };
        let y = convolution::convolve(x.get(), shape, weights, &packed);
        tensor(y, shape.with_channels(weights.outputs))
    }
}
