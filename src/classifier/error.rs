//! Errors of loading and applying a classifier.

use thiserror::Error;

use super::LayerError;
use crate::bundle::BundleError;

/// Why a classifier cannot be loaded or applied.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ClassifierError {
    /// The file is damaged.
    #[error(transparent)]
    File(#[from] BundleError),
    /// The file has no valid description.
    #[error("the classifier's file {0}")]
    Description(String),
    /// The file's tensors do not fit the network.
    #[error("the classifier's file: {0}")]
    Layers(#[from] LayerError),
    /// The bytes are not whole images.
    #[error("{bytes} bytes are not images of {side}×{side} pixels with {channels} channels")]
    Images {
        /// The number of bytes.
        bytes: usize,
        /// The expected height and width.
        side: usize,
        /// Values per pixel.
        channels: usize,
    },
}
