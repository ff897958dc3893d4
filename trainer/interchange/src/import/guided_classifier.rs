//! Reads the classifiers of noisy images of openai/guided-diffusion (Dhariwal & Nichol 2021), such as 64x64_classifier.pt.

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::Device;
use freeguide::bundle::ImageShape;
use freeguide::classifier::{NoisyClassifier, NoisyDescription};
use freeguide_native::noisy_classifier;

use super::guided_diffusion::Flags;
use super::names::{ClassRows, Places};
use super::{Options, class_names, fill};
use freeguide_native::usage::Usage;

/// The flags of its classifiers, and what they are called for its models.
const RENAMED: [(&str, &str); 5] = [
    ("--classifier_width", "--num_channels"),
    ("--classifier_depth", "--num_res_blocks"),
    (
        "--classifier_attention_resolutions",
        "--attention_resolutions",
    ),
    (
        "--classifier_use_scale_shift_norm",
        "--use_scale_shift_norm",
    ),
    ("--classifier_resblock_updown", "--resblock_updown"),
];
/// Flags that models and classifiers share.
const SHARED: [&str; 7] = [
    "--image_size",
    "--diffusion_steps",
    "--noise_schedule",
    "--rescale_timesteps",
    "--norm_groups",
    "--channel_mult",
    "--num_head_channels",
];
/// What the flags are by default.
const DEFAULTS: &str = "--num_channels 128 --num_res_blocks 2 --attention_resolutions 32,16,8 --num_head_channels 64 \
                        --use_scale_shift_norm True --resblock_updown True";

/// The flags of the network, of a command line that may have those of a model beside them.
fn flags(text: &str) -> Result<Flags> {
    let text = text.replace('=', " ");
    let mut out = DEFAULTS.to_owned();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let Some(value) = words.next() else {
            return Err(Usage(format!("--flags: {word} has no value")).into());
        };
        let renamed = RENAMED.iter().find(|(theirs, _)| *theirs == word);
        match (renamed, word) {
            (Some((_, name)), _) => out += &format!(" {name} {value}"),
            (None, "--classifier_pool") if value != "attention" => {
                bail!("a classifier with {value} pooling cannot be imported: only attention can")
            }
            (None, shared) if SHARED.contains(&shared) => out += &format!(" {shared} {value}"),
            // Of its models and samplers.
            _ => {}
        }
    }
    Flags::parse(&out)
}

/// Imports a classifier: the bytes of the file that `sample --classifier` takes.
///
/// # Errors
///
/// One sentence that names the file and what has no counterpart here.
pub fn import_classifier(options: &Options) -> Result<(NoisyDescription, Vec<u8>)> {
    let file = options.file.display();
    if !options.file.exists() {
        bail!("{file} does not exist");
    }
    let flags = flags(options.flags.as_deref().unwrap_or_default())?;
    let network = flags.network()?;
    let weights = super::open(&options.file)?;
    let classes = weights.dims("out.2.c_proj.weight");
    let classes = classes.and_then(|dims| dims.first().copied());
    let classes = classes.ok_or_else(|| {
        anyhow!("{file} has no tensor out.2.c_proj.weight: it is not a classifier with attention pooling")
    })?;
    let Some(timesteps) = &network.timesteps else {
        bail!("{file} has no schedule");
    };
    let image = ImageShape {
        size: flags.image_size(),
        channels: 3,
    };
    let description = NoisyDescription {
        name: options.name.clone(),
        image,
        classes: class_names(options, classes)?,
        log_snr: timesteps.range(),
        network: network.clone(),
        held_out: None,
    };
    let mut places = Places::default();
    places.class("", ClassRows::None, network.embedding());
    flags.encoder(&mut places, &network);
    places.same("output_norm", "out.0");
    places.pool("pool", "out.2");
    let device = Device::flex();
    let encoder = network
        .init_encoder(image.size, image.channels, classes, &device)
        .map_err(|e| anyhow!("{file} describes a network that cannot be built: {e}"))?;
    let encoder =
        fill(encoder, places, &[], weights, device.clone()).with_context(|| file.to_string())?;
    let bytes = noisy_classifier::to_bytes(&description, &noisy_classifier::tensors(&encoder))?;
    // Check what is written in the way that it will be read.
    NoisyClassifier::read(&bytes, &device).with_context(|| file.to_string())?;
    Ok((description, bytes))
}
