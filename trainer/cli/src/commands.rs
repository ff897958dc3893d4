//! The smaller commands.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use freeguide::bundle::{ClassNames, Model, Network};
use freeguide::network::{Conditions, NumberInput};
use freeguide::settings::{ClassName, MAX_IMAGES, Plan, Request};
use indicatif::{ProgressBar, ProgressStyle};

use crate::arguments::{Devices, Inspect, Sample};
use crate::inspect_run::inspect_run;
use crate::pictures::Pictures;
use crate::source_image;
use freeguide_native::output::print_line;
use freeguide_native::png_text::{KEYWORD, read_text};
use freeguide_native::tell;
use freeguide_native::usage::Usage;
use freeguide_native::{bundle_files, device, memory, sample};
use freeguide_train::RunFolder;
use freeguide_train::distributed::{Ranks, draw_in_shares};

pub fn sample(arguments: &Sample) -> Result<ExitCode> {
    Ranks::join()?.run(|ranks| sample_on(ranks, arguments))
}

fn sample_on(ranks: &Ranks, arguments: &Sample) -> Result<ExitCode> {
    check_count(arguments.count)?;
    let device = device::open(&arguments.device.device)?;
    let guide = arguments.guide.as_deref();
    let model = bundle_files::open_guided(&arguments.model, guide, &device)?;
    let model = match &arguments.classifier {
        Some(file) => {
            let classifier = bundle_files::open_noisy_classifier(file, &device)?;
            let guidance = classifier.guidance(model.config(), arguments.classifier_guidance)?;
            model.with_classifier(classifier, guidance)
        }
        None => model,
    };
    let classes = classes_in_turn(&arguments.class, &model.config().classes);
    let request = request(arguments, &classes, &model)?;
    let plan = model.plan(&request)?;
    let batch = usize::from(arguments.batch);
    // The two networks of a guided model compute one after the other.
    for bundle in [Some(arguments.model.as_path()), guide]
        .into_iter()
        .flatten()
    {
        memory::check_batch(
            bundle_files::memory(bundle, &device)?,
            &device,
            batch.min(arguments.count),
            |images| model.rows(&sample::part(&plan, 0..images)),
        )?;
    }
    let evaluations = model.evaluations(&plan);
    if !arguments.json && ranks.is_first() {
        let (steps, sampler) = (plan.steps_taken(), plan.sampler.name());
        tell!("{steps} steps of {sampler}: {evaluations} network evaluations per image");
    }
    // The output is opened before drawing, so that a path that cannot be written costs no time.
    let mut pictures = match ranks.is_first() {
        true => {
            let columns = columns(classes.len(), arguments.count);
            Some(Pictures::open(&arguments.out, columns, &model)?)
        }
        false => None,
    };
    let begun = Instant::now();
    draw(ranks, &model, &plan, batch, &mut pictures)?;
    let seconds = begun.elapsed().as_secs_f64();
    let Some(pictures) = pictures else {
        return Ok(ExitCode::SUCCESS);
    };
    let written = pictures.finish(&model, &plan)?;
    if arguments.json {
        let settings = sample::settings(&model, &plan);
        print_line(
            serde_json::json!({ "files": written, "images": settings, "nfe": evaluations, "seconds": seconds }),
        )?;
    } else {
        tell!(
            "{} images of {evaluations} network evaluations each in {seconds:.1} s: {}",
            arguments.count,
            arguments.out
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a number of images before anything of that size is allocated.
fn check_count(count: usize) -> Result<()> {
    if (1..=MAX_IMAGES).contains(&count) {
        return Ok(());
    }
    Err(Usage(format!(
        "--count is {count}, but must be from 1 to {MAX_IMAGES}; --first-image draws more images in another run"
    ))
    .into())
}

/// The classes of `--class`, which images take in turn. Without `--class`, these are all classes of the model.
fn classes_in_turn(given: &[String], names: &ClassNames) -> Vec<ClassName> {
    match given {
        [] if names.is_empty() => vec![ClassName::Unconditional],
        [] => (0..names.len() as u64).map(ClassName::Id).collect(),
        given => given
            .iter()
            .map(|text| ClassName::of_text(text, names))
            .collect(),
    }
}

/// What the command line asks for, with the picture and the mask that it names.
fn request(arguments: &Sample, classes: &[ClassName], model: &Model) -> Result<Request> {
    let classes = classes.iter().cycle().take(arguments.count).cloned();
    let mut request = arguments.drawing.request(classes.collect())?;
    let (image, mask) = (arguments.image.as_deref(), arguments.mask.as_deref());
    request.source = source_image::read(image, mask, &model.config().image)?;
    Ok(request)
}

/// A grid has a column for each class if several classes take turns more than once.
fn columns(classes: usize, count: usize) -> Option<usize> {
    ((2..=sample::MAX_COLUMNS).contains(&classes) && count > classes).then_some(classes)
}

/// Draws all images of a plan and hands them to the first process's `pictures`. Each process draws one batch at a
/// time, so that memory holds no more images than these.
fn draw(
    ranks: &Ranks,
    model: &Model,
    plan: &Plan,
    batch: usize,
    pictures: &mut Option<Pictures>,
) -> Result<()> {
    let count = plan.classes.len();
    let round = batch * ranks.size();
    let bar = progress_bar(ranks.is_first(), count.div_ceil(round) * plan.steps_taken());
    for at in (0..count).step_by(round) {
        let part = sample::part(plan, at..(at + round).min(count));
        let before = at / round * plan.steps_taken();
        let images = draw_in_shares(ranks, model, &part, batch, &mut |done, _| {
            bar.set_position((before + done) as u64);
        })?;
        if let Some(pictures) = pictures {
            pictures.take(model, &part, images)?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn progress_bar(visible: bool, steps: usize) -> ProgressBar {
    let bar = match visible {
        true => ProgressBar::new(steps as u64),
        false => ProgressBar::hidden(),
    };
    bar.with_style(
        ProgressStyle::with_template("{bar:32} {pos}/{len} steps  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

pub fn inspect(arguments: &Inspect) -> Result<ExitCode> {
    if arguments.path.is_file() {
        return inspect_picture(&arguments.path);
    }
    if RunFolder::new(&arguments.path).is_begun() {
        return inspect_run(&arguments.path, arguments.json);
    }
    let model = bundle_files::open(&arguments.path, &device::open("cpu")?)
        .with_context(|| arguments.path.display().to_string())?;
    let config = model.config();
    if arguments.json {
        print_line(config.to_json().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (image, origin) = (config.image, &config.provenance);
    print_line(format_args!(
        "{}: {}×{} pixels, {} channels, {} parameters",
        config.name, image.size, image.size, image.channels, origin.parameters
    ))?;
    let conditions = match &config.network {
        Network::UNet(network) => (network.conditions, network.number.as_ref()),
        Network::Compiled(_) => Default::default(),
    };
    print_line(format_args!(
        "{}: {}",
        match conditions.0 {
            Conditions::Classes => "classes",
            Conditions::Attributes => "attributes",
        },
        config.classes.iter().collect::<Vec<_>>().join(", ")
    ))?;
    if let Some(number) = conditions.1 {
        let NumberInput {
            name,
            min,
            max,
            unit,
        } = number;
        print_line(format_args!("number: {name} from {min} to {max} {unit}"))?;
    }
    print_line(format_args!(
        "trained for {} steps, {} images seen, p_uncond {}, average with decay {}",
        origin.steps, origin.images_seen, origin.p_uncond, origin.ema_decay
    ))?;
    for (what, text) in [
        ("data", &origin.dataset),
        ("licence", &origin.license),
        ("attribution", &origin.attribution),
    ] {
        if !text.is_empty() {
            print_line(format_args!("{what}: {text}"))?;
        }
    }
    for file in &config.weights {
        print_line(format_args!(
            "{:>12}  {}  sha256 {}",
            file.bytes, file.file, file.sha256
        ))?;
    }
    print_line("all files are intact and all weights are present")?;
    Ok(ExitCode::SUCCESS)
}

fn inspect_picture(path: &Path) -> Result<ExitCode> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = read_text(&bytes, KEYWORD).with_context(|| path.display().to_string())?;
    match text {
        Some(settings) => print_line(settings)?,
        None => bail!(
            "{} contains no settings: freeguide did not make it, or the settings were removed",
            path.display()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

pub fn devices(arguments: &Devices) -> Result<ExitCode> {
    let found = device::list();
    if arguments.json {
        print_line(serde_json::to_string(&found)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for device in found {
        match device.unavailable {
            None => print_line(format_args!("{:8} {}", device.name, device.description))?,
            Some(reason) => print_line(format_args!("{:8} not available: {reason}", device.name))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
