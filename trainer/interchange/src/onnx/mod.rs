//! Models as ONNX files: the U-Net as a graph of standard operators (opset 21 or 17), for onnxruntime
//! and everything else that reads ONNX.
//!
//! There are two forms. The denoiser is the joint network: noisy image, λ and class
//! id in, prediction out. The guided step is one whole step of DDIM with
//! classifier-free guidance inside, w being an input.

mod conditioning;
mod document;
mod engine;
mod error;
mod graph;
mod guided_step;
mod layers;
mod opset;
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
pub use opset::Opset;
use tensors::Tensors;
