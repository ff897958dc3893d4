//! From a model to the files that others load.
//!
//! | format | for |
//! |---|---|
//! | [`bundle`] | the page, the package and `sample` |
//! | [`onnx`](crate::onnx) | onnxruntime and everything else that reads ONNX |
//! | [`torch`] | PyTorch |
//! | [`diffusers`] | diffusers, where it has the same network |

pub mod bundle;
pub mod compiled;
pub mod diffusers;
pub mod torch;

pub use bundle::{File, install, write_weights};

use clap::ValueEnum;

/// The type in which weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DType {
    /// 32-bit floating point: the weights as they were trained.
    F32,
    /// 16-bit floating point: half the size, and no visible difference.
    F16,
    /// 8-bit integers with a scale per channel, a quarter of the size; it is computed in floating
    /// point. See what changes with --verify.
    Int8,
}
