//! The kernel distance, KID where the features are Inception's.

use faer::Mat;
use freeguide::noise::{NoiseStream, Purpose};

use super::MetricError;
use crate::features::Rows;

/// The number of subsets over which the distance is averaged.
pub const SUBSETS: usize = 100;
/// The number of images of a subset, unless there are fewer.
pub const SUBSET_SIZE: usize = 1000;

/// A kernel distance over subsets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelDistance {
    /// The mean over the subsets. It is unbiased and can therefore be negative.
    pub mean: f64,
    /// The standard deviation over the subsets.
    pub deviation: f64,
}

/// The unbiased squared maximum mean discrepancy with the kernel (x·y/d + 1)³, averaged over random subsets
/// (Bińkowski et al. 2018, section 4). The subsets are the same in every run.
///
/// # Errors
///
/// [`MetricError::TooFew`] with fewer than two images.
pub fn kernel_distance(
    a: &Rows,
    b: &Rows,
    subsets: usize,
    size: usize,
) -> Result<KernelDistance, MetricError> {
    let size = size.min(a.len()).min(b.len());
    if size < 2 || subsets == 0 {
        return Err(MetricError::TooFew {
            samples: size,
            needed: 2,
        });
    }
    // If a subset contains all images, one is enough.
    let subsets = if size == a.len() && size == b.len() {
        1
    } else {
        subsets
    };
    let estimates: Vec<f64> = (0..subsets as u32)
        .map(|k| {
            discrepancy(
                &subset(a, size, 2 * u64::from(k)),
                &subset(b, size, 2 * u64::from(k) + 1),
            )
        })
        .collect();
    let mean = estimates.iter().sum::<f64>() / subsets as f64;
    let variance = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / subsets as f64;
    Ok(KernelDistance {
        mean,
        deviation: variance.sqrt(),
    })
}

/// `size` rows without repetition.
fn subset(rows: &Rows, size: usize, stream: u64) -> Mat<f64> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    if size < rows.len() {
        NoiseStream::new(Purpose::Evaluation, 0, stream, 0).shuffle(&mut order);
    }
    Mat::from_fn(size, rows.width(), |i, j| f64::from(rows.row(order[i])[j]))
}

fn discrepancy(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    let n = a.nrows() as f64;
    let within = |rows: &Mat<f64>| {
        let (all, diagonal) = kernel_sums(rows, rows);
        (all - diagonal) / (n * (n - 1.0))
    };
    within(a) + within(b) - 2.0 * kernel_sums(a, b).0 / (n * n)
}

/// Σ k(xᵢ, yⱼ) over all pairs, and over those with i = j.
fn kernel_sums(a: &Mat<f64>, b: &Mat<f64>) -> (f64, f64) {
    let products = a * b.transpose();
    let kernel = |product: f64| (product / a.ncols() as f64 + 1.0).powi(3);
    let (mut all, mut diagonal) = (0.0, 0.0);
    for j in 0..products.ncols() {
        let column = products.col_as_slice(j);
        all += column.iter().map(|&p| kernel(p)).sum::<f64>();
        diagonal += kernel(column[j]);
    }
    (all, diagonal)
}
