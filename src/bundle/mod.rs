//! The bundle: a trained model as a folder of files with the layout of the Hugging Face hub, which any static host can
//! serve.
//!
//! - `config.json`: everything but the weights, [`Config`].
//! - `model.safetensors`, or several shards: the weights by readable names, as 32-bit or 16-bit floats, or as 8-bit
//!   integers with scales ([`SCALE_SUFFIX`]).
//!
//! This crate has no file system and no network. The caller passes the bytes to a [`Loader`], chunk by chunk as they
//! arrive. Loading a broken bundle returns a [`BundleError`] and no model.

mod config;
mod error;
mod guide;
mod header;
mod intake;
mod json_extent;
mod loadable;
mod loader;
mod memory;
mod model;
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
pub use guide::GuideError;
pub use loadable::Loadable;
pub use loader::{Loader, NetworkLoader};
pub use memory::MemoryEstimate;
pub use model::Model;
pub use network::{Compiled, Network};
pub use quantized::SCALE_SUFFIX;
pub use safetensors::hex;
pub(crate) use safetensors::{View, view};

/// The name of the configuration file in a bundle.
pub const CONFIG_FILE: &str = "config.json";
/// The name of the weights file where there is only one.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The most bytes of a weights file that is written: Cloudflare Pages refuses files over 25 MiB.
pub const MAX_SHARD_BYTES: u64 = 20 << 20;
