//! `cargo xtask bench …`: measures against other tools and writes the results to docs/results/.

mod machine;
mod process;
pub mod train;
pub mod web;
