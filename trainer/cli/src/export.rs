//! `freeguide export`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use freeguide::bundle::Model;

use crate::arguments::Features;
use freeguide::denoiser::Denoiser;
use freeguide_eval::{Against, Fidelity, fidelity};
use freeguide_interchange::card::{self, CARD_FILE, PICTURES};
use freeguide_interchange::export::{self, DType, File};
use freeguide_interchange::onnx::{self, Form, OnnxDenoiser, Opset, Precision};
use freeguide_interchange::verify::{Verified, rounded, verify};
use freeguide_interchange::weights::Weights;
use freeguide_native::bundle_files;
use freeguide_native::output::print_line;
use freeguide_native::tell;
use freeguide_native::usage::Usage;
use freeguide_train::{RunFolder, checkpoint};

/// Export a run or a bundle as files that other programs can load.
///
/// bundle: the format of the page, the package and `sample`. onnx: denoiser.onnx (inputs z, log_snr and
/// class, output prediction) and guided_step.onnx (a whole guided DDIM step, with the strength as an
/// input), in opset 21 (or 17, see --opset) and for any batch size. The null class is the id after the last class, and the
/// metadata names the classes, the schedule and the target. safetensors: a state dict, with the PyTorch
/// module that loads it. diffusers: unet/ and scheduler/ for UNet2DModel and DDPMScheduler, if these
/// can represent the network.
///
/// The weights of a run are an exponential moving average from its last checkpoint. A bundle gets a model
/// card, README.md, if --out has none (see `freeguide card`). Other files that are already in --out are
/// kept.
#[derive(Debug, Args)]
pub struct Export {
    /// The run folder to export.
    #[arg(long, value_name = "DIR", required_unless_present = "model")]
    pub run: Option<PathBuf>,
    /// A bundle to export instead of a run.
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    pub model: Option<PathBuf>,
    /// The format to write.
    #[arg(long, value_enum, default_value_t = Format::Bundle)]
    pub format: Format,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The type of the weights; int8 only for bundles and ONNX.
    #[arg(long, value_enum, default_value_t = DType::F32)]
    pub dtype: DType,
    /// The operator set of ONNX files.
    #[arg(long, value_enum, default_value_t = Opset::V21)]
    pub opset: Opset,
    /// Which checkpoint of the run to export, by its number of training steps; by default the last. Early ones are kept if
    /// the recipe names them in train.keep_steps; they can guide the final model (`sample --guide`).
    #[arg(long, value_name = "STEPS", conflicts_with = "model")]
    pub step: Option<u64>,
    /// Which average of the run to export, by its decay (train.ema_decay); by default the first. 0 selects
    /// the weights themselves.
    #[arg(long, value_name = "DECAY", conflicts_with = "model")]
    pub ema: Option<f64>,
    /// Report how the export changes the prediction at several noise levels and pictures drawn with the
    /// model's own settings. The files are read back, ONNX files by another engine.
    #[arg(long)]
    pub verify: bool,
    /// With --verify: a data set of the model's classes. --samples images are drawn before and after the
    /// change, and the Fréchet distances of both to the data set are reported.
    #[arg(long, value_name = "DIR", requires = "verify")]
    pub data: Option<PathBuf>,
    /// The recipe that the model was trained with; its [data] says how the images of --data are resized
    /// and cropped.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub recipe: Option<PathBuf>,
    /// The number of images drawn before and after, for --data.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..))]
    pub samples: u32,
    #[command(flatten)]
    pub features: Features,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A bundle, the format of freeguide.
    Bundle,
    /// ONNX files.
    Onnx,
    /// A PyTorch state dict, and the module that loads it.
    Safetensors,
    /// A folder for diffusers.
    Diffusers,
}

/// What was exported.
#[derive(Debug, serde::Serialize)]
struct Exported {
    /// The number of training steps of the model.
    steps: u64,
    /// The number of parameters.
    parameters: u64,
    /// The decay of the exported average.
    ema_decay: f64,
    /// The names of the files, with their sizes in bytes.
    files: Vec<(String, u64)>,
    /// What changed, if --verify was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Changed>,
}

