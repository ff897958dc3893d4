//! The operations of burn's GPU backends: each makes its tensors contiguous and launches a kernel.

use std::sync::Arc;

#[cfg(all(feature = "fusion", feature = "autodiff"))]
use burn::backend::fusion::{Fusion, FusionBackend};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

#[cfg(feature = "autodiff")]
use super::super::backend::KernelGradients;
use super::super::backend::Kernels;
use super::super::cpu::WeightCache;
use super::super::options::GroupNormOptions;
use super::{convolution, group_norm};

impl Kernels for CubeBackend {
    fn fused_group_norm(
        x: CubeTensor,
        scale: CubeTensor,
        shift: CubeTensor,
        options: GroupNormOptions,
    ) -> CubeTensor {
        group_norm::group_norm(into_contiguous(x), scale, shift, options)
    }

    fn same_convolution(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        _: Option<Arc<WeightCache>>,
    ) -> CubeTensor {
        let [x, weight, bias] = [x, weight, bias].map(into_contiguous);
        convolution::convolve(x, weight, bias)
    }
}

#[cfg(all(not(feature = "fusion"), feature = "autodiff"))]
impl KernelGradients for CubeBackend {}

#[cfg(all(feature = "fusion", feature = "autodiff"))]
impl<B: FusionBackend + Kernels> KernelGradients for Fusion<B> {}
