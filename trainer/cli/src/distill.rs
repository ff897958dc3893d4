//! `freeguide distill`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use freeguide::bundle::Model;
use freeguide::settings::{ClassName, PerImage, Request};
use freeguide_data::{Beside, Dataset, TrainingSet};
use freeguide_native::{bundle_files, device, sample};
use freeguide_recipe::Recipe;
use freeguide_train::RunFolder;
use freeguide_train::distributed::Ranks;

use crate::train::{RunOptions, open_data};

/// Distil a guided model into a student that needs one network evaluation a step instead of two.
///
/// The student takes the guidance strength w as an input, for every w of a range (-1 to 8; network.guidance.min and
/// network.guidance.max set another), and learns the guided prediction of its teacher (Meng et al. 2023, "On
/// Distillation of Guided Diffusion Models", section 3.1). It begins as its teacher, and is exported, drawn and evaluated
/// like any model.
///
/// With --steps-max, the student also learns to draw in few steps: it takes the level that a step leads to as one more
/// input. docs/DISTILLATION.md describes the methods (distill.method).
///
/// The recipe is made from the bundle: the teacher's network, noise levels and sampling settings, and 800 steps of 64
/// images. --set changes it, and the run folder contains it. The run folder, --resume and Ctrl-C are as in `train`; the
/// sample grids show the teacher at the left and the student at the right.
#[derive(Debug, Args)]
pub struct Distill {
    /// The bundle of the teacher, such as models/emoji16.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// The data set, which must have the teacher's classes. Without it, the student learns on images that the teacher
    /// draws first.
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// The recipe that the teacher was trained with; its [data] says how the images of --data are resized and cropped.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub recipe: Option<PathBuf>,
    /// Distil to few steps too: the student draws in 1, 2, 4 … steps up to this power of two, of one evaluation each. The
    /// teacher may be a student that was distilled without this option, which makes it twice as fast.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u16).range(1..))]
    pub steps_max: Option<u16>,
    /// Without --data: the number of images that the teacher draws.
    #[arg(long, value_name = "N", default_value_t = 4096, conflicts_with = "data", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub samples: u32,
    #[command(flatten)]
    pub run: RunOptions,
}

/// Runs the command.
pub fn distill(arguments: &Distill) -> Result<ExitCode> {
    Ranks::join()?.run(|ranks| distill_on(ranks, arguments))
}

fn distill_on(ranks: &Ranks, arguments: &Distill) -> Result<ExitCode> {
    let options = &arguments.run;
    let device = device::open(&options.device.device)?;
    let teacher = bundle_files::open(&arguments.model, &device)
        .with_context(|| arguments.model.display().to_string())?;
    let config = teacher.config();
    let prepared = match &arguments.recipe {
        Some(path) => Some(Recipe::load(path, &[])?.data),
        None => None,
    };
    RunFolder::new(&options.out).check_start(options.resume, ranks.is_first())?;
    let name = format!("{}-student", config.name);
    let steps = arguments.steps_max.map(usize::from);
    let recipe = Recipe::of_student(config, &name, steps, prepared, &options.all_set())?;
    let data = match &arguments.data {
        Some(path) => {
            let data = open_data(ranks, path, &recipe)?;
            check_classes(&teacher, &data.classes)?;
            (data, path.clone())
        }
        None => {
            let drawn = drawn(&teacher, arguments.samples as usize, recipe.train.seed)?;
            (drawn, arguments.model.clone())
        }
    };
    let init = Some((arguments.model.clone(), teacher));
    options.train(ranks, recipe, data, init, device)
}

/// Class ids must mean the same to teacher and student.
fn check_classes(teacher: &Model, classes: &[String]) -> Result<()> {
    let known = &teacher.config().classes;
    if known.iter().eq(classes.iter().map(String::as_str)) {
        return Ok(());
    }
    bail!(
        "the classes of the data set are {}, and those of {} are {}: a student has its teacher's classes in their order, and data.class_names renames those of a data set",
        classes.join(", "),
        teacher.config().name,
        known.iter().collect::<Vec<_>>().join(", ")
    )
}

/// Images of the teacher without guidance, which are spread like its data; classes take turns.
fn drawn(teacher: &Model, count: usize, seed: u64) -> Result<TrainingSet> {
    let config = teacher.config();
    let names = config.classes.len();
    let labels: Vec<u32> = (0..count).map(|image| (image % names) as u32).collect();
    let mut pixels = Vec::new();
    for (first, labels) in (0..count).step_by(CHUNK).zip(labels.chunks(CHUNK)) {
        let classes = labels.iter().map(|&id| ClassName::Id(u64::from(id)));
        let mut request = Request::new(classes.collect());
        request.guidance = Some(PerImage::All(0.0));
        (request.seed, request.first_image) = (seed, first as u64);
        let plan = teacher.plan(&request)?;
        pixels.extend(sample::draw(teacher, &plan, BATCH, &mut |_, _| {})?.pixels);
    }
    let data = Dataset {
        images: pixels,
        labels,
        beside: Beside::default(),
        classes: config.classes.iter().map(str::to_owned).collect(),
        size: config.image.size,
        channels: config.image.channels,
    };
    let description = format!("{count} images drawn by {}, without guidance", config.name);
    Ok(TrainingSet::made(data, description))
}

/// How many images one request asks for, and how many of them are drawn at a time.
const CHUNK: usize = 1024;
const BATCH: usize = 32;
