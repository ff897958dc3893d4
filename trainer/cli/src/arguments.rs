//! The command-line arguments and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use freeguide::sampler::Solver;
use freeguide::settings::MAX_GUIDANCE;

use crate::compiled_bundle::CompiledBundle;
use crate::distill::Distill;
use crate::drawing::Drawing;
use crate::export::Export;
use crate::plan::Plan;
use crate::train::Train;
use freeguide_eval::OnnxInput;

const STEPS: &str = "\
From a folder of images to a page:
  freeguide plan   --recipe models/recipes/emoji16.toml --data DIR
  freeguide train  --recipe models/recipes/emoji16.toml --data DIR --out runs/mine
  freeguide export --run runs/mine --out models/mine
  freeguide sample --model models/mine --class NAME --guidance 2 --out grid.png
  cargo xtask demo                       # the page, with every model in models/

The guidance strength w is the paper's: 0 is the conditional model without guidance, -1 the
unconditional model. The guidance_scale of other tools is 1 + w.

Exit codes: 0 success, 1 failure, 2 bad usage.";

/// Train, sample, export and serve diffusion models with classifier-free guidance.
#[derive(Debug, Parser)]
#[command(name = "freeguide", version, about, after_help = STEPS, propagate_version = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Plan(Plan),
    Train(Train),
    Distill(Distill),
    Sample(Sample),
    Upscale(super::upscale::Upscale),
    Export(Export),
    Card(super::card::Card),
    #[command(hide = true)]
    CompiledBundle(CompiledBundle),
    Import(super::import::Import),
    Inspect(Inspect),
    Devices(Devices),
    Serve(super::serve::Serve),
    Eval(Box<super::eval::Eval>),
    Classifier(super::classifier::Classifier),
    Toy(super::toy::Toy),
}

/// The feature networks of metrics.
#[derive(Debug, Args)]
pub struct Features {
    /// Feature networks: resnet20 or resnet56 (for CIFAR-10, part of the program), or the path of a file: one made by
    /// `freeguide classifier`, EfficientNet-Lite0 (.safetensors), FID's Inception-v3 (pytorch-fid's .pth, checked by
    /// its SHA-256) or any classifier in ONNX.
    #[arg(
        long,
        value_name = "NETWORK,…",
        value_delimiter = ',',
        default_value = "resnet56"
    )]
    features: Vec<String>,
    /// How images are scaled for networks in ONNX.
    #[arg(long, value_enum, default_value_t = OnnxInput::Imagenet)]
    pub onnx_input: OnnxInput,
}

impl Features {
    /// The feature networks, each once.
    pub fn networks(&self) -> Vec<String> {
        unique(&self.features)
    }
}

/// The values without duplicates, in the order in which they were given.
pub fn unique<T: Clone + PartialEq>(given: &[T]) -> Vec<T> {
    let mut kept = Vec::new();
    for value in given {
        if !kept.contains(value) {
            kept.push(value.clone());
        }
    }
    kept
}

/// Draw images from a model.
///
/// Image k of a seed does not depend on --count and --batch: its noise is keyed by the seed, k and the
/// step. Every PNG contains the settings that made it, as text under the keyword "freeguide".
#[derive(Debug, Args)]
pub struct Sample {
    /// The bundle, a folder such as models/emoji16.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// A class by name or id, `none` for the unconditional model, several attributes such as smiling+hat, or a mix of classes
    /// whose weights add up to 1, such as cat:0.7,dog:0.3: each step takes the weighted mean of their estimates. If given
    /// several times, the images take turns; without it, they take turns through all classes.
    #[arg(long, value_name = "CLASS")]
    pub class: Vec<String>,
    /// Another bundle, whose estimate takes the place of the unconditional one: guidance leads away from it. It draws
    /// images of the same size and has the same classes, or none. An unconditional model guides one that has no null
    /// class; a smaller or less trained model of the same classes makes this autoguidance (Karras et al. 2024).
    #[arg(long, value_name = "DIR")]
    pub guide: Option<PathBuf>,
    /// A classifier of noisy images (`freeguide classifier --noisy`), whose gradient guides each image towards its class
    /// (Dhariwal & Nichol 2021): beside --guidance or, with --guidance -1, on the unconditional model.
    #[arg(long, value_name = "FILE")]
    pub classifier: Option<PathBuf>,
    /// The strength of --classifier.
    #[arg(long, value_name = "S", default_value_t = 1.0, requires = "classifier", value_parser = strength)]
    pub classifier_guidance: f64,
    #[command(flatten)]
    pub drawing: Drawing,
    /// A picture to start from, in the place of noise: noise is added to it and taken away again (SDEdit, Meng et al. 2022).
    /// It is cropped and resized to the model's size.
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// A picture that is white where --image is drawn anew and black where it is kept.
    #[arg(long, value_name = "FILE")]
    pub mask: Option<PathBuf>,
    /// The number of images.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub count: usize,
    /// The number of images drawn at a time. A batch that does not fit into memory is refused, if the free memory is
    /// known.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch: u16,
    /// The output: a PNG with all images on a grid (one column per class, if classes take turns); if it
    /// ends in /, a folder with one file per image (00000.png and so on); if it ends in .parquet or .tar,
    /// a data set in one file, with the settings of each image, for the libraries datasets and webdataset.
    #[arg(long, value_name = "PATH")]
    pub out: String,
    #[command(flatten)]
    pub device: Device,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Check and describe a bundle or a run, or print the settings in a PNG.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The folder of a bundle or of a run, or a PNG made by `sample` or the page.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Print the configuration of the bundle, or the state of the run, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// List the devices for --device.
#[derive(Debug, Args)]
pub struct Devices {
    /// Print the list as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Device {
    /// The device to compute on: auto, cpu, vulkan or wgpu; see `freeguide devices`.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
}

/// Parses the strength of a classifier.
pub fn strength(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(strength) if (0.0..=MAX_GUIDANCE).contains(&strength) => Ok(strength),
        _ => Err(format!("a number from 0 to {MAX_GUIDANCE} is expected")),
    }
}

/// Parses the name of a solver.
pub fn solver(name: &str) -> Result<Solver, String> {
    Solver::ALL
        .into_iter()
        .find(|s| s.name() == name)
        .ok_or_else(|| {
            let known: Vec<_> = Solver::ALL.iter().map(|s| s.name()).collect();
            format!("the samplers are {}", known.join(", "))
        })
}
