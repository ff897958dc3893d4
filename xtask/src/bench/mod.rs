//! `cargo xtask bench …`: measurements against the tools that people use today.

pub mod web;
