//! What can be typed, and the help that explains it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use freeguide::sampler::Solver;
use freeguide::settings::Toward;

use crate::compiled_bundle::CompiledBundle;
use crate::export::Export;
use crate::steering::Steering;
use crate::train::Train;
use freeguide_eval::OnnxInput;

const STEPS: &str = "\
From a folder of images to a page:
  freeguide train  --recipe models/recipes/emoji16.toml --data DIR --out runs/mine
  freeguide export --run runs/mine --out models/mine
  freeguide sample --model models/mine --class NAME --guidance 2 --out grid.png
  cargo xtask demo                       # the page, with every model in models/

Guidance w is the paper's: 0 is the plain conditional model, -1 the unconditional one. Tools that
print a scale s use s = 1 + w.

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
    Train(Train),
    Sample(Sample),
    Export(Export),
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

/// What looks at images for metrics.
#[derive(Debug, Args)]
pub struct Features {
    /// Feature networks: resnet20 or resnet56 (CIFAR-10, within the program), or the path of a file made by `freeguide
    /// classifier`, of EfficientNet-Lite0 (.safetensors), of FID's Inception-v3 (pytorch-fid's .pth, checked by its
    /// SHA-256) or of any classifier in ONNX.
    #[arg(
        long,
        value_name = "NETWORK,…",
        value_delimiter = ',',
        default_value = "resnet56"
    )]
    features: Vec<String>,
    /// How images are put to networks in ONNX.
    #[arg(long, value_enum, default_value_t = OnnxInput::Imagenet)]
    pub onnx_input: OnnxInput,
}

impl Features {
    /// The feature networks, each once.
    pub fn networks(&self) -> Vec<String> {
        unique(&self.features)
    }
}

/// Without what came before, in the order in which it was given.
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
/// Image k of a seed is the same whatever --count and --batch are: its noise is keyed by the seed,
/// by k and by the step. Every PNG carries the settings that made it, as text under the keyword
/// "freeguide".
#[derive(Debug, Args)]
pub struct Sample {
    /// The bundle, a folder such as models/emoji16.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// A class by name or id, or `none` for the unconditional model. Given several times, the
    /// images take turns; left out, every class does.
    #[arg(long, value_name = "CLASS")]
    pub class: Vec<String>,
    /// Guidance strength w: 0 is the plain conditional model, more trades diversity for fidelity.
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,
    /// Sampling steps.
    #[arg(long, value_name = "T")]
    pub steps: Option<usize>,
    /// The solver: ddim, ancestral (Algorithm 2 of the paper), dpm++2m (second order, one evaluation
    /// a step) or heun (second order, two evaluations a step).
    #[arg(long, value_name = "NAME", value_parser = solver)]
    pub sampler: Option<Solver>,
    /// The seed, from 0 to 2^53 - 1.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Another seed, towards which the noise is taken: T of the way, from 0 (--seed itself) to 1 (the
    /// other); half of it unless given.
    #[arg(long, value_name = "SEED[:T]", value_parser = toward)]
    pub toward: Option<Toward>,
    /// How many images.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub count: usize,
    /// Index of the first image.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub first_image: u64,
    /// Do not clip the estimate of the clean image to its range in every step.
    #[arg(long)]
    pub no_clip: bool,
    /// The exponent between the two variances of the ancestral sampler, from 0 to 1.
    #[arg(long, value_name = "NU")]
    pub variance_interpolation: Option<f64>,
    #[command(flatten)]
    pub steering: Steering,
    /// Images that are drawn at a time. More than fit into memory are refused, where the system says what it has left.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch: u16,
    /// Where to: a PNG with all images on a grid (a column a class, where classes take turns) or,
    /// where it ends in /, a folder that gets one file an image (00000.png and so on).
    #[arg(long, value_name = "PATH")]
    pub out: String,
    #[command(flatten)]
    pub device: Device,
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Check a bundle or a run and say what it holds, or print the settings that a PNG carries.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The folder of a bundle or of a run, or a PNG that `sample` or the page made.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Print its configuration, or what is known of the run, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// List the devices that --device can name.
#[derive(Debug, Args)]
pub struct Devices {
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Device {
    /// Where to compute: auto, cpu, vulkan or wgpu; see `freeguide devices`.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
}

/// Another seed, and how far towards it.
fn toward(text: &str) -> Result<Toward, String> {
    let (seed, t) = text.split_once(':').unwrap_or((text, "0.5"));
    match (seed.parse(), t.parse()) {
        (Ok(seed), Ok(t)) => Ok(Toward { seed, t }),
        _ => Err("a seed is wanted, and how far towards it, as in 8:0.25".to_owned()),
    }
}

/// A solver by its name.
pub fn solver(name: &str) -> Result<Solver, String> {
    Solver::ALL
        .into_iter()
        .find(|s| s.name() == name)
        .ok_or_else(|| {
            let known: Vec<_> = Solver::ALL.iter().map(|s| s.name()).collect();
            format!("the samplers are {}", known.join(", "))
        })
}
