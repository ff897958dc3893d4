//! The Fréchet distance between two sets of features.

use faer::{Mat, Side};

use super::{MetricError, Moments};

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
    assert_eq!(a.mean().len(), b.mean().len(), "features of one network");
    let (covariance_a, covariance_b) = (a.covariance()?, b.covariance()?);
    let square: f64 = a
        .mean()
        .iter()
        .zip(b.mean())
        .map(|(x, y)| (x - y).powi(2))
        .sum();
    let root = square_root(&covariance_a)?;
    let product = &root * &covariance_b * &root;
    let eigenvalues = product
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| MetricError::Eigenvalues)?;
    let cross: f64 = eigenvalues.iter().map(|v| v.max(0.0).sqrt()).sum();
    Ok(square + trace(&covariance_a) + trace(&covariance_b) - 2.0 * cross)
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
}
