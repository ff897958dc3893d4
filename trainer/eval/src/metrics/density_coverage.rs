//! Density and coverage.

use super::manifold::{Manifold, NEIGHBOURS};
use super::precision_recall::share;

/// Density is the mean number of real neighbourhoods (k = 5) that a generated image lies in, over k; coverage the share
/// of real neighbourhoods with a generated image in them (Naeem et al. 2020, equations 3 and 4). Unlike precision, one
/// outlier among the real images does not change density much.
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

    /// Hears of one pair and the square of its distance.
    pub fn see(&mut self, real: usize, square: f64) {
        if square <= self.radius[real] {
            self.inside += 1;
            self.covered[real] = true;
        }
    }

    /// (density, coverage) for that many generated images.
    pub fn finish(self, generated: usize) -> (f64, f64) {
        let density = self.inside as f64 / (NEIGHBOURS * generated) as f64;
        (density, share(&self.covered))
    }
}
