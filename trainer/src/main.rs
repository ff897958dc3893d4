//! The command `freeguide`: trains, samples, exports and serves guided diffusion models.

mod allocator;
mod bundle_files;
mod classifier;
mod cli;
mod data;
mod device;
mod distributed;
mod eval;
mod export;
mod features;
mod files;
mod grid;
mod import;
mod loss_curve;
mod machine;
mod memory;
mod onnx;
mod output;
mod png_text;
mod progress;
mod recipe;
mod sample;
mod serve;
mod spelling;
mod toy;
mod train;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::keep_memory();
    cli::main()
}
