//! The Fréchet distance between two sets of features.

use faer::{Mat, Side};
use freeguide::noise::{NoiseStream, Purpose};

use super::{MetricError, Moments};
use crate::features::Rows;

/// The number of times that images are drawn again for a standard deviation.
pub const REPLICATES: usize = 10;

/// d² = |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), the squared Fréchet (2-Wasserstein) distance of the Gaussians with
/// the moments of the two sets (Dowson & Landau 1982; Heusel et al. 2017, who call it FID for Inception's features).
///
/// Tr (Σ₁ Σ₂)^½ is the sum of the square roots of the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric. This avoids the
/// square root of an asymmetric matrix, and imaginary parts that would have to be dropped.
///
/// # Errors
///
/// [`MetricError::TooFewForCovariance`], [`MetricError::Eigenvalues`].
///
/// # Panics
///
/// If the two have features of different lengths.
pub fn frechet_distance(a: &Moments, b: &Moments) -> Result<f64, MetricError> {
    Reference::new(a)?.distance(b)
}

/// One side of Fréchet distances: its mean, and what of the distance depends on its covariance alone.
pub struct Reference {
    mean: Vec<f64>,
    /// Tr Σ
    trace: f64,
    /// Σ^½
    root: Mat<f64>,
}

impl Reference {
    /// Distances from the set with these moments.
    ///
    /// # Errors
    ///
    /// As [`frechet_distance`].
    pub fn new(moments: &Moments) -> Result<Self, MetricError> {
        let covariance = moments.covariance()?;
        Ok(Self {
            mean: moments.mean().to_vec(),
            trace: trace(&covariance),
            root: square_root(&covariance)?,
        })
    }

    /// The distance of another set.
    ///
    /// # Errors
    ///
    /// As [`frechet_distance`].
    ///
    /// # Panics
    ///
    /// If its features have another length.
    pub fn distance(&self, other: &Moments) -> Result<f64, MetricError> {
        assert_eq!(
            self.mean.len(),
            other.mean().len(),
            "features of one network"
        );
        let covariance = other.covariance()?;
        let pairs = self.mean.iter().zip(other.mean());
        let square: f64 = pairs.map(|(x, y)| (x - y).powi(2)).sum();
        let product = &self.root * &covariance * &self.root;
        let eigenvalues = product
            .self_adjoint_eigenvalues(Side::Lower)
            .map_err(|_| MetricError::Eigenvalues)?;
        let cross: f64 = eigenvalues.iter().map(|v| v.max(0.0).sqrt()).sum();
        Ok(square + self.trace + trace(&covariance) - 2.0 * cross)
    }

    /// The standard deviation of the distance of `rows` by the bootstrap (Efron 1979): that of sets of as many rows, drawn
    /// from them with replacement. It says how far another choice of images could move the distance. The sets are the same
    /// in every run.
    ///
    /// # Errors
    ///
    /// As [`frechet_distance`].
    pub fn deviation(&self, rows: &Rows) -> Result<f64, MetricError> {
        let count = rows.len() as u32;
        let distances: Vec<f64> = (0..REPLICATES as u64)
            .map(|replicate| {
                let mut stream = NoiseStream::new(Purpose::Evaluation, 3, replicate, 0);
                let drawn: Vec<usize> = (0..count).map(|_| stream.below(count) as usize).collect();
                self.distance(&Moments::of(&rows.select(&drawn))?)
            })
            .collect::<Result<_, _>>()?;
        let mean = distances.iter().sum::<f64>() / REPLICATES as f64;
        let squares: f64 = distances.iter().map(|d| (d - mean).powi(2)).sum();
        Ok((squares / (REPLICATES - 1) as f64).sqrt())
    }
}

/// The positive square root of a symmetric positive matrix.
fn square_root(matrix: &Mat<f64>) -> Result<Mat<f64>, MetricError> {
    let eigen = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| MetricError::Eigenvalues)?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    // V diag(λ^¼) times its transpose is symmetric to the last bit.
    let scaled = Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| {
        vectors[(i, j)] * values[j].max(0.0).powf(0.25)
    });
    Ok(&scaled * scaled.transpose())
}

fn trace(matrix: &Mat<f64>) -> f64 {
    (0..matrix.nrows()).map(|i| matrix[(i, i)]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Rows;

    /// Corners of a box: mean `centre`, and axes that are independent of each other.
    fn corners(centre: [f32; 2], half: [f32; 2]) -> Moments {
        let signs = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)];
        let values = signs
            .iter()
            .flat_map(|(x, y)| [centre[0] + x * half[0], centre[1] + y * half[1]])
            .collect();
        Moments::of(&Rows::new(2, values)).unwrap()
    }

    #[test]
    fn it_is_exact_where_the_covariances_are_diagonal() {
        let a = corners([0.0, 1.0], [1.0, 2.0]);
        let b = corners([3.0, 1.0], [2.0, 0.5]);
        // Standard deviations are half · √(4/3): 4 points, n − 1 = 3.
        let expected = 9.0 + 4.0 / 3.0 * ((1.0f64 - 2.0).powi(2) + (2.0f64 - 0.5).powi(2));
        assert!((frechet_distance(&a, &b).unwrap() - expected).abs() < 1e-12);
        assert!(frechet_distance(&a, &a).unwrap().abs() < 1e-12);
    }

    #[test]
    fn the_bootstrap_agrees_with_the_spread_of_fresh_sets() {
        let set = |stream, count: usize| {
            let mut values = vec![0f32; 4 * count];
            NoiseStream::new(Purpose::Evaluation, 100, stream, 0).fill_normal(&mut values);
            // Another mean than the reference's, so that the distance is nearly a sum over images.
            Rows::new(4, values.iter().map(|v| v + 2.0).collect())
        };
        let mut standard = vec![0f32; 4 * 4000];
        NoiseStream::new(Purpose::Evaluation, 101, 0, 0).fill_normal(&mut standard);
        let reference = Reference::new(&Moments::of(&Rows::new(4, standard)).unwrap()).unwrap();
        let fresh: Vec<f64> = (0..200)
            .map(|k| {
                reference
                    .distance(&Moments::of(&set(k, 400)).unwrap())
                    .unwrap()
            })
            .collect();
        let mean = fresh.iter().sum::<f64>() / 200.0;
        let spread = (fresh.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 199.0).sqrt();
        let estimates: f64 = (0..20)
            .map(|k| reference.deviation(&set(k, 400)).unwrap())
            .sum();
        let ratio = estimates / 20.0 / spread;
        assert!((0.8..1.25).contains(&ratio), "{ratio}");
        // Four times the images halve the deviation.
        let more: f64 = (0..20)
            .map(|k| reference.deviation(&set(k, 1600)).unwrap())
            .sum();
        assert!(
            (0.4..0.62).contains(&(more / estimates)),
            "{}",
            more / estimates
        );
    }
}
