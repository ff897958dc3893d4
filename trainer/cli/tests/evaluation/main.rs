//! `freeguide eval`, `classifier` and `toy` as processes: what they write, what they refuse, and that a sweep in parts is
//! the sweep.

#[path = "../common/process.rs"]
mod process;

mod classifier;
mod export;
mod refusals;
mod support;
mod sweeps;
mod toy;
