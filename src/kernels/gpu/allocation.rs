//! Memory for the results of kernels.

use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// A tensor like another, of this shape, whose values are whatever the memory holds.
pub(super) fn empty_like(x: &CubeTensor, shape: [usize; 4]) -> CubeTensor {
    empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape.into(), x.dtype)
}
