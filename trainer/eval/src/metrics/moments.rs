//! Mean and covariance of features, as they stream past.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, Par};

use super::MetricError;
use crate::features::Rows;

/// The number of rows processed at a time. Their copy in f64 stays small beside the covariance.
const BLOCK: usize = 1024;

/// Mean and covariance of the rows seen so far, in f64.
///
/// Each block is centred on its own mean before it is squared and merged (Chan, Golub & LeVeque 1983), so nothing
/// cancels, however far the mean is from 0. The memory is that of one covariance and one block.
#[derive(Debug, Clone)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    /// Σ (x − μ)(x − μ)ᵀ, only the lower triangle, because the matrix is symmetric.
    scatter: Mat<f64>,
}

impl Moments {
    /// Empty moments of rows with `width` features each.
    pub fn new(width: usize) -> Self {
        Self {
            count: 0,
            mean: vec![0.0; width],
            scatter: Mat::zeros(width, width),
        }
    }

    /// The moments of all `rows`.
    pub fn of(rows: &Rows) -> Result<Self, MetricError> {
        let mut moments = Self::new(rows.width());
        moments.add(rows)?;
        Ok(moments)
    }

    /// Adds `rows`.
    ///
    /// # Errors
    ///
    /// [`MetricError::NotFinite`].
    pub fn add(&mut self, rows: &Rows) -> Result<(), MetricError> {
        let width = self.mean.len();
        for block in rows.values().chunks(BLOCK * width.max(1)) {
            if !block.iter().all(|v| v.is_finite()) {
                return Err(MetricError::NotFinite);
            }
            self.add_block(block, width);
        }
        Ok(())
    }

    fn add_block(&mut self, block: &[f32], width: usize) {
        let count = block.len() / width;
        let mut mean = vec![0.0f64; width];
        for row in block.chunks_exact(width) {
            for (sum, &value) in mean.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        mean.iter_mut().for_each(|m| *m /= count as f64);
        // One column per image, so that both are read in memory order.
        let centred = Mat::from_fn(width, count, |j, i| {
            f64::from(block[i * width + j]) - mean[j]
        });
        self.square(&centred, 1.0);

        let total = self.count + count as u64;
        let share = count as f64 / total as f64;
        let step = Mat::from_fn(width, 1, |j, _| mean[j] - self.mean[j]);
        self.square(&step, self.count as f64 * share);
        for (m, j) in self.mean.iter_mut().zip(0..) {
            *m += step[(j, 0)] * share;
        }
        self.count = total;
    }

    /// scatter += factor · vectors vectorsᵀ.
    fn square(&mut self, vectors: &Mat<f64>, factor: f64) {
        matmul(
            &mut self.scatter,
            BlockStructure::TriangularLower,
            Accum::Add,
            vectors,
            BlockStructure::Rectangular,
            vectors.transpose(),
            BlockStructure::Rectangular,
            factor,
            Par::rayon(0),
        );
    }

    /// μ, `[width]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Σ with n − 1 in the denominator, `[width, width]`.
    ///
    /// # Errors
    ///
    /// [`MetricError::TooFewForCovariance`] where it would not have full rank.
    pub fn covariance(&self) -> Result<Mat<f64>, MetricError> {
        if self.count <= self.mean.len() as u64 {
            return Err(MetricError::TooFewForCovariance {
                samples: self.count,
                features: self.mean.len(),
            });
        }
        let factor = 1.0 / (self.count - 1) as f64;
        let width = self.mean.len();
        Ok(Mat::from_fn(width, width, |i, j| {
            factor * self.scatter[(i.max(j), i.min(j))]
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_and_the_size_of_blocks_do_not_matter() {
        // Far from 0, where a sum of squares would lose every digit.
        let values: Vec<f32> = (0..3000 * 3)
            .map(|i| 1e4 + ((i * 7919) % 1013) as f32 / 64.0)
            .collect();
        let all = Moments::of(&Rows::new(3, values.clone())).unwrap();
        let mut parts = Moments::new(3);
        for part in values.chunks(3 * 700) {
            parts.add(&Rows::new(3, part.to_vec())).unwrap();
        }
        assert_eq!((all.count, parts.count), (3000, 3000));
        let (a, b) = (all.covariance().unwrap(), parts.covariance().unwrap());
        for i in 0..3 {
            assert!((all.mean()[i] - parts.mean()[i]).abs() < 1e-9);
            for j in 0..3 {
                assert!((a[(i, j)] - b[(i, j)]).abs() < 1e-9 * a[(i, i)]);
            }
        }
        // Against the definition.
        let mean = values.iter().step_by(3).map(|&v| f64::from(v)).sum::<f64>() / 3000.0;
        let variance = values
            .iter()
            .step_by(3)
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / 2999.0;
        assert!((a[(0, 0)] - variance).abs() < 1e-9 * variance);
    }

    #[test]
    fn a_covariance_needs_more_rows_than_features() {
        let moments = Moments::of(&Rows::new(4, vec![1.0; 16])).unwrap();
        let error = moments.covariance().unwrap_err().to_string();
        assert_eq!(
            error,
            "4 images are too few for the covariance of 4 features: at least 5 are needed"
        );
        let bad = Moments::of(&Rows::new(1, vec![f32::NAN]));
        assert_eq!(bad.unwrap_err(), MetricError::NotFinite);
    }
}
