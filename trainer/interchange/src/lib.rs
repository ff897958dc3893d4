//! Imports models from other programs and exports models for them.
//!
//! | module | what |
//! |---|---|
//! | [`import`] | checkpoints of guided-diffusion, diffusers and PyTorch as bundles |
//! | [`export`] | bundles, PyTorch and diffusers |
//! | [`onnx`] | ONNX files, for onnxruntime and other readers |
//! | [`quantize`] | weights in 8 bits |
//! | [`verify`] | how an export changes a model |
//! | [`card`] | model cards, for the Hugging Face hub |
//!
//! ```no_run
//! use std::path::Path;
//! use burn::tensor::Device;
//! use freeguide_interchange::export::{self, DType};
//! use freeguide_native::bundle_files;
//!
//! let model = bundle_files::open(Path::new("models/emoji16"), &Device::flex())?;
//! let files = export::bundle::files(model.network(), DType::F16, model.config().clone())?;
//! export::install(Path::new("models/emoji16-f16"), &files)?;
//! # Ok::<(), anyhow::Error>(())
//! ```

pub mod card;
pub mod export;
pub mod import;
pub mod onnx;
pub mod quantize;
pub mod verify;
pub mod weights;
