//! The bundle: a trained model as a folder of files, laid out as the Hugging Face hub lays one
//! out, so that any static host can serve it.
//!
//! - `config.json`: everything but the weights, [`Config`].
//! - `model.safetensors`, or several shards: the weights, by readable names, as 32-bit or 16-bit
//!   floats, or as 8-bit integers that have a scale beside them ([`SCALE_SUFFIX`]).
//!
//! This crate has no file system and no network: whoever has them hands the bytes to a
//! [`Loader`], chunk by chunk as they arrive. A bundle that is broken in any way is a
//! [`BundleError`], and then nothing of it has been loaded.

mod config;
mod error;
mod header;
mod intake;
mod json_extent;
mod loadable;
mod loader;
mod memory;
mod network;
mod quantized;
mod safetensors;

pub use crate::class_names::{ClassNames, MAX_CLASS_NAME, MAX_CLASSES};
pub use crate::parameters::{Parameter, parameters};
pub use config::{
    Config, Diffusion, FORMAT_VERSION, ImageShape, MAX_CONFIG_BYTES, Provenance, WRITTEN_BY,
    WeightKind, WeightsFile,
};
pub use error::BundleError;
pub use loadable::Loadable;
pub use loader::{Loader, Model, NetworkLoader};
pub use memory::MemoryEstimate;
pub use network::{Compiled, Network};
pub use quantized::SCALE_SUFFIX;
pub use safetensors::hex;
pub(crate) use safetensors::{View, view};

/// The name of the configuration file in a bundle.
pub const CONFIG_FILE: &str = "config.json";
/// The name of the weights file where there is only one.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The most bytes of a weights file: Cloudflare Pages refuses files over 25 MiB.
pub const MAX_SHARD_BYTES: u64 = 20 << 20;
