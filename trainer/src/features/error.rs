//! Why a feature network cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

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
    /// A tensor that the network needs is not in the file.
    #[error("the weights have no tensor {name:?}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor of another shape.
    #[error("tensor {name:?} has the shape {found:?}, and the network needs {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape that it has.
        found: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// The device or the ONNX runtime failed.
    #[error("the feature network failed: {0}")]
    Run(String),
}
