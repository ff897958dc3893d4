//! `freeguide upscale`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use freeguide::pixels::from_interleaved;
use freeguide::settings::{ClassName, Request, RequestError};
use freeguide_data::read_square_of;
use freeguide_native::files::write_atomic;
use freeguide_native::{bundle_files, device, sample, tell};

use crate::arguments::Device;

/// Enlarge a picture by a super-resolution model.
///
/// The model is one whose recipe sets network.low_resolution; the picture has that size.
#[derive(Debug, Args)]
pub struct Upscale {
    /// The picture to enlarge, as large as the model's network.low_resolution.
    #[arg(value_name = "IN.png")]
    image: PathBuf,
    /// The bundle, a folder.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The PNG to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The class of the picture by name or id; without it, the unconditional model.
    #[arg(long, value_name = "CLASS", default_value = "none")]
    class: String,
    /// The guidance strength w; the model's own, unless given.
    #[arg(long, value_name = "W", allow_negative_numbers = true, value_parser = finite)]
    guidance: Option<f64>,
    /// The number of sampling steps; the model's own, unless given.
    #[arg(long, value_name = "T")]
    steps: Option<usize>,
    /// The seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The level of conditioning augmentation (Ho et al. 2021): how much noise is added to the picture, from 0 up to the
    /// model's network.augmentation. With more, the model repairs more and keeps less.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    augmentation: f64,
    #[command(flatten)]
    device: Device,
}

/// Parses a finite number.
fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("a finite number is expected".to_owned()),
    }
}

/// Runs the command.
pub fn upscale(arguments: &Upscale) -> Result<ExitCode> {
    let device = device::open(&arguments.device.device)?;
    let model = bundle_files::open(&arguments.model, &device)?;
    let config = model.config().clone();
    let Some((side, _)) = config.low_resolution() else {
        return Err(RequestError::DrawsAlone.into());
    };
    let channels = config.image.channels;
    let small = read_square_of(&arguments.image, side as u32, channels as u32)
        .map_err(|reason| anyhow!("{}: {reason}", arguments.image.display()))?;
    let small = from_interleaved(&small, [channels, side, side]);
    let noise = (arguments.seed, arguments.augmentation);
    let model = model.enlarging(&small, noise)?;
    let class = ClassName::of_text(&arguments.class, &config.classes);
    let mut fields = serde_json::json!({ "classes": [class], "seed": arguments.seed });
    if let Some(w) = arguments.guidance {
        fields["guidance"] = w.into();
    }
    if let Some(steps) = arguments.steps {
        fields["steps"] = steps.into();
    }
    let request: Request = serde_json::from_value(fields)?;
    let plan = model.plan(&request)?;
    let shape = config.image.dims();
    let images = sample::draw_by(shape, &plan, 1, |part| model.run(part), &mut |_, _| ())?;
    write_atomic(&arguments.out, &images.png()?)?;
    tell!(
        "{side}×{side} to {0}×{0} pixels: {1}",
        config.image.size,
        arguments.out.display()
    );
    Ok(ExitCode::SUCCESS)
}
