//! The operations on burn's GPU backends, as kernels in CubeCL, which compiles them to WGSL or SPIR-V.
//!
//! Nothing here is timed to choose a kernel, which browsers do not allow: sizes alone decide.

mod allocation;
mod attention;
mod convolution;
mod group_norm;
mod linear;
mod operations;
mod resample;
pub(super) mod sampling;
#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests;
