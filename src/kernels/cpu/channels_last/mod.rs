//! A network's layers with the channels of a pixel beside each other, for some rows of a batch on one thread.
//!
//! Vectors are filled with channels, of which there are enough wherever an image is small; every layer writes what the next
//! one reads, border included; and activations lie in memory that is used again. An evaluation is divided into rows before
//! its first layer, so that threads meet once, at its end.

mod attention;
mod convolution;
mod group_norm;
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
pub(super) use training::{Direction, convolve_planes};
#[cfg(feature = "autodiff")]
pub(super) use weight_gradient::weight_gradient;
