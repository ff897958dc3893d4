//! Why a feature network cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Unrecognised;

/// Why a feature network cannot be used.
#[derive(Debug, Error)]
pub enum FeatureError {
    /// The name is neither a network of the program nor a file.
    #[error(
        "there is no feature network {0:?}: name resnet20, resnet56 or the path of a weights file"
    )]
    Unknown(String),
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A weights file is not a feature network.
    #[error("{} {reason}", .path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: Unrecognised,
    },
    /// A file does not contain what its name says.
    #[error("{}: {reason}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weights file has another hash than the one that defines the metric.
    #[error(
        "{} has the SHA-256 {found}, but FID's Inception-v3 ({file}) has {expected}: metrics made with other weights are not FID",
        .path.display()
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// The name of the right file.
        file: &'static str,
        /// The expected hash.
        expected: &'static str,
        /// The actual hash.
        found: String,
    },
    /// The device or the ONNX runtime failed.
    #[error("the feature network failed: {0}")]
    Run(String),
}
