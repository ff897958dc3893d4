//! `freeguide toy`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use freeguide::sampler::Solver;
use freeguide::settings::{MAX_GUIDANCE, MAX_IMAGES, MAX_STEPS};

use crate::arguments::{Device, solver};
use freeguide_eval::toy;
use freeguide_native::device;
use freeguide_native::files::{create_folder, write_atomic};
use freeguide_native::tell;
use freeguide_native::usage::Usage;

/// Draw the effect of guidance on three Gaussians, as in the paper's Figure 2.
///
/// The upper row shows the density p(x | c) p(c | x)^w for each guidance strength, with one colour per class. The lower
/// row shows what the sampler draws with the exact denoiser. No model is needed.
#[derive(Debug, Args)]
pub struct Toy {
    /// The SVG file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The guidance strengths w, one per column.
    #[arg(long, value_name = "W,W,…", value_delimiter = ',', allow_negative_numbers = true, default_values_t = [0.0, 0.5, 1.0, 2.0, 4.0])]
    guidance: Vec<f64>,
    /// The number of points per column.
    #[arg(long, value_name = "N", default_value_t = 1500)]
    samples: usize,
    /// The number of sampling steps.
    #[arg(long, value_name = "T", default_value_t = 128)]
    steps: usize,
    /// The solver.
    #[arg(long, value_name = "NAME", value_parser = solver, default_value = "ancestral")]
    sampler: Solver,
    /// The seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: Device,
}

/// Runs the command.
pub fn toy(arguments: &Toy) -> Result<ExitCode> {
    let usage = |text: String| Err(Usage(text).into());
    if arguments.guidance.len() > 8 {
        return usage("--guidance: at most 8 columns can be drawn".to_owned());
    }
    // Below −1, the "density" of a class grows without bound away from the class.
    let drawable = |w: &f64| (-1.0..=MAX_GUIDANCE).contains(w);
    if let Some(w) = arguments.guidance.iter().find(|w| !drawable(w)) {
        return usage(format!(
            "--guidance {w}: it must be from −1 to {MAX_GUIDANCE}"
        ));
    }
    if !(1..=MAX_IMAGES).contains(&arguments.samples) || !(1..=MAX_STEPS).contains(&arguments.steps)
    {
        return usage(format!(
            "--samples must be from 1 to {MAX_IMAGES}, and --steps from 1 to {MAX_STEPS}"
        ));
    }
    let device = device::open(&arguments.device.device)?;
    let svg = toy::Toy {
        guidance: arguments.guidance.clone(),
        samples: arguments.samples,
        steps: arguments.steps,
        sampler: arguments.sampler,
        seed: arguments.seed,
    }
    .to_svg(&device)?;
    if let Some(parent) = arguments.out.parent().filter(|p| *p != Path::new("")) {
        create_folder(parent)?;
    }
    write_atomic(&arguments.out, svg.as_bytes())?;
    tell!("{}", arguments.out.display());
    Ok(ExitCode::SUCCESS)
}
