//! Density and coverage.

use super::manifold::{Manifold, NEIGHBOURS};
use super::precision_recall::share;

/// Density is the mean number of real neighbourhoods (k = 5) that contain a generated image, divided by k. Coverage is
/// the share of real neighbourhoods that contain a generated image (Naeem et al. 2020, equations 3 and 4). Unlike
/// precision, density hardly changes with a single outlier among the real images.
pub struct DensityCoverage {
    radius: Vec<f64>,
    inside: u64,
    covered: Vec<bool>,
}

impl DensityCoverage {
    pub fn new(real: &Manifold) -> Self {
        let count = real.rows().len();
        Self {
            radius: (0..count).map(|i| real.radius(i, NEIGHBOURS)).collect(),
            inside: 0,
            covered: vec![false; count],
        }
    }

    /// Records a pair and its squared distance.
    pub fn see(&mut self, real: usize, square: f64) {
        if square <= self.radius[real] {
            self.inside += 1;
            self.covered[real] = true;
        }
    }

    /// Returns (density, coverage) for this number of generated images.
    pub fn finish(self, generated: usize) -> (f64, f64) {
        let density = self.inside as f64 / (NEIGHBOURS * generated) as f64;
        (density, share(&self.covered))
    }
}
