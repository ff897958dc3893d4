//! Why a feature network cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Unrecognised;

/// Why a feature network cannot be used.
#[derive(Debug, Error)]
pub enum FeatureError {
    /// Neither a network that comes with the program nor a file.
    #[error(
        "there is no feature network {0:?}: give resnet20, resnet56 or the path of a weights file"
    )]
    Unknown(String),
    /// A file that cannot be read.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A weights file that is no feature network.
    #[error("{} {reason}", .path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: Unrecognised,
    },
    /// A file that is not what its name says.
    #[error("{}: {reason}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weights file with another hash than the one that the figures are defined by.
    #[error(
        "{} has the SHA-256 {found}, and FID's Inception-v3 ({file}) has {expected}: figures made with other weights are not FID",
        .path.display()
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// The name of the right file.
        file: &'static str,
        /// The hash that it should have.
        expected: &'static str,
        /// The hash that it has.
        found: String,
    },
    /// The device or the ONNX runtime failed.
    #[error("the feature network failed: {0}")]
    Run(String),
}
