//! Imports models of other programs as bundles.

mod diffusers;
mod diffusers_folder;
mod edm;
mod freeguide_torch;
mod guided_classifier;
mod guided_diffusion;
mod names;
mod place;
mod scheduler;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use freeguide::bundle::{
    CONFIG_FILE, ClassNames, Config, Diffusion, FORMAT_VERSION, ImageShape, Loadable, Network,
    Provenance, WRITTEN_BY, parameters,
};
use freeguide::network::{UNet, UNetConfig};
use freeguide::noise_level::LogSnrRange;
use freeguide::parameters::{ParameterMapper, map_parameters};
use freeguide::prediction::Target;
use freeguide::settings::SamplingDefaults;
use serde::de::DeserializeOwned;

pub use guided_classifier::import_classifier;

use crate::export::{DType, install, write_weights};
use freeguide_native::usage::Usage;
use freeguide_readers::diffusers as descriptions;
use freeguide_readers::weights::Weights;
use names::{ClassRows, Places};
use place::Place;

/// The programs whose models can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// openai/guided-diffusion: a checkpoint, such as 64x64_diffusion.pt, and its --flags.
    GuidedDiffusion,
    /// A classifier of noisy images of openai/guided-diffusion, such as 64x64_classifier.pt, and its --flags.
    GuidedDiffusionClassifier,
    /// diffusers: the folder of a UNet2DModel with its scheduler_config.json, or of a pipeline.
    Diffusers,
    /// NVlabs/edm: a state dictionary of EDMPrecond with DhariwalUNet, such as that of edm-imagenet-64x64-cond-adm.
    Edm,
    /// What `export --format safetensors` writes: weights with PyTorch's names and layout.
    FreeguideTorch,
}

/// The class that is ∅.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullClass {
    /// None: the model is only conditional.
    None,
    /// The last class.
    Last,
    /// No class's embedding, zeros: what networks see of a class vector of zeros.
    Zeros,
    /// The class with this id.
    Id(usize),
}

/// The file to import, and what is known about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file or folder.
    pub file: PathBuf,
    /// The flags of guided-diffusion.
    pub flags: Option<String>,
    /// The schedule of diffusers, if it is not in the folder.
    pub scheduler: Option<PathBuf>,
    /// Height and width of the images, if the folder does not state them.
    pub size: Option<usize>,
    /// The class that is ∅.
    pub null_class: NullClass,
    /// The names of the classes, without ∅.
    pub classes: Option<Vec<String>>,
    /// The bundle's name.
    pub name: String,
    /// The licence of the model, stated in the bundle.
    pub license: String,
}

impl Options {
    /// The meaning of the rows of the class embedding, which has `rows` rows, or does not exist.
    fn class_rows(&self, rows: Option<usize>) -> Result<ClassRows> {
        let null = match (rows, self.null_class) {
            (None, NullClass::None) => return Ok(ClassRows::None),
            (None, _) => {
                let what = "--null-class: the model has no classes at all";
                return Err(Usage(what.to_owned()).into());
            }
            (Some(_), NullClass::None) => return Ok(ClassRows::Conditional),
            (Some(_), NullClass::Zeros) => return Ok(ClassRows::Zeros),
            (Some(rows), NullClass::Last) => rows.saturating_sub(1),
            (Some(_), NullClass::Id(id)) => id,
        };
        match rows {
            Some(rows) if null < rows => Ok(ClassRows::Null(null)),
            _ => {
                let rows = rows.unwrap_or(0);
                let what = format!("--null-class {null}: the model's ids are below {rows}");
                Err(Usage(what).into())
            }
        }
    }
}

/// A model of another program.
struct Foreign {
    weights: Weights,
    /// The source of every tensor.
    places: Places,
    size: usize,
    channels: usize,
    network: UNetConfig,
    classes: ClassRows,
    /// The rows of the class embedding.
    rows: usize,
    target: Target,
    /// The range of λ, if it is not that of the network's timesteps.
    range: Option<LogSnrRange>,
    /// How it is sampled, except for its guidance.
    sampling: SamplingDefaults,
    /// Tensors of the file that no prediction needs.
    ignored: Vec<String>,
}

