//! `freeguide eval`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use freeguide::sampler::Solver;
use freeguide::settings::{MAX_GUIDANCE, MAX_STEPS};

use crate::arguments::{Device, Features, solver, strength, unique};
use freeguide_eval::{ClassBalance, Effort, Shard, Sweep, figures::Figures, report};
use freeguide_native::device;
use freeguide_native::output::print_line;
use freeguide_native::tell;
use freeguide_native::usage::Usage;

/// Measure fidelity and diversity at several guidance strengths, as in the paper's table.
///
/// Draws --samples images for every model, sampler, number of steps and guidance strength, and compares them with the
/// data set: Fréchet distance, Inception Score, precision and recall, density and coverage, kernel distance, class
/// accuracy, and whether training images were copied. The report in --out is an HTML page (index.html), Markdown
/// (report.md), CSV (table.csv) and JSON (figures.json).
///
/// A metric carries the name of its feature network (FD-ResNet56), because values of different networks cannot be
/// compared. Only FID's own Inception-v3 gives FID, IS and KID. Beside each Fréchet distance stands the floor: the
/// distance between real images and other real images. If no network knows your data, train one with `freeguide
/// classifier`.
///
/// Every image has its own seed. Images and features are stored in --out/store by a hash of what they depend on. The
/// same command therefore continues after an interruption, and a longer sweep or more samples compute only what is new.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
The paper's table, for models trained with p_uncond 0.1, 0.2 and 0.5:
  freeguide eval --model models/p01 --model models/p02 --model models/p05 --data DIR \\
    --guidance 0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,2,3,4 --steps 256 --sampler ancestral \\
    --samples 50000 --features pt_inception-2015-12-05-6726825d.pth --out report/

