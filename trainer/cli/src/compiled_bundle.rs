//! `freeguide compiled-bundle`, a part of `cargo xtask compile-onnx`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use freeguide_interchange::export;

/// Write the bundle of an ONNX denoiser that burn-onnx has converted. `cargo xtask compile-onnx` calls
/// this and then compiles the runtime for it.
#[derive(Debug, Args)]
pub struct CompiledBundle {
    /// The ONNX file.
    #[arg(long, value_name = "FILE")]
    pub onnx: PathBuf,
    /// The weights that onnx2burn wrote from it. Without them, the file is only checked.
    #[arg(long, value_name = "FILE", requires = "out")]
    pub weights: Option<PathBuf>,
    /// The bundle folder.
    #[arg(long, value_name = "DIR", requires = "weights")]
    pub out: Option<PathBuf>,
}

pub fn run(arguments: &CompiledBundle) -> Result<ExitCode> {
    match (&arguments.weights, &arguments.out) {
        (Some(weights), Some(out)) => {
            let files = export::compiled::files(&arguments.onnx, weights)?;
            export::install(out, &files)?;
        }
        _ => export::compiled::check(&arguments.onnx)?,
    }
    Ok(ExitCode::SUCCESS)
}