/// What was imported.
#[derive(Debug, serde::Serialize)]
pub struct Imported {
    /// The bundle's name.
    pub name: String,
    /// The number of classes, without ∅.
    pub classes: usize,
    /// Whether there is an unconditional estimate, and therefore guidance.
    pub null_class: bool,
    /// The number of parameters.
    pub parameters: u64,
    /// What stood before the names of all tensors and was taken off, such as `module.`; empty as a rule.
    pub prefix: String,
    /// The names of the files, with their sizes in bytes.
    pub files: Vec<(String, u64)>,
}

/// Imports a model into the bundle folder `out`.
///
/// # Errors
///
/// One sentence that names the file and what has no counterpart here.
pub fn import(source: Source, options: &Options, out: &Path, dtype: DType) -> Result<Imported> {
    if !options.file.exists() {
        bail!("{} does not exist", options.file.display());
    }
    let (mut config, network, prefix) = match source {
        Source::FreeguideTorch => freeguide_torch::read(options)?,
        Source::GuidedDiffusion => assemble(guided_diffusion::read(options)?, options)?,
        Source::Diffusers => assemble(diffusers::read(options)?, options)?,
        Source::GuidedDiffusionClassifier => bail!("a classifier is imported as a file"),
        Source::Edm => assemble(edm::read(options)?, options)?,
    };
    let counts = parameters(&network);
    let counts = counts
        .iter()
        .map(|p| p.shape.iter().product::<usize>() as u64);
    config.provenance.parameters = counts.sum();
    config.weights.clear();
    let mut files = write_weights(&network, dtype, &mut config)?;
    // Check what is written in the way that the loader will.
    let json = config.to_json();
    Config::parse(&json).with_context(|| options.file.display().to_string())?;
    files.push((CONFIG_FILE.to_owned(), json.into_bytes()));
    install(out, &files)?;
    let files = files
        .into_iter()
        .map(|(name, bytes)| (name, bytes.len() as u64));
    Ok(Imported {
        classes: config.classes.len(),
        null_class: config.null_class,
        parameters: config.provenance.parameters,
        name: config.name,
        prefix,
        files: files.collect(),
    })
}

/// Builds the network with all tensors.
fn assemble(foreign: Foreign, options: &Options) -> Result<(Config, UNet, String)> {
    let prefix = foreign.weights.prefix().to_owned();
    let file = options.file.display();
    let (classes, null_class) = match foreign.classes {
        ClassRows::None => (0, true),
        ClassRows::Conditional => (foreign.rows, false),
        ClassRows::Zeros => (foreign.rows, true),
        ClassRows::Null(_) => (foreign.rows - 1, true),
    };
    let image = ImageShape {
        size: foreign.size,
        channels: foreign.channels,
    };
    let valid = foreign.network.validate(image.size);
    valid.map_err(|e| anyhow!("{file} describes a network that cannot be built: {e}"))?;
    let range = match (foreign.range, &foreign.network.timesteps) {
        (Some(range), _) => range,
        (None, Some(timesteps)) => timesteps.range(),
        (None, None) => bail!("{file} has no schedule"),
    };
    let config = Config {
        format_version: FORMAT_VERSION,
        written_by: WRITTEN_BY.to_owned(),
        name: options.name.clone(),
        image,
        classes: class_names(options, classes)?,
        null_class,
        diffusion: Diffusion {
            target: foreign.target,
            log_snr: range,
        },
        sampling: SamplingDefaults {
            guidance: match null_class && classes > 0 {
                true => SamplingDefaults::default().guidance,
                false => 0.0,
            },
            ..foreign.sampling
        },
        weights: Vec::new(),
        provenance: Provenance {
            license: options.license.clone(),
            ..Provenance::default()
        },
        network: Network::UNet(foreign.network),
    };
    let device = Device::flex();
    let network = UNet::from_config(&config, &device)?;
    let network = fill(
        network,
        foreign.places,
        &foreign.ignored,
        foreign.weights,
        device,
    )
    .with_context(|| file.to_string())?;
    Ok((config, network, prefix))
}

fn class_names(options: &Options, classes: usize) -> Result<ClassNames> {
    match &options.classes {
        Some(names) if names.len() == classes => Ok(names.iter().collect()),
        Some(names) => {
            let what = format!(
                "--classes names {} classes, but the model has {classes}",
                names.len()
            );
            Err(Usage(what).into())
        }
        None => Ok((0..classes).map(|id| format!("class {id}")).collect()),
    }
}