/// What changed.
#[derive(Debug, serde::Serialize)]
struct Changed {
    #[serde(flatten)]
    verified: Verified,
    /// The distances to a data set, by feature network, if --data was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fidelity: Vec<Fidelity>,
}

pub fn run(arguments: &Export) -> Result<ExitCode> {
    check(arguments)?;
    let model = source(arguments)?;
    let mut files = files(&model, arguments)?;
    if arguments.format == Format::Bundle && !arguments.out.join(CARD_FILE).exists() {
        // Before the configuration, which comes last.
        files.splice(0..0, model_card(&model, arguments)?);
    }
    match arguments.format {
        Format::Bundle | Format::Safetensors => export::install(&arguments.out, &files)?,
        Format::Onnx | Format::Diffusers => export::bundle::write(&arguments.out, &files)?,
    }
    let verified = match arguments.verify {
        true => Some(verified(&model, &files, arguments)?),
        false => None,
    };
    let origin = &model.config().provenance;
    report(
        &Exported {
            steps: origin.steps,
            parameters: origin.parameters,
            ema_decay: origin.ema_decay,
            files: files
                .into_iter()
                .map(|(name, bytes)| (name, bytes.len() as u64))
                .collect(),
            verified,
        },
        arguments,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Checks the arguments before anything is read.
fn check(arguments: &Export) -> Result<()> {
    let floats = matches!(arguments.format, Format::Safetensors | Format::Diffusers);
    if floats && arguments.dtype == DType::Int8 {
        let what =
            "--dtype int8 is for bundles and ONNX files; PyTorch and diffusers read f32 and f16";
        return Err(Usage(what.to_owned()).into());
    }
    if arguments.opset != Opset::default() && arguments.format != Format::Onnx {
        return Err(Usage("--opset is for --format onnx".to_owned()).into());
    }
    let place = |path: &Path| fs::canonicalize(path).ok();
    let of_model = arguments.model.as_deref().and_then(place);
    let overwrites = of_model.is_some() && of_model == place(&arguments.out);
    if overwrites && arguments.format != Format::Onnx {
        let what = "--out is the folder of --model, and would overwrite it";
        return Err(Usage(what.to_owned()).into());
    }
    Ok(())
}

fn source(arguments: &Export) -> Result<Model> {
    match (&arguments.run, &arguments.model) {
        (Some(run), _) => checkpoint(run, arguments.step, arguments.ema),
        (None, Some(model)) => {
            bundle_files::open(model, &Device::flex()).with_context(|| model.display().to_string())
        }
        (None, None) => Err(Usage("--run or --model is required".to_owned()).into()),
    }
}

fn files(model: &Model, arguments: &Export) -> Result<Vec<File>> {
    let (network, config) = (model.network(), model.config());
    let dtype = arguments.dtype;
    if matches!(arguments.format, Format::Diffusers | Format::Onnx) {
        config.draws_alone()?;
    }
    match arguments.format {
        Format::Bundle => export::bundle::files(network, dtype, config.clone()),
        Format::Safetensors => export::torch::files(network, dtype, config),
        Format::Diffusers => export::diffusers::files(network, dtype, config),
        Format::Onnx => {
            let precision = match dtype {
                DType::F32 => Precision::F32,
                DType::F16 => Precision::F16,
                DType::Int8 => Precision::Int8,
            };
            let weights = Weights::of(network);
            let file = |form: Form| {
                let bytes = onnx::write(config, &weights, form, precision, arguments.opset)?;
                Ok((form.file().to_owned(), bytes))
            };
            Form::of(config).iter().map(|&form| file(form)).collect()
        }
    }
}

/// A model card, and the last grid of samples of a run, which it shows.
fn model_card(model: &Model, arguments: &Export) -> Result<Vec<File>> {
    let mut pictures = match arguments.out.is_dir() {
        true => card::pictures(&arguments.out)?,
        false => Vec::new(),
    };
    let mut files = Vec::new();
    let grid = match &arguments.run {
        Some(run) if pictures.is_empty() => RunFolder::new(run).last_grid()?,
        _ => None,
    };
    if let Some(grid) = grid {
        let name = format!("{PICTURES}/samples.png");
        pictures.push(name.clone());
        let bytes = fs::read(&grid).with_context(|| grid.display().to_string())?;
        files.push((name, bytes));
    }
    let text = card::new(model.config(), &pictures, None);
    files.push((CARD_FILE.to_owned(), text.into_bytes()));
    Ok(files)
}

fn verified(model: &Model, files: &[File], arguments: &Export) -> Result<Changed> {
    let against = arguments.data.as_ref().map(|data| Against {
        data: data.clone(),
        recipe: arguments.recipe.clone(),
        features: arguments.features.networks(),
        onnx_input: arguments.features.onnx_input,
        samples: arguments.samples as usize,
        quiet: arguments.json,
    });
    let against = against.as_ref();
    match (arguments.format, arguments.dtype) {
        (Format::Bundle, _) => {
            let written = bundle_files::open(&arguments.out, &Device::flex())?;
            changed(model, written.network().clone(), against)
        }
        (Format::Onnx, _) => {
            let is_denoiser = |(name, _): &&File| name == Form::Denoiser.file();
            let (_, bytes) = files.iter().find(is_denoiser).context("no denoiser")?;
            let onnx = OnnxDenoiser::read(bytes, model.config().classes.len())?;
            let verified = changed(model, &onnx, against);
            onnx.failure()?;
            verified
        }
        // The same weights under other names.
        (_, DType::F16) => changed(model, rounded(model.network()), against),
        _ => changed(model, model.network().clone(), against),
    }
}

/// Compares a model with its export, and both with a data set if one is given.
fn changed<D: Denoiser + Clone>(
    before: &Model,
    after: D,
    against: Option<&Against>,
) -> Result<Changed> {
    let fidelity = match against {
        Some(against) => fidelity(before, &after, against)?,
        None => Vec::new(),
    };
    Ok(Changed {
        verified: verify(before, after)?,
        fidelity,
    })
}

fn report(exported: &Exported, arguments: &Export) -> Result<()> {
    if arguments.json {
        return print_line(serde_json::to_string(exported)?);
    }
    tell!(
        "{}: {} parameters after {} steps, average with decay {}",
        arguments.out.display(),
        exported.parameters,
        exported.steps,
        exported.ema_decay
    );
    for (file, bytes) in &exported.files {
        tell!("  {bytes:10}  {file}");
    }
    if let Some(verified) = &exported.verified {
        table(verified)?;
    }
    Ok(())
}

fn table(changed: &Changed) -> Result<()> {
    let verified = &changed.verified;
    print_line("change of the prediction by noise level")?;
    print_line("     λ     rms before   mean change    max change")?;
    for row in &verified.predictions {
        print_line(format_args!(
            "{:6.2}  {:13.4}  {:12.2e}  {:12.2e}",
            row.log_snr, row.rms, row.mean, row.max
        ))?;
    }
    let decibels = |psnr: Option<f64>| match psnr {
        Some(psnr) => format!("{psnr:.1} dB"),
        None => "identical".to_owned(),
    };
    print_line(format_args!(
        "PSNR of {} pictures: {}, worst {}",
        verified.pictures,
        decibels(verified.psnr),
        decibels(verified.worst_psnr)
    ))?;
    for network in &changed.fidelity {
        let Fidelity {
            distance,
            samples,
            real_images,
            before,
            after,
            change,
        } = network;
        print_line(format_args!(
            "{distance} of {samples} images against {real_images} real ones: {before:.3} before, {after:.3} after, {change:+.3}"
        ))?;
    }
    Ok(())
}
