//! Every way in which a bundle can be broken.

use thiserror::Error;

use crate::network::NetworkError;

/// Why a bundle cannot be used. Nothing is half-loaded: there is a model or there is this.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum BundleError {
    /// A file that the bundle names, or `config.json` itself, is not there.
    #[error("{file} is missing")]
    MissingFile {
        /// The file's name.
        file: String,
    },
    /// A file could not be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file's name.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// `config.json` is not JSON.
    #[error("config.json is not valid JSON: {reason}")]
    BadJson {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// `config.json` is JSON, but not what a bundle holds: an unknown, missing or ill-typed field.
    #[error("config.json does not describe a model: {reason}")]
    BadConfig {
        /// What the parser says, naming the field.
        reason: String,
    },
    /// The bundle is of a newer format.
    #[error(
        "this bundle has format version {found} (written by {written_by}); this freeguide reads up to version {supported}: update it"
    )]
    NewerVersion {
        /// The bundle's version.
        found: u64,
        /// The newest version that this code reads.
        supported: u64,
        /// The program that wrote the bundle, by its own account.
        written_by: String,
    },
    /// The number of class names is not the number of classes of the weights.
    #[error(
        "config.json names {named} classes, but the weights were made for {trained} (and the null class)"
    )]
    ClassCount {
        /// Names in `config.json`.
        named: usize,
        /// Entries of the class embedding, less ∅.
        trained: usize,
    },
    /// The network cannot be built.
    #[error("config.json describes a network that cannot be built: {0}")]
    Network(NetworkError),
    /// The network is not the one that this program has.
    #[error("this bundle cannot be loaded here: {reason}")]
    OtherNetwork {
        /// Which one it is.
        reason: String,
    },
    /// A weights file is longer or shorter than `config.json` says.
    #[error(
        "{file} has {found} bytes where config.json says {expected}: the download was cut off or the file was changed"
    )]
    Length {
        /// The file's name.
        file: String,
        /// Bytes by `config.json`.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// A weights file has another SHA-256.
    #[error("{file} is damaged: its SHA-256 is {found} where config.json says {expected}")]
    Hash {
        /// The file's name.
        file: String,
        /// SHA-256 by `config.json`.
        expected: String,
        /// SHA-256 of what came.
        found: String,
    },
    /// A weights file is not a safetensors file.
    #[error("{file} is not a valid safetensors file: {reason}")]
    BadWeights {
        /// The file's name.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A tensor of the network is in none of the files.
    #[error("the weights lack the tensor {tensor} ({missing} are missing in all)")]
    MissingTensor {
        /// The first that is missing.
        tensor: String,
        /// How many are.
        missing: usize,
    },
    /// A file holds a tensor that the network has no place for.
    #[error("{file} holds a tensor {tensor} that this network has no place for")]
    UnknownTensor {
        /// The file's name.
        file: String,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor stands twice, in one file or in two.
    #[error("{file} holds the tensor {tensor}, which has come before")]
    DuplicateTensor {
        /// The name of the second file, or of the only one.
        file: String,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor has another shape than the network's.
    #[error("the tensor {tensor} has shape {found:?} where the network needs {expected:?}")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// A tensor has a type that weights do not have.
    #[error("the tensor {tensor} has type {found}; F32, F16 and I8 are understood")]
    DType {
        /// The tensor's name.
        tensor: String,
        /// The file's type.
        found: String,
    },
    /// A tensor of 8-bit integers has no scale that fits it.
    #[error("the 8-bit tensor {tensor} cannot be read: {reason}")]
    Scale {
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// A tensor holds NaN or an infinity.
    #[error("the tensor {tensor} holds a value that is not a finite number")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
    },
    /// Files were handed over in another order than the bundle's, or not at all.
    #[error("the weights file {found} was handed over where {expected} was due")]
    Order {
        /// The file that was due.
        expected: String,
        /// The file that came.
        found: String,
    },
}

impl From<NetworkError> for BundleError {
    fn from(error: NetworkError) -> Self {
        // Part of the message, and so no `source`, which whoever prints a chain would print again.
        Self::Network(error)
    }
}

impl BundleError {
    /// A short, stable name of the kind of error, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MissingFile { .. } => "missing-file",
            Self::Unreadable { .. } => "unreadable",
            Self::BadJson { .. } => "bad-json",
            Self::BadConfig { .. } => "bad-config",
            Self::NewerVersion { .. } => "newer-version",
            Self::ClassCount { .. } => "class-count",
            Self::Network(_) => "network",
            Self::OtherNetwork { .. } => "other-network",
            Self::Length { .. } => "length",
            Self::Hash { .. } => "hash",
            Self::BadWeights { .. } => "bad-weights",
            Self::MissingTensor { .. } => "missing-tensor",
            Self::UnknownTensor { .. } => "unknown-tensor",
            Self::DuplicateTensor { .. } => "duplicate-tensor",
            Self::Shape { .. } => "shape",
            Self::DType { .. } => "dtype",
            Self::Scale { .. } => "scale",
            Self::NotFinite { .. } => "not-finite",
            Self::Order { .. } => "order",
        }
    }
}
