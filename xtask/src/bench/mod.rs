//! `cargo xtask bench …`: measures against other tools and writes the results to docs/results/.

pub mod gpu;
mod machine;
mod process;
pub mod sample;
pub mod train;
pub mod web;
