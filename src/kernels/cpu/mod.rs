//! The operations on burn's CPU backend: kernels in SIMD, on all cores where the feature `rayon` is on.

#[cfg(feature = "autodiff")]
mod bias_gradient;
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
mod weights;
mod winograd;
mod winograd_transforms;

pub use channels_last::{ConvolutionWeights, Panels};
pub(crate) use threads::{count as thread_count, for_each_chunk};
#[cfg(feature = "autodiff")]
pub(crate) use threads::{in_order, map};
pub use weight_cache::WeightCache;
pub(crate) use weight_cache::cached_weight_bytes;
