//! The bundle: a trained model as a folder of files, laid out as the Hugging Face hub lays one
//! out, so that any static host can serve it.
//!
//! - `config.json`: everything but the weights, [`Config`].
//! - `model.safetensors`, or several shards: the weights, by readable names.
//!
//! This crate has no file system and no network: whoever has them hands the bytes to a
//! [`Loader`], chunk by chunk as they arrive. A bundle that is broken in any way is a
//! [`BundleError`], and then nothing of it has been loaded.

mod config;
mod error;
mod header;
mod loader;
mod memory;
mod parameters;
mod safetensors;

pub use config::{
    Config, Diffusion, FORMAT_VERSION, ImageShape, MAX_CLASSES, Network, Provenance, WRITTEN_BY,
    WeightsFile,
};
pub use error::BundleError;
pub use loader::{Loader, Model};
pub use memory::MemoryEstimate;
pub use parameters::{Parameter, parameters};
pub use safetensors::hex;

/// The name of the configuration file in a bundle.
pub const CONFIG_FILE: &str = "config.json";
/// The name of the weights file where there is only one.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The most bytes of a weights file: Cloudflare Pages refuses files over 25 MiB.
pub const MAX_SHARD_BYTES: u64 = 20 << 20;
