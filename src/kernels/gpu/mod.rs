//! The operations on burn's GPU backends, as kernels in CubeCL, which compiles them to WGSL or SPIR-V.
//!
//! Nothing here is timed to choose a kernel, which browsers do not allow: sizes alone decide.

mod attention;
mod convolution;
mod group_norm;
mod linear;
mod resample;
#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests;

use std::sync::Arc;

#[cfg(feature = "autodiff")]
use burn::backend::fusion::{Fusion, FusionBackend};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::GroupNormOptions;
#[cfg(feature = "autodiff")]
use super::backend::KernelGradients;
use super::backend::Kernels;
use super::kept::KeptWeights;
use super::sampling::SamplingKernels;

pub(super) use attention::attends;

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
        _: Option<Arc<KeptWeights>>,
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

/// A tensor like another, of this shape, whose values are whatever the memory holds.
fn empty_like(x: &CubeTensor, shape: [usize; 4]) -> CubeTensor {
    empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape.into(), x.dtype)
}
