//! `freeguide classifier`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::arguments::Device;
use freeguide::noise_level::LogSnrRange;
use freeguide_data::{self as data, DataRecipe};
use freeguide_eval::classifier::{GROUPS, TrainedNoisy, Training, pretrained};
use freeguide_native::device;
use freeguide_native::files::{create_folder, write_atomic};
use freeguide_native::output::print_line;
use freeguide_native::tell;
use freeguide_native::usage::Usage;
use freeguide_recipe::Recipe;

/// Train a small classifier on a data set, as a feature network for `freeguide eval`.
///
/// A ResNet (He et al. 2015) is trained on four fifths of the images of each class, with random shifts, rotations, zoom
/// and colours. Its accuracy on the remaining fifth is printed for each class and stored in the file. Metrics are named
/// after the file: FD-emoji for emoji.safetensors.
///
/// With --pretrained, nothing is trained. A CIFAR-10 classifier that is part of the program is written as such a file,
/// for the folder of a bundle, and tested on all images of --data.
///
/// With --noisy, the classifier is for classifier guidance (Dhariwal & Nichol 2021): the encoder half of a U-Net with
/// attention pooling, conditioned on λ, is trained on noisy images. `sample` and `eval` take its file as --classifier.
#[derive(Debug, Args)]
pub struct Classifier {
    /// The data set: a folder with one sub-folder of images per class, or one of the other layouts.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The file of the weights; its name must end in .safetensors.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The recipe of the models to be evaluated; its [data] says how images are prepared.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Width and height of the network's images in pixels; by default the recipe's, or 32 without a recipe.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(4..=256))]
    size: Option<u32>,
    /// Write a network that is part of the program instead of training one: resnet20 or resnet56, for CIFAR-10.
    #[arg(long, value_name = "NETWORK", conflicts_with_all = ["epochs", "blocks", "width", "batch", "learning_rate", "flip", "seed"])]
    pretrained: Option<String>,
    /// Train a classifier of noisy images, which guides a model.
    #[arg(long, conflicts_with_all = ["pretrained", "blocks"])]
    noisy: bool,
    /// The split of a data set that has splits, such as test for CIFAR-10's test images.
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// The number of passes over the data.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    epochs: u64,
    /// The number of residual blocks in each of the three stages; 3 gives a ResNet-20.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=50))]
    blocks: u16,
    /// The number of channels of the first stage, 14 by default; there are four times as many features. With --noisy a
    /// multiple of 8, 32 by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=512))]
    width: Option<u16>,
    /// The number of images per step.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..=4096))]
    batch: u16,
    /// The highest learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 3e-3)]
    learning_rate: f64,
    /// Mirror images left to right, half of the time.
    #[arg(long)]
    flip: bool,
    /// The seed of all random numbers.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: Device,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Print only warnings and errors.
    #[arg(long)]
    quiet: bool,
}

/// Width and height in pixels if neither the command nor a recipe gives them.
const DEFAULT_SIZE: u32 = 32;

/// Runs the command.
pub fn classifier(arguments: &Classifier) -> Result<ExitCode> {
    if !(arguments.learning_rate > 0.0 && arguments.learning_rate.is_finite()) {
        return Err(Usage("--learning-rate must be a number above 0".to_owned()).into());
    }
    let stem = arguments.out.file_stem().and_then(|s| s.to_str());
    let extension = arguments.out.extension().and_then(|e| e.to_str());
    let (Some(name), Some("safetensors")) = (stem, extension) else {
        return Err(Usage("--out must be a file that ends in .safetensors".to_owned()).into());
    };
    let mut preparation: DataRecipe = match &arguments.recipe {
        Some(path) => Recipe::load(path, &[])?.data,
        None => DataRecipe::new(DEFAULT_SIZE),
    };
    preparation.size = arguments.size.unwrap_or(preparation.size);
    if let Some(split) = &arguments.split {
        preparation.split.clone_from(split);
    }
    let range = match &arguments.recipe {
        Some(path) => Recipe::load(path, &[])?.diffusion.log_snr,
        None => LogSnrRange::PAPER,
    };
    if !arguments.noisy {
        // The network has three input channels; a grey image is repeated in all three.
        preparation.channels = 3;
    }
    let device = device::open(&arguments.device.device)?;
    let data = data::load(&arguments.data, &preparation, &mut |warning| {
        tell!("warning: {warning}");
    })?;
    if data.beside.attributes.is_some() {
        let what = "its images have several labels, and a classifier tells classes apart";
        return Err(Usage(format!("{}: {what}", arguments.data.display())).into());
    }
    if data.classes.len() < 2 {
        let what = "a classifier needs at least two classes";
        return Err(Usage(format!("{}: {what}", arguments.data.display())).into());
    }
    if let Some(parent) = arguments.out.parent().filter(|p| *p != Path::new("")) {
        create_folder(parent)?;
    }
    if arguments.noisy {
        let trained = arguments
            .training()?
            .run_noisy(name, &data, range, &device)?;
        return finish_noisy(arguments, &trained);
    }
    let trained = match &arguments.pretrained {
        Some(network) => pretrained(network, &data, &device)?,
        None => arguments.training()?.run(name, &data, &device)?,
    };
    write_atomic(&arguments.out, &trained.file)?;
    let (held_out, of_class) = (&trained.held_out, trained.held_out.class_accuracies());
    if arguments.json {
        let of_class: serde_json::Map<_, _> = data
            .classes
            .iter()
            .zip(of_class)
            .map(|(class, accuracy)| (class.clone(), json!(accuracy)))
            .collect();
        print_line(json!({
            "file": arguments.out,
            "held_out_accuracy": held_out.accuracy(),
            "held_out_class_accuracies": of_class,
            "held_out_images": held_out.images(),
            "baseline": trained.baseline,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (class, accuracy) in data.classes.iter().zip(of_class) {
        let accuracy = accuracy.map_or("–".to_owned(), |a| format!("{:.1} %", 100.0 * a));
        tell!("{class}: {accuracy}");
    }
    tell!(
        "{}: {:.1} % of {} held-out images are classified correctly; always choosing the most frequent class would give {:.1} %",
        arguments.out.display(),
        100.0 * held_out.accuracy(),
        held_out.images(),
        100.0 * trained.baseline
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes a classifier of noisy images and says what it reaches.
fn finish_noisy(arguments: &Classifier, trained: &TrainedNoisy) -> Result<ExitCode> {
    write_atomic(&arguments.out, &trained.file)?;
    let held_out = trained.held_out;
    if arguments.json {
        print_line(json!({ "file": arguments.out, "held_out": held_out }))?;
        return Ok(ExitCode::SUCCESS);
    }
    tell!(
        "{}: {:.1} % of {} held-out images are classified correctly without noise, and {:.1} % with as much noise as in training",
        arguments.out.display(),
        100.0 * held_out.clean_accuracy,
        held_out.images,
        100.0 * held_out.noisy_accuracy
    );
    Ok(ExitCode::SUCCESS)
}

impl Classifier {
    fn training(&self) -> Result<Training> {
        let width = self.width.unwrap_or(if self.noisy { 32 } else { 14 });
        let width = usize::from(width);
        if self.noisy && !width.is_multiple_of(GROUPS) {
            let what = format!("--width {width}: with --noisy it must be a multiple of {GROUPS}");
            return Err(Usage(what).into());
        }
        Ok(Training {
            epochs: self.epochs,
            batch: usize::from(self.batch),
            learning_rate: self.learning_rate,
            blocks: usize::from(self.blocks),
            width,
            flip: self.flip,
            seed: self.seed,
            quiet: self.quiet,
        })
    }
}
