//! Data sets: what lies on disk, and how it becomes batches.
//!
//! ```text
//! a path ─► recognise ─► Records (by index, still encoded) ─┬─► Dataset (decoded once, in memory)  ─┬─► TrainingSet
//!                                                           └─► read and decoded ahead of the device ┘
//! ```
//!
//! Four layouts are read: class folders, CIFAR-10's binary batches, tar shards as WebDataset lays them out, and Parquet
//! as the Hugging Face hub serves image sets. Each is a [`Records`]: labelled images that can be read by index from any
//! thread. What fits into `data.memory` is decoded once and stays in memory as 8-bit pixels, four thousand pictures of
//! 64×64 in colour in 50 MB; what does not is read again every epoch, ahead of the device. Either way a batch is a
//! function of the seed and the step.

mod ahead;
mod balance;
mod cifar10;
mod class_folders;
mod dataset;
mod decode;
mod error;
mod fingerprint;
mod labels;
mod memory;
mod parquet;
mod positioned;
mod recipe;
mod recognise;
mod records;
mod renamed;
mod resample;
mod streamed;
mod training_set;
mod transform;
mod webdataset;

pub use ahead::Ahead;
pub use dataset::Dataset;
pub use error::{DataError, Warning};
pub use memory::load;
pub use recipe::DataRecipe;
pub use training_set::TrainingSet;
use transform::Transform;
