//! What several tests need.

#![allow(dead_code)]

use burn::tensor::{Device, Tensor};

pub use freeguide::gaussian_mixture::{GaussianMixture as Mixture, POINT_SHAPE as SHAPE};

/// The points of a batch `[n, 2, 1, 1]`.
pub fn points(batch: Tensor<4>) -> Vec<[f64; 2]> {
    let values: Vec<f64> = batch.into_data().iter::<f64>().collect();
    values.chunks_exact(2).map(|p| [p[0], p[1]]).collect()
}

/// The CPU.
pub fn device() -> Device {
    Device::flex()
}
