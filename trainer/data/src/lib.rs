//! Data sets: what lies on disk, and how it becomes batches.
//!
//! ```text
//! a path ─► recognise ─► Records (by index, still encoded) ─┬─► Dataset (decoded once, in memory)  ─┬─► TrainingSet
//!                                                           └─► read and decoded ahead of the device ┘
//! ```
//!
//! docs/DATA.md lists the layouts that are read. Each is a `Records`: labelled images that can be
//! read by index from any thread, with one class each, or with several attributes and a number ([`Beside`]). Pickles and ZIP directories are read by the crate of readers, as data. What fits into
//! `data.memory` is decoded once and stays in memory as 8-bit pixels: four thousand pictures of 64×64 in colour take 50 MB.
//! Larger sets are read again every epoch, ahead of the device. Either way a batch is a function of the seed and the step.

mod ahead;
mod archives;
mod arrays;
mod balance;
mod beside;
mod celeba;
mod class_folders;
mod dataset;
mod dataset_json;
mod decode;
mod error;
mod fingerprint;
mod here;
mod jpeg;
mod json_fields;
mod json_lines;
mod labels;
mod memory;
mod names_file;
mod original_size;
mod parquet;
mod parts;
mod picture;
mod positioned;
mod recipe;
mod recognise;
mod records;
mod renamed;
mod resample;
mod spool;
mod streamed;
mod training_set;
mod transform;

#[cfg(test)]
mod cases_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod layouts_tests;

pub use ahead::Ahead;
pub use beside::{Attributes, Beside};
pub use dataset::Dataset;
pub use error::{DataError, Warning};
pub use memory::load;
pub use original_size::original_size;
pub use picture::{read_square, read_square_of};
pub use recipe::DataRecipe;
#[cfg(test)]
use records::Stored;
pub use training_set::TrainingSet;
use transform::Transform;
