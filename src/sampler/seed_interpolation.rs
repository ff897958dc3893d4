//! Noise between the noises of two seeds.

use serde::{Deserialize, Serialize};

/// A second seed, and how far the noise is interpolated towards it. At every step the noise is the first seed's times
/// cos(πt/2) plus the second's times sin(πt/2), which is standard normal as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedInterpolation {
    /// The second seed, from 0 to [`MAX_SEED`](crate::noise::MAX_SEED).
    pub seed: u64,
    /// The fraction: 0 is the first seed alone, 1 the second alone; 0.5 if left out.
    #[serde(default = "half")]
    pub t: f64,
}

fn half() -> f64 {
    0.5
}
