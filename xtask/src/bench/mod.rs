//! `cargo xtask bench …`: measurements against the tools that people use today, and the documents with their results.

mod machine;
mod process;
pub mod train;
pub mod web;
