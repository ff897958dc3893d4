//! Models as ONNX files: the U-Net as a graph of standard operators (opset 21), for onnxruntime
//! and everything else that reads ONNX.
//!
//! There are two forms. The [denoiser](denoiser) is the joint network: noisy image, λ and class
//! id in, prediction out. The [guided step](guided_step) is one whole step of DDIM with
//! classifier-free guidance inside, w being an input.

mod conditioning;
mod document;
mod engine;
mod error;
mod graph;
mod guided_step;
mod layers;
mod tensors;
mod unet;
mod value_types;

/// ONNX's messages, generated from its own description; see trainer/interchange/proto.
#[allow(missing_docs, clippy::all, rustdoc::all)]
#[rustfmt::skip]
pub mod proto;

pub use document::{Form, write};
pub use engine::OnnxDenoiser;
pub use error::OnnxError;
pub use graph::Precision;
use tensors::Tensors;

/// The operator set of the graphs.
const OPSET: i64 = 21;
/// The version of the file format that belongs to it.
const IR_VERSION: i64 = 10;
