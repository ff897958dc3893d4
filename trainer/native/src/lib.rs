//! What native programs around freeguide share, whether they train, evaluate or sample.
//!
//! | module | what |
//! |---|---|
//! | [`device`] | the devices that there are, and the one that was asked for |
//! | [`bundle_files`] | bundles on a disk |
//! | [`sample`] | images drawn from a model, a batch at a time |
//! | [`image_set`] | images and what made them, as data sets of other programs |
//! | [`grid`], [`png_text`] | many pictures on one, and PNG files that carry how they were made |
//! | [`files`] | files that are written whole or not at all |
//! | [`output`] | results on standard output, everything else on standard error |
//! | [`usage`] | the difference between a failure and a request that makes no sense |
//! | [`memory`], [`machine`] | what this machine has |
//! | [`spelling`] | what somebody most likely meant to type |
//!
//! ```no_run
//! use std::path::Path;
//! use freeguide::settings::{ClassName, Request};
//! use freeguide_native::{bundle_files, device, sample};
//!
//! let device = device::open("auto")?;
//! let model = bundle_files::open(Path::new("models/emoji16"), &device)?;
//! let plan = model.plan(&Request::new(vec![ClassName::Id(0); 4]))?;
//! let images = sample::draw(&model, &plan, 4, &mut |_, _| {})?;
//! sample::write_files(&sample::pngs(&model, &plan, &images)?, Path::new("."))?;
//! # Ok::<(), anyhow::Error>(())
//! ```

pub mod bundle_files;
pub mod device;
pub mod files;
pub mod grid;
pub mod image_set;
pub mod machine;
pub mod memory;
pub mod noisy_classifier;
pub mod output;
pub mod png_text;
pub mod sample;
pub mod spelling;
pub mod usage;
