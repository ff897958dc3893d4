//! Metrics, one a file. All take features or class probabilities of images and know nothing of where those came from.

mod accuracy;
mod density_coverage;
mod distances;
mod frechet;
mod inception_score;
mod kernel_distance;
mod manifold;
mod moments;
mod neighbours;
mod precision_recall;
#[cfg(test)]
mod reference_tests;

pub use accuracy::accuracy;
pub use frechet::{Reference, frechet_distance};
pub use inception_score::inception_score;
pub use kernel_distance::{SUBSET_SIZE, SUBSETS, kernel_distance};
pub use manifold::{Comparison, Manifold};
pub use moments::Moments;

use thiserror::Error;

/// Why a metric cannot be computed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MetricError {
    /// A covariance of d features needs d + 1 samples for full rank. With fewer, the distance says nothing.
    #[error(
        "{samples} images are too few for the covariance of {features} features: at least {} are needed", .features + 1
    )]
    TooFewForCovariance {
        /// The number of samples.
        samples: u64,
        /// The length of a feature vector.
        features: usize,
    },
    /// A neighbourhood needs more points than it has neighbours.
    #[error("{samples} images are too few for {neighbours} nearest neighbours: at least {} are needed", .neighbours + 1)]
    TooFewForNeighbours {
        /// The number of samples.
        samples: usize,
        /// k.
        neighbours: usize,
    },
    /// Every split of the Inception Score needs an image, and a kernel distance needs two.
    #[error("{samples} images are too few: at least {needed} are needed")]
    TooFew {
        /// The number of samples.
        samples: usize,
        /// The number of samples needed.
        needed: usize,
    },
    /// A feature is not finite.
    #[error("a feature is not a finite number: do the weights belong to this feature network?")]
    NotFinite,
    /// The eigenvalue decomposition did not converge.
    #[error("the eigenvalues of a covariance could not be computed")]
    Eigenvalues,
}
