//! Exports models to files that other programs load.
//!
//! | format | for |
//! |---|---|
//! | [`bundle`] | the page, the package and `sample` |
//! | [`onnx`](crate::onnx) | onnxruntime and everything else that reads ONNX |
//! | [`torch`] | PyTorch |
//! | [`diffusers`] | diffusers, if it has the same network |

pub mod bundle;
pub mod compiled;
pub mod diffusers;
pub mod torch;

pub use bundle::{File, install, write_weights};

use clap::ValueEnum;

/// The type in which weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DType {
    /// 32-bit floating point: the weights as trained
    F32,
    /// 16-bit floating point: half the size, without a visible difference
    F16,
    /// 8-bit integers with a scale per channel: a quarter of the size, computed in floating point; --verify reports the
    /// change
    Int8,
}
