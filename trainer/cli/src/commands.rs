//! The smaller commands.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use freeguide::settings::{ClassName, MAX_IMAGES};
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
    // Checked before anything of that size is allocated.
    if !(1..=MAX_IMAGES).contains(&arguments.count) {
        let count = arguments.count;
        return Err(Usage(format!(
            "--count is {count}, but must be from 1 to {MAX_IMAGES}; --first-image draws more images in another run"
        ))
        .into());
    }
    let device = device::open(&arguments.device.device)?;
    let model = bundle_files::open(&arguments.model, &device)
        .with_context(|| arguments.model.display().to_string())?;
    let names = &model.config().classes;
    let classes: Vec<ClassName> = match arguments.class.as_slice() {
        [] if names.is_empty() => vec![ClassName::Unconditional],
        [] => (0..names.len() as u64).map(ClassName::Id).collect(),
        given => given
            .iter()
            .map(|text| ClassName::of_text(text, names))
            .collect(),
    };
    let turns = classes.len();
    let classes = classes.into_iter().cycle().take(arguments.count);
    let mut request = arguments.drawing.request(classes.collect())?;
    let (image, mask) = (arguments.image.as_deref(), arguments.mask.as_deref());
    request.source = source_image::read(image, mask, &model.config().image)?;
    let plan = model.plan(&request)?;
    let batch = usize::from(arguments.batch);
    memory::check_batch(
        bundle_files::memory(&arguments.model, &device)?,
        &device,
        batch.min(arguments.count),
        |images| model.rows(&sample::part(&plan, 0..images)),
    )?;
    let evaluations = model.evaluations(&plan);
    if !arguments.json && ranks.is_first() {
        let (steps, sampler) = (plan.steps_taken(), plan.sampler.name());
        tell!("{steps} steps of {sampler}: {evaluations} network evaluations per image");
    }
    // Check the output before drawing. If classes take turns, and more than once, each class gets a column.
    let has_columns = (2..=sample::MAX_COLUMNS).contains(&turns) && arguments.count > turns;
    let mut pictures = match ranks.is_first() {
        true => {
            let columns = has_columns.then_some(turns);
            Some(Pictures::open(&arguments.out, columns, &model)?)
        }
        false => None,
    };
    let bar = match ranks.is_first() {
        true => ProgressBar::new(0),
        false => ProgressBar::hidden(),
    }
    .with_style(
        ProgressStyle::with_template("{bar:32} {pos}/{len} steps  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let begun = Instant::now();
    // A batch for each process at a time, so that memory holds no more images than these.
    let round = batch * ranks.size();
    bar.set_length((arguments.count.div_ceil(round) * plan.steps_taken()) as u64);
    for at in (0..arguments.count).step_by(round) {
        let part = sample::part(&plan, at..(at + round).min(arguments.count));
        let before = at / round * plan.steps_taken();
        let images = draw_in_shares(ranks, &model, &part, batch, &mut |done, _| {
            bar.set_position((before + done) as u64);
        })?;
        if let Some(pictures) = &mut pictures {
            pictures.take(&model, &part, images)?;
        }
    }
    bar.finish_and_clear();
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
    print_line(format_args!(
        "classes: {}",
        config.classes.iter().collect::<Vec<_>>().join(", ")
    ))?;
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
