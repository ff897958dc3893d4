//! `freeguide import`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use freeguide_interchange::export::DType;
use freeguide_interchange::import::{self, NullClass, Options, Source};
use freeguide_native::files::write_atomic;
use freeguide_native::output::print_line;
use freeguide_native::tell;
use freeguide_native::usage::Usage;

const EXAMPLES: &str = "\
OpenAI's class-conditional model for 64x64 pixels, with the flags from its README:
  freeguide import --from guided-diffusion 64x64_diffusion.pt --out models/adm64 --flags \"\\
    --attention_resolutions 32,16,8 --class_cond True --diffusion_steps 1000 --dropout 0.1 \\
    --image_size 64 --learn_sigma True --noise_schedule cosine --num_channels 192 \\
    --num_head_channels 64 --num_res_blocks 3 --resblock_updown True \\
    --use_new_attention_order True --use_fp16 True --use_scale_shift_norm True\"

A diffusers folder whose last class was trained as the null class:
  freeguide import --from diffusers my-model --null-class last --out models/mine

A model without a null class is only conditional: it can be sampled without guidance, and a request for
guidance is an error. A learned variance is dropped, because no sampler here uses one.";

/// Convert a model of another program into a bundle.
///
/// The weights are read from safetensors or from files of torch.save. Pickles are never executed, and a
/// file that contains more than tensors is refused. Discrete timesteps are mapped exactly to log
/// signal-to-noise ratios, so every sampler works.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// The program that trained the model.
    #[arg(long, value_enum, value_name = "PROGRAM")]
    pub from: Source,
    /// The checkpoint, or the folder with the checkpoint and its configuration.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The folder of the bundle to write, or the file of a classifier.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The flags of guided-diffusion with which the model was trained, in one argument. Missing flags have
    /// the defaults of guided-diffusion. The additional flag --norm_groups N is for programs derived from
    /// it that changed the number of normalisation groups. Of EDM: --precond, --arch, and --norm_groups and
    /// --head_channels for programs derived from it.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub flags: Option<String>,
    /// The scheduler_config.json of diffusers, if it is not in the folder.
    #[arg(long, value_name = "FILE")]
    pub scheduler: Option<PathBuf>,
    /// Height and width of the images in pixels, if the folder does not say.
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// The null class: its id, `last`, `zeros` for a class vector of zeros (EDM's label_dropout), or `none` if the model has
    /// none.
    #[arg(long, value_name = "ID", default_value = "none", value_parser = null_class)]
    pub null_class: NullClass,
    /// A text file with one class name per line, without the null class.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// The name of the model; by default that of the bundle folder.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The licence of the model, to be stated in the bundle.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub license: String,
    /// The type of the weights.
    #[arg(long, value_enum, default_value_t = DType::F32)]
    pub dtype: DType,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

fn null_class(text: &str) -> Result<NullClass, String> {
    match text {
        "none" => Ok(NullClass::None),
        "last" => Ok(NullClass::Last),
        "zeros" => Ok(NullClass::Zeros),
        id => id
            .parse()
            .map(NullClass::Id)
            .map_err(|_| "expected a class id, `last`, `zeros` or `none`".to_owned()),
    }
}

/// The name of a bundle's folder.
fn name_of(folder: &Path) -> Result<String> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let what = || {
        Usage(format!(
            "{} has no folder name: give one with --name",
            folder.display()
        ))
    };
    Ok(name.ok_or_else(what)?.to_owned())
}

/// Imports a classifier of noisy images, which is one file.
fn classifier(arguments: &Import, options: &Options) -> Result<ExitCode> {
    if arguments
        .out
        .extension()
        .is_none_or(|name| name != "safetensors")
    {
        let what = "--out: a classifier is a file that ends in .safetensors";
        return Err(Usage(what.to_owned()).into());
    }
    let name = arguments.out.file_stem().and_then(|name| name.to_str());
    let name = arguments.name.as_deref().or(name).unwrap_or_default();
    let options = Options {
        name: name.to_owned(),
        ..options.clone()
    };
    let (description, bytes) = import::import_classifier(&options)?;
    write_atomic(&arguments.out, &bytes)?;
    let (file, classes) = (arguments.out.display(), description.classes.len());
    match arguments.json {
        true => print_line(serde_json::json!({ "name": description.name, "classes": classes }))?,
        false => tell!("{file}: {classes} classes, {} bytes", bytes.len()),
    }
    Ok(ExitCode::SUCCESS)
}

pub fn run(arguments: &Import) -> Result<ExitCode> {
    let classes = match &arguments.classes {
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Some(text.lines().map(|line| line.trim().to_owned()).collect())
        }
        None => None,
    };
    let options = Options {
        file: arguments.file.clone(),
        flags: arguments.flags.clone(),
        scheduler: arguments.scheduler.clone(),
        size: arguments.size,
        null_class: arguments.null_class,
        classes,
        name: match &arguments.name {
            Some(name) => name.clone(),
            None => name_of(&arguments.out)?,
        },
        license: arguments.license.clone(),
    };
    if arguments.from == Source::GuidedDiffusionClassifier {
        return classifier(arguments, &options);
    }
    let imported = import::import(arguments.from, &options, &arguments.out, arguments.dtype)?;
    if arguments.json {
        print_line(serde_json::to_string(&imported)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    tell!(
        "{}: {} parameters, {} classes",
        arguments.out.display(),
        imported.parameters,
        imported.classes
    );
    for (file, bytes) in &imported.files {
        tell!("  {bytes:10}  {file}");
    }
    if !imported.prefix.is_empty() {
        tell!(
            "took \"{}\" off before the names of its tensors",
            imported.prefix
        );
    }
    if imported.classes == 0 {
        tell!("unconditional: the model has no classes, so guidance is not available");
    } else if !imported.null_class {
        tell!(
            "conditional only: the model has no null class, so it is guided by another model (sample --guide) or not at all (if it has one, name it with --null-class)"
        );
    }
    Ok(ExitCode::SUCCESS)
}
