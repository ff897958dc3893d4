//! The operations on burn's CPU backend: kernels in SIMD, on all cores where the feature `rayon` is on.

mod buffer;
pub(crate) mod channels_last;
mod convolution;
mod direct;
#[cfg(feature = "autodiff")]
mod gradients;
mod group_norm;
#[cfg(feature = "autodiff")]
mod group_norm_gradient;
mod operations;
mod partition;
mod patches;
mod simd;
mod threads;
mod tile;
mod values;
mod weight_cache;
#[cfg(feature = "autodiff")]
mod weight_gradient;
mod weights;
mod winograd;
mod winograd_transforms;

pub use channels_last::{ConvolutionWeights, Panels};
pub(crate) use threads::for_each_chunk;
pub use weight_cache::WeightCache;
pub(crate) use weight_cache::cached_weight_bytes;