In four processes, or on the ranks of mpirun or srun with a shared file system:
  freeguide eval … --out part1/ --shard 1/4      (and 2/4, 3/4, 4/4)
  freeguide eval merge --out report/ part1/ part2/ part3/ part4/
  mpirun -n 4 freeguide eval … --out report/ --shard auto && freeguide eval merge --out report/"
)]
pub struct Eval {
    #[command(subcommand)]
    merge: Option<EvalCommand>,
    #[command(flatten)]
    sweep: SweepArguments,
    #[command(flatten)]
    device: Device,
    /// Print the metrics as JSON.
    #[arg(long)]
    json: bool,
    /// Print only warnings and errors.
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum EvalCommand {
    /// Combine the parts of a sweep and write its report.
    Merge {
        /// The folder of the report.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The --out of each part; leave it out if all parts wrote into the folder of the report.
        #[arg(value_name = "DIR")]
        parts: Vec<PathBuf>,
        #[command(flatten)]
        device: Device,
        /// Print the metrics as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct SweepArguments {
    /// A bundle, such as models/emoji16. Several become the columns of the table.
    #[arg(long, value_name = "DIR", required = true)]
    model: Vec<PathBuf>,
    /// A bundle that guides the models (see `freeguide sample --help`), or `none`. Several are tried with each model, so that
    /// `--guide none --guide DIR` compares classifier-free guidance with autoguidance.
    #[arg(long, value_name = "DIR")]
    guide: Vec<PathBuf>,
    /// A classifier of noisy images that guides the models (see `freeguide sample --help`). With --guidance -1 it does so alone.
    #[arg(long, value_name = "FILE")]
    classifier: Option<PathBuf>,
    /// The strengths of --classifier; 0 is without it.
    #[arg(long, value_name = "S,S,…", value_delimiter = ',', requires = "classifier", value_parser = strength)]
    classifier_guidance: Vec<f64>,
    /// The data set to compare with. Its class names must be those of the models.
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// The recipe that the models were trained with; its [data] says how images are resized and cropped.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// The guidance strengths w.
    #[arg(long, value_name = "W,W,…", value_delimiter = ',', allow_negative_numbers = true, default_values_t = [0.0, 1.0, 2.0, 4.0])]
    guidance: Vec<f64>,
    /// The numbers of sampling steps; by default each model's own.
    #[arg(long, value_name = "T,T,…", value_delimiter = ',')]
    steps: Vec<usize>,
    /// The solvers; by default each model's own.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = solver)]
    sampler: Vec<Solver>,
    /// The number of images per cell of the sweep. The paper uses 50,000.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    samples: usize,
    /// The seed; image k of a cell is image k of this seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many images of each class are drawn.
    #[arg(long, value_enum, default_value_t = ClassBalance::Data)]
    classes: ClassBalance,
    #[command(flatten)]
    features: Features,
    /// The number of splits of the Inception Score.
    #[arg(long, value_name = "N", default_value_t = 10)]
    splits: usize,
    /// For scale: also measure real images with Gaussian noise of these standard deviations, in 255ths.
    #[arg(long, value_name = "S,S,…", value_delimiter = ',')]
    noise: Vec<f64>,
    /// For scale: also measure real images with a Gaussian blur of these standard deviations, in pixels.
    #[arg(long, value_name = "S,S,…", value_delimiter = ',')]
    blur: Vec<f64>,
    /// The number of images drawn at a time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// The number of threads, each of which draws a batch; by default one per core on the CPU, one elsewhere.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Do only part I of N and write no report; `auto` uses the rank of mpirun or srun.
    #[arg(long, value_name = "I/N", value_parser = freeguide_eval::shard)]
    shard: Option<Shard>,
    /// The folder of the report.
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn eval(arguments: &Eval) -> Result<ExitCode> {
    let command = typed();
    let (figures, json, out) = match &arguments.merge {
        Some(EvalCommand::Merge {
            out,
            parts,
            device,
            json,
        }) => {
            let device = device::open(&device.device)?;
            let figures = freeguide_eval::merge(parts, &device, command, out)?;
            (Some(figures), *json, out.clone())
        }
        None => {
            let given = &arguments.sweep;
            let (sweep, out) = sweep(given)?;
            let device = device::open(&arguments.device.device)?;
            let effort = Effort {
                shard: given.shard.unwrap_or(Shard::WHOLE),
                workers: workers(given.workers, &device),
                batch: usize::from(given.batch),
                quiet: arguments.quiet,
            };
            let figures = freeguide_eval::run(&sweep, effort, &device, command, &out)?;
            (figures, arguments.json, out)
        }
    };
    match figures {
        Some(figures) if json => print_line(serde_json::to_string(&figures)?)?,
        Some(figures) => {
            summary(&figures)?;
            tell!("wrote the report: {}", out.join("index.html").display());
        }
        None => tell!(
            "this part is done; when all parts are, run: freeguide eval merge --out {}",
            out.display()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks the arguments before any file is opened.
fn sweep(given: &SweepArguments) -> Result<(Sweep, PathBuf)> {
    let usage = |text: String| Err(Usage(text).into());
    let (Some(data), Some(out)) = (&given.data, &given.out) else {
        return usage("--data and --out are required".to_owned());
    };
    let allowed = |w: &f64| w.abs() <= MAX_GUIDANCE;
    if let Some(w) = given.guidance.iter().find(|w| !allowed(w)) {
        return usage(format!(
            "--guidance {w}: it must be from −{MAX_GUIDANCE} to {MAX_GUIDANCE}"
        ));
    }
    if let Some(steps) = given.steps.iter().find(|s| !(1..=MAX_STEPS).contains(*s)) {
        return usage(format!("--steps {steps}: it must be from 1 to {MAX_STEPS}"));
    }
    if given.samples == 0 || given.splits == 0 {
        return usage("--samples and --splits must be at least 1".to_owned());
    }
    let allowed = |s: &f64| (0.0..=255.0).contains(s) && *s > 0.0;
    if let Some(deviation) = given.noise.iter().find(|s| !allowed(s)) {
        return usage(format!(
            "--noise {deviation}: it must be more than 0 and at most 255"
        ));
    }
    let allowed = |s: &f64| (0.0..=64.0).contains(s) && *s > 0.0;
    if let Some(deviation) = given.blur.iter().find(|s| !allowed(s)) {
        return usage(format!(
            "--blur {deviation}: it must be more than 0 and at most 64 pixels"
        ));
    }
    let sweep = Sweep {
        models: given.model.clone(),
        guides: given.guide.clone(),
        classifier: given.classifier.clone(),
        classifier_guidance: ascending(&given.classifier_guidance),
        data: data.clone(),
        recipe: given.recipe.clone(),
        guidance: ascending(&given.guidance),
        steps: unique(&given.steps),
        samplers: unique(&given.sampler),
        samples: given.samples,
        seed: given.seed,
        classes: given.classes,
        features: given.features.networks(),
        onnx_input: given.features.onnx_input,
        splits: given.splits,
        noise: ascending(&given.noise),
        blur: ascending(&given.blur),
    };
    Ok((sweep, out.clone()))
}

/// The numbers without duplicates, in ascending order.
fn ascending(numbers: &[f64]) -> Vec<f64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}

/// On the CPU one thread per core: a small network spends most of its time in single-threaded passes over memory.
fn workers(given: Option<u16>, device: &burn::tensor::Device) -> usize {
    match given {
        Some(given) => usize::from(given),
        None if *device == burn::tensor::Device::flex() => {
            std::thread::available_parallelism().map_or(1, usize::from)
        }
        None => 1,
    }
}

/// The command as it was typed, without the path of the program.
fn typed() -> String {
    let words = std::env::args().skip(1).map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:+@%".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word,
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    });
    std::iter::once("freeguide".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Prints one line per cell.
fn summary(figures: &Figures) -> Result<()> {
    for network in &figures.networks {
        let floor = &network.floor;
        print_line(format_args!(
            "{} floor ({} real against the {} others): {}   {} {}   features {:.0} images/s",
            network.distance,
            floor.images,
            floor.against,
            report::distance(&floor.metrics),
            network.score,
            report::figure(floor.metrics.inception_score),
            network.images_per_second,
        ))?;
        for (label, metrics) in report::worse_floors(network) {
            print_line(format_args!(
                "{label}: {} {}",
                network.distance,
                report::distance(metrics),
            ))?;
        }
        for cell in &network.cells {
            let (model, metrics) = (&figures.models[cell.model], &cell.metrics);
            let accuracy = metrics
                .accuracy
                .map_or_else(String::new, |a| format!("   accuracy {:.1} %", 100.0 * a));
            print_line(format_args!(
                "{} {} {} steps w {}: {} {}   {} {} ± {}   precision {:.3} recall {:.3}{accuracy}   sampler {:.1} images/s",
                model.label,
                cell.sampler.name(),
                cell.steps,
                cell.guidance,
                network.distance,
                report::distance(metrics),
                network.score,
                report::figure(metrics.inception_score),
                report::figure(metrics.inception_score_deviation),
                metrics.precision,
                metrics.recall,
                cell.images_per_second,
            ))?;
        }
    }
    Ok(())
}
