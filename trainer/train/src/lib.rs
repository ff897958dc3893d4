//! Training of guided diffusion models: the loop around the library's training objective.
//!
//! | where | what |
//! |---|---|
//! | [`Training`] | a training from its first step, or from a checkpoint, to its last |
//! | [`Forecast`], [`advice`] | what a training will take, and what to expect of its data |
//! | [`RunFolder`] | the files of a training, from which it can be resumed |
//! | [`checkpoint()`] | the current model of a run, or an earlier one |
//! | [`distributed`] | training and sampling in several processes |
//! | [`progress`], [`loss_curve`] | the display of a training in a terminal and in its run folder |
//!
//! Features: `mpi` for more than one process.

mod advice;
mod checkpoint;
mod data_grid;
mod disk;
pub mod distributed;
mod events;
mod finite;
mod forecast;
mod init;
mod labels;
mod lock;
pub mod loss_curve;
mod metric;
mod model;
mod precision;
mod prepare;
pub mod progress;
mod records;
mod run_folder;
mod run_info;
mod schedule;
mod state;
mod step;
mod teacher;
mod training;
mod window;

pub use advice::{Facts, advice, epochs};
pub use checkpoint::{Average, summaries};
pub use forecast::Forecast;
pub use labels::check_labels;
pub use metric::Metric;
pub use model::{checkpoint, config};
pub use run_folder::RunFolder;
pub use run_info::{Init, RunInfo, Start};
pub use training::{Outcome, Training};
