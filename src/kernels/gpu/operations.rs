//! The operations of burn's GPU backends: each makes its tensors contiguous and launches a kernel.

use std::sync::Arc;

#[cfg(feature = "autodiff")]
use burn::backend::fusion::{Fusion, FusionBackend};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

#[cfg(feature = "autodiff")]
use super::super::backend::KernelGradients;
use super::super::backend::Kernels;
use super::super::cpu::WeightCache;
use super::super::options::GroupNormOptions;
use super::sampling::SamplingKernels;
use super::{attention, convolution, group_norm, linear, resample};

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
        convolution::convolve(x, weight, bias, None)
    }
}

impl SamplingKernels for CubeBackend {
    fn modulated_group_norm(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        modulation: CubeTensor,
        options: GroupNormOptions,
    ) -> CubeTensor {
        let [x, weight, bias, modulation] = [x, weight, bias, modulation].map(into_contiguous);
        group_norm::modulated(x, weight, bias, modulation, options)
    }

    fn same_convolution_add(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        rest: CubeTensor,
    ) -> CubeTensor {
        let [x, weight, bias, rest] = [x, weight, bias, rest].map(into_contiguous);
        convolution::convolve(x, weight, bias, Some(rest))
    }

    fn project(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
        let [x, weight, bias] = [x, weight, bias].map(into_contiguous);
        convolution::project(x, weight, bias, None)
    }

    fn project_add(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        rest: CubeTensor,
    ) -> CubeTensor {
        let [x, weight, bias, rest] = [x, weight, bias, rest].map(into_contiguous);
        convolution::project(x, weight, bias, Some(rest))
    }

    fn attend(qkv: CubeTensor, heads: usize) -> CubeTensor {
        attention::attend(into_contiguous(qkv), heads)
    }

    fn linear_rows(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
        let [x, weight, bias] = [x, weight, bias].map(into_contiguous);
        linear::linear_rows(x, weight, bias)
    }

    fn halve(x: CubeTensor) -> CubeTensor {
        resample::halve(into_contiguous(x))
    }

    fn double(x: CubeTensor) -> CubeTensor {
        resample::double(into_contiguous(x))
    }
}

#[cfg(feature = "autodiff")]
impl<B: FusionBackend + Kernels> KernelGradients for Fusion<B> {}
