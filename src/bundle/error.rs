//! Errors of loading a bundle.

use thiserror::Error;

use crate::network::NetworkError;

/// Why a bundle cannot be loaded. No model is ever loaded in part.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum BundleError {
    /// A file that the bundle names, or `config.json` itself, is missing.
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
        /// The system's message.
        reason: String,
    },
    /// `config.json` is not JSON.
    #[error("config.json is not valid JSON: {reason}")]
    BadJson {
        /// The parser's message, with line and column.
        reason: String,
    },
    /// `config.json` is JSON, but has an unknown, missing or invalid field.
    #[error("config.json does not describe a model: {reason}")]
    BadConfig {
        /// What is wrong with which field.
        reason: String,
    },
    /// The bundle has a newer format.
    #[error(
        "this bundle has format version {found} (written by {written_by}); this freeguide reads up to version {supported}: update it"
    )]
    NewerVersion {
        /// The bundle's version.
        found: u64,
        /// The newest version that this code reads.
        supported: u64,
        /// The program that wrote the bundle, as it says.
        written_by: String,
    },
    /// The number of class names is not the number of classes of the weights.
    #[error(
        "config.json names {named} classes, but the weights were made for {trained} (and the null class)"
    )]
    ClassCount {
        /// Names in `config.json`.
        named: usize,
        /// Entries of the class embedding, without ∅.
        trained: usize,
    },
    /// The model enlarges small pictures, which is not possible here.
    #[error(
        "this model enlarges pictures of {side}×{side} pixels, which so far only the command freeguide upscale does"
    )]
    NeedsPicture {
        /// The side of the pictures.
        side: usize,
    },
    /// The network cannot be built.
    #[error("config.json describes a network that cannot be built: {0}")]
    Network(NetworkError),
    /// The network is not one that this program can load.
    #[error("this bundle cannot be loaded here: {reason}")]
    OtherNetwork {
        /// What is needed to load it.
        reason: String,
    },
    /// A weights file is longer or shorter than `config.json` says.
    #[error(
        "{file} has {found} bytes where config.json says {expected}: the download was cut off or the file was changed"
    )]
    Length {
        /// The file's name.
        file: String,
        /// Bytes according to `config.json`.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// A weights file has another SHA-256.
    #[error("{file} is damaged: its SHA-256 is {found} where config.json says {expected}")]
    Hash {
        /// The file's name.
        file: String,
        /// SHA-256 according to `config.json`.
        expected: String,
        /// SHA-256 of the file.
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
    #[error("the weights lack the tensor {tensor} ({missing} are missing in total)")]
    MissingTensor {
        /// The first that is missing.
        tensor: String,
        /// The number of missing tensors.
        missing: usize,
    },
    /// A file has a tensor that the network does not have.
    #[error("{file} has the tensor {tensor}, which this network does not have")]
    UnknownTensor {
        /// The file's name.
        file: String,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor occurs twice, in one file or in two.
    #[error("{file} has the tensor {tensor} a second time")]
    DuplicateTensor {
        /// The name of the second file, or of the only one.
        file: String,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor does not have the network's shape.
    #[error("the tensor {tensor} has shape {found:?}, but the network needs {expected:?}")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// A tensor has an unsupported type.
    #[error("the tensor {tensor} has type {found}; F32, F16 and I8 are supported")]
    DType {
        /// The tensor's name.
        tensor: String,
        /// The file's type.
        found: String,
    },
    /// A tensor of 8-bit integers has no valid scale.
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
    /// The caller passed the weights files in another order than the bundle's.
    #[error("the weights file {found} was passed where {expected} was expected")]
    Order {
        /// The expected file.
        expected: String,
        /// The file that was passed.
        found: String,
    },
}

impl From<NetworkError> for BundleError {
    fn from(error: NetworkError) -> Self {
        // It is part of the message. As a `source` it would be printed twice.
        Self::Network(error)
    }
}

impl BundleError {
    /// A short and stable name of the error's kind, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MissingFile { .. } => "missing-file",
            Self::Unreadable { .. } => "unreadable",
            Self::BadJson { .. } => "bad-json",
            Self::BadConfig { .. } => "bad-config",
            Self::NewerVersion { .. } => "newer-version",
            Self::ClassCount { .. } => "class-count",
            Self::Network(_) => "network",
            Self::NeedsPicture { .. } => "needs-picture",
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
