//! A network's layers with the channels of a pixel beside each other, for some rows of a batch on one thread.
//!
//! Vectors are filled with channels, of which there are enough wherever an image is small; every layer writes what the next
//! one reads, border included; and activations lie in memory that is used again. An evaluation is divided into rows before
//! its first layer, so that threads meet once, at its end.

mod attention;
#[cfg(feature = "autodiff")]
mod attention_gradient;
mod convolution;
#[cfg(feature = "autodiff")]
mod gradients;
mod group_norm;
#[cfg(feature = "autodiff")]
mod group_norm_gradient;
mod image;
mod layers;
mod memory;
mod minimal_filtering;
#[cfg(feature = "autodiff")]
mod outer;
#[cfg(feature = "autodiff")]
mod planes;
mod product;
#[cfg(feature = "autodiff")]
mod training;
#[cfg(feature = "autodiff")]
mod weight_gradient;

pub(crate) use attention::attend;
pub use convolution::ConvolutionWeights;
pub(crate) use group_norm::{Norm, bordered, resampled};
pub(crate) use image::{Image, from_planes, joined, to_planes};
pub(crate) use layers::{Parameter, convolve, halve, linear};
pub(crate) use memory::{Arena, Arenas};
pub use product::Panels;

#[cfg(feature = "autodiff")]
pub(crate) use {
    attention_gradient::attend_backward,
    convolution::convolve as convolve_packed,
    gradients::{add, add_pixel_sums, joined_backward, resampled_backward},
    memory::Values,
    minimal_filtering::{INPUTS, covers},
    training::{Direction, packed_convolution, packed_linear},
    weight_gradient::WeightShape,
};
#[cfg(feature = "autodiff")]
pub(super) use {training::convolve_planes, weight_gradient::weight_gradient};
