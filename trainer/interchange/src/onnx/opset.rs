//! The sets of operators that graphs are written in.

use clap::ValueEnum;

/// A set of ONNX's operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Opset {
    /// For programs of before 2024, such as onnxruntime up to 1.17
    #[value(name = "17")]
    V17,
    /// ONNX 1.16 and later
    #[default]
    #[value(name = "21")]
    V21,
}

impl Opset {
    /// Its version.
    pub(super) fn version(self) -> i64 {
        match self {
            Self::V17 => 17,
            Self::V21 => 21,
        }
    }

    /// The version of the file format that came with it.
    pub(super) fn ir_version(self) -> i64 {
        match self {
            Self::V17 => 8,
            Self::V21 => 10,
        }
    }
}
