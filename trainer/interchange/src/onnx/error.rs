//! Why a model cannot be written as ONNX.

use thiserror::Error;

/// Why a model cannot be written as ONNX.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OnnxError {
    /// The network is compiled from an ONNX file of its own.
    #[error("this network was compiled from an ONNX file; use that file")]
    Compiled,
    /// The network lacks a tensor that its configuration implies.
    #[error("the network has no tensor {0}")]
    MissingTensor(String),
    /// The network has parts that the graph cannot represent.
    #[error(
        "this network cannot be written as ONNX: there is no operator for {tensor} ({left} tensors were not written)"
    )]
    LeftOver {
        /// The first of them.
        tensor: String,
        /// The number of them.
        left: usize,
    },
    /// Protocol buffers are limited to 2 GiB.
    #[error(
        "an ONNX file can hold at most 2 GiB, and this one would have {bytes} bytes: use --dtype f16 or int8"
    )]
    TooLarge {
        /// The size that the file would have.
        bytes: usize,
    },
}
