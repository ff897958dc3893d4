//! The operations on burn's GPU backends, as kernels in CubeCL, which compiles them to WGSL or SPIR-V.
//!
//! Nothing here is timed to choose a kernel, which browsers do not allow: sizes alone decide.

mod allocation;
mod convolution;
mod grid;
mod group_norm;
mod operations;
#[cfg(all(test, feature = "flex", feature = "autodiff"))]
pub(crate) mod tests;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub(crate) mod unet;
