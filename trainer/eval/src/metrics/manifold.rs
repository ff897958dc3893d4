//! Everything that is read off the distances between generated and real images, in one pass over them.

use super::MetricError;
use super::density_coverage::DensityCoverage;
use super::distances::{for_each_tile, for_each_tile_below_the_diagonal};
use super::neighbours::Neighbours;
use super::precision_recall::PrecisionRecall;
use crate::features::Rows;

/// The number of neighbours kept per point: the most that any metric here needs.
pub(super) const NEIGHBOURS: usize = 5;

/// Features, with the distances from each to its nearest neighbours.
pub struct Manifold {
    rows: Rows,
    /// Squared distances to the nearest other rows, in ascending order.
    nearest: Vec<[f64; NEIGHBOURS]>,
}

impl Manifold {
    /// Finds the nearest neighbours of every row.
    ///
    /// # Errors
    ///
    /// [`MetricError::TooFewForNeighbours`].
    pub fn new(rows: Rows) -> Result<Self, MetricError> {
        if rows.len() <= NEIGHBOURS {
            return Err(MetricError::TooFewForNeighbours {
                samples: rows.len(),
                neighbours: NEIGHBOURS,
            });
        }
        let mut nearest = vec![[f64::INFINITY; NEIGHBOURS]; rows.len()];
        for_each_tile_below_the_diagonal(&rows, |i, j, tile| {
            for c in 0..tile.ncols() {
                let below = (j + c + 1).saturating_sub(i);
                for r in below..tile.nrows() {
                    insert(&mut nearest[i + r], tile[(r, c)]);
                    insert(&mut nearest[j + c], tile[(r, c)]);
                }
            }
        });
        Ok(Self { rows, nearest })
    }

    /// The features.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The squared distance from row `index` to its `k`-th nearest neighbour, counted from 1.
    pub(super) fn radius(&self, index: usize, k: usize) -> f64 {
        self.nearest[index][k - 1]
    }
}

/// Keeps in `nearest` the smallest values seen, in ascending order.
fn insert(nearest: &mut [f64; NEIGHBOURS], value: f64) {
    // Nearly all values are too large.
    if value < nearest[NEIGHBOURS - 1] {
        let place = nearest.partition_point(|&n| n <= value);
        nearest[place..].rotate_right(1);
        nearest[place] = value;
    }
}

/// How generated images are distributed relative to real ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The share of generated images within the real manifold (Kynkäänniemi et al. 2019).
    pub precision: f64,
    /// The share of real images within the generated manifold.
    pub recall: f64,
    /// The mean number of real neighbourhoods that contain a generated image, divided by k (Naeem et al. 2020).
    pub density: f64,
    /// The share of real neighbourhoods that contain a generated image.
    pub coverage: f64,
    /// The share of generated images that are farther from their nearest training image than that image is from its own
    /// nearest neighbour (Alaa et al. 2022).
    pub authenticity: f64,
    /// For every generated image, the index of the nearest real image and the distance to it.
    pub nearest: Vec<(usize, f64)>,
}

impl Comparison {
    /// Compares generated with real images.
    pub fn of(real: &Manifold, generated: &Manifold) -> Self {
        let mut precision_recall = PrecisionRecall::new(real, generated);
        let mut density_coverage = DensityCoverage::new(real);
        let mut neighbours = Neighbours::new(generated.rows.len());
        for_each_tile(&generated.rows, &real.rows, |i, j, tile| {
            for c in 0..tile.ncols() {
                for r in 0..tile.nrows() {
                    let (generated, real, square) = (i + r, j + c, tile[(r, c)]);
                    precision_recall.see(generated, real, square);
                    density_coverage.see(real, square);
                    neighbours.see(generated, real, square);
                }
            }
        });
        let (precision, recall) = precision_recall.finish();
        let (density, coverage) = density_coverage.finish(generated.rows.len());
        Self {
            precision,
            recall,
            density,
            coverage,
            authenticity: neighbours.authenticity(real),
            nearest: neighbours.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_are_kept_in_order() {
        let mut nearest = [f64::INFINITY; NEIGHBOURS];
        for value in [5.0, 1.0, 9.0, 3.0, 3.0, 0.5, 7.0] {
            insert(&mut nearest, value);
        }
        assert_eq!(nearest, [0.5, 1.0, 3.0, 3.0, 5.0]);
    }
}