/// Assigns all tensors. A surplus or a missing tensor is an error.
fn fill<N: Module>(
    network: N,
    places: Places,
    ignored: &[String],
    weights: Weights,
    device: Device,
) -> Result<N> {
    let wanted: BTreeSet<String> = parameters(&network).into_iter().map(|p| p.name).collect();
    let places: HashMap<String, Place> = places
        .0
        .into_iter()
        .filter(|place| wanted.contains(&place.ours))
        .map(|place| (place.ours.clone(), place))
        .collect();
    let mut unused: BTreeSet<&str> = weights.names().collect();
    for used in places.values().flat_map(|place| place.used(&weights)) {
        unused.remove(used);
    }
    for name in ignored {
        unused.remove(name.as_str());
    }
    if let Some(first) = unused.first() {
        bail!(
            "contains the tensor {first}, which does not belong to the described network ({} such tensors in total)",
            unused.len()
        );
    }
    let mut filler = Filler {
        places: &places,
        weights,
        device,
        result: Ok(()),
    };
    let network = map_parameters(network, &mut filler);
    filler.result.map(|()| network)
}

/// Reads the parameters in sequence.
struct Filler<'a> {
    places: &'a HashMap<String, Place>,
    weights: Weights,
    device: Device,
    /// The first error.
    result: Result<()>,
}

impl Filler<'_> {
    fn read(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<1>> {
        let place = self.places.get(name);
        let place = place.ok_or_else(|| anyhow!("has no tensor for {name}"))?;
        let read = place.read(&mut self.weights)?;
        if read.shape != shape {
            let theirs: Vec<_> = place
                .theirs
                .iter()
                .flat_map(|names| names.first())
                .collect();
            bail!(
                "has {theirs:?} for {name} with shape {:?} instead of {shape:?}: it is not the described network",
                read.shape
            );
        }
        let count = read.values.len();
        Ok(Tensor::from_data(
            TensorData::new(read.values, [count]),
            &self.device,
        ))
    }
}

impl ParameterMapper for Filler<'_> {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.result.is_err() {
            return param;
        }
        match self.read(name, &param.lazy_shape()) {
            Ok(values) => Param::initialized(param.id, values.reshape(param.lazy_shape())),
            Err(error) => {
                self.result = Err(error);
                param
            }
        }
    }
}

/// ADM's network with these channels in its stages and embeddings.
fn network_of_widths(widths: &[usize], sinusoids: usize, embedding: usize) -> Result<UNetConfig> {
    let divisor = widths.iter().fold(0, |a, &b| greatest_common_divisor(a, b));
    if divisor == 0 {
        bail!("its stages have no channels");
    }
    // The first width, if it divides all widths, as it usually does; otherwise their divisor.
    let base = match widths.first() {
        Some(&first) if widths.iter().all(|width| width % first == 0) => first,
        _ => divisor,
    };
    Ok(UNetConfig {
        channel_multipliers: widths.iter().map(|width| width / base).collect(),
        sinusoid_channels: Some(sinusoids).filter(|&channels| channels != base),
        embedding_channels: Some(embedding).filter(|&channels| channels != 4 * base),
        ..UNetConfig::adm(base, 1)
    })
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => greatest_common_divisor(b, a % b),
    }
}

/// Opens weights and drops what wrappers put before their names. Errors contain the file name.
fn open(path: &Path) -> Result<Weights> {
    let weights = Weights::open(path).map_err(|e| anyhow!("{} {e}", path.display()))?;
    Ok(weights.unwrapped())
}

/// Rows of a tensor of two dimensions.
fn height(weights: &mut Weights, name: &str, file: &Path) -> Result<usize> {
    let read = weights.values(name);
    let read = read.map_err(|e| anyhow!("{} {e}", file.display()))?;
    Ok(read.shape.first().copied().unwrap_or(0))
}

/// The largest size of a description in bytes: its longest list has ten thousand numbers.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// Reads a description.
fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(name)?;
    let mut text = String::new();
    file.take(MAX_JSON_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(name)?;
    if text.len() as u64 > MAX_JSON_BYTES {
        bail!(
            "{} is over a megabyte long, so it does not describe a network",
            name()
        );
    }
    descriptions::parse(&text).map_err(|e| anyhow!("{}: {e}", name()))
}
