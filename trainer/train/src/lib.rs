//! Training of guided diffusion models: the loop around the library's objective.
//!
//! | where | what |
//! |---|---|
//! | [`Training`] | a training from its first step, or from where it stopped, to its last |
//! | [`RunFolder`] | everything that a training leaves behind and goes on from |
//! | [`last_checkpoint`] | the model that a run has come to |
//! | [`distributed`] | several processes that train, or sample, as one |
//! | [`progress`], [`loss_curve`] | what a terminal and a run folder show of it |
//!
//! The features: `mpi` for more than one process.

mod checkpoint;
mod clip;
mod data_grid;
mod disk;
pub mod distributed;
mod ema;
mod events;
mod finite;
mod init;
mod lock;
pub mod loss_curve;
mod metric;
mod model;
mod precision;
mod prepare;
pub mod progress;
mod run_folder;
mod run_info;
mod schedule;
mod state;
mod step;
mod training;
mod window;

pub use checkpoint::{Average, summaries};
pub use metric::Metric;
pub use model::{config, last_checkpoint};
pub use run_folder::RunFolder;
pub use run_info::{Init, RunInfo, Start};
pub use training::{Outcome, Training};
