//! Why a model cannot be written as ONNX.

use thiserror::Error;

/// Why a model cannot be written as ONNX.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OnnxError {
    /// The network is compiled from an ONNX file of its own.
    #[error("this network was compiled from an ONNX file: that file is the model")]
    Compiled,
    /// The network lacks a tensor that its configuration implies.
    #[error("the network has no tensor {0}")]
    MissingTensor(String),
    /// The network has parts that the graph has no place for.
    #[error(
        "this network cannot be written as ONNX: there is no operator for {tensor} ({left} tensors are left over)"
    )]
    LeftOver {
        /// The first of them.
        tensor: String,
        /// How many there are.
        left: usize,
    },
    /// Protocol buffers end at 2 GiB.
    #[error(
        "an ONNX file holds at most 2 GiB and this one would have {bytes} bytes: use --dtype f16 or int8"
    )]
    TooLarge {
        /// What the file would have.
        bytes: usize,
    },
}
