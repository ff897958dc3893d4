//! Writes a folder for diffusers: `unet/` for `UNet2DModel.from_pretrained` and `scheduler/` for
//! `DDPMScheduler.from_pretrained` or any other scheduler.
//!
//! `UNet2DModel` can represent ADM's U-Net: residual blocks with `resnet_time_scale_shift = "scale_shift"` that also
//! resample. Its timestep is t = scale · (max − λ)/(max − min), which our network embeds for λ. The variances of the
//! schedule are chosen so that timestep t has exactly that λ. The null class is the last class label. A model that was
//! imported from diffusers keeps its original schedule. Networks that predict a velocity, or that have EDM's
//! preconditioning, get the schedulers for these.

use anyhow::Result;
use freeguide::bundle::{CONFIG_FILE, Config, Network};
use freeguide::network::{Downsample, MiddleKind, Modulation, UNet, UNetConfig, Upsample};
use freeguide::noise_level::LogSnr;
use freeguide::prediction::Target;
use freeguide::timesteps::{Betas, Timesteps};
use serde_json::{Value, json};
use thiserror::Error;

use super::DType;
use super::bundle::{File, Stored, serialize};
use super::torch::{is_linear, transposed};
use crate::weights::{Weight, Weights};

/// Why diffusers cannot represent the network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DiffusersError {
    /// A setting that `UNet2DModel` does not have.
    #[error("UNet2DModel of diffusers cannot represent this network: {0}")]
    Network(String),
    /// A tensor without a counterpart there.
    #[error("UNet2DModel of diffusers has no counterpart of the tensor {0}")]
    Tensor(String),
}

fn no_such<T>(why: String) -> Result<T, DiffusersError> {
    Err(DiffusersError::Network(why))
}

/// The files of the folder.
///
/// # Errors
///
/// [`DiffusersError`], if `UNet2DModel` cannot represent this network.
pub fn files(network: &UNet, dtype: DType, config: &Config) -> Result<Vec<File>> {
    let Network::UNet(architecture) = &config.network else {
        return Ok(no_such("it was compiled from an ONNX file".to_owned())?);
    };
    let unet = unet_config(config, architecture)?;
    let scheduler = scheduler_config(config, architecture)?;
    let weights = Weights::of(network);
    let mut stored = Vec::new();
    for weight in weights.iter() {
        for (name, shape, values) in tensors(weight, class_rows(config))? {
            stored.push(match dtype {
                DType::F16 => Stored::f16(&name, &shape, &values),
                DType::F32 | DType::Int8 => Stored::f32(&name, &shape, &values),
            });
        }
    }
    let text = |json: &Value| Ok::<_, anyhow::Error>(serde_json::to_vec_pretty(json)?);
    let mut about = config.clone();
    about.weights.clear();
    Ok(vec![
        (
            "unet/diffusion_pytorch_model.safetensors".to_owned(),
            serialize(&stored)?,
        ),
        ("unet/config.json".to_owned(), text(&unet)?),
        (
            "scheduler/scheduler_config.json".to_owned(),
            text(&scheduler)?,
        ),
        // Class names, licence and attribution, for which diffusers has no fields.
        (
            format!("freeguide-{CONFIG_FILE}"),
            about.to_json().into_bytes(),
        ),
    ])
}

/// The arguments of `UNet2DModel`.
fn unet_config(config: &Config, network: &UNetConfig) -> Result<Value, DiffusersError> {
    let widths = network.widths();
    let first = widths.first().copied().unwrap_or(0);
    if network.sinusoids() != first {
        return no_such(format!(
            "its sinusoids have as many channels as its first stage, {first}; those of this network have {}",
            network.sinusoids()
        ));
    }
    if network.patch != 1 {
        return no_such(format!(
            "it works on single pixels; this network works on squares of {0}×{0}",
            network.patch
        ));
    }
    if network.input_skip {
        return no_such("it does not add its input to its output (network.input_skip)".to_owned());
    }
    if network.guidance.is_some() || network.flow_map.is_some() {
        return no_such(
            "it takes no guidance strength as an input; this network was distilled to (network.guidance)"
                .to_owned(),
        );
    }
    if network.takes_more_than_a_class() {
        return no_such(
            "it is conditioned on one class; this network has attributes or a number (network.conditions, network.number)"
                .to_owned(),
        );
    }
    let head_channels = match network.heads {
        None => Some(network.head_channels),
        Some(1) => None,
        Some(heads) => {
            return no_such(format!(
                "its heads have a fixed number of channels; this network has {heads} heads everywhere"
            ));
        }
    };
    let adds = network.modulation == Modulation::Add;
    let middle_groups = network.middle_attention_groups();
    if middle_groups.is_none() && adds {
        let why = "it normalises before the attention in the middle, where the embedding is added";
        return no_such(why.to_owned());
    }
    let embedding = Some(network.embedding()).filter(|&channels| channels != 4 * first);
    let stages = widths.len();
    let attends = |stage: usize| {
        let size = config.image.size >> stage;
        network.attention_resolutions.contains(&size)
    };
    let halves = network.downsample == Downsample::Residual;
    let down = (0..stages).map(|stage| match (attends(stage), halves) {
        (true, _) => "AttnDownBlock2D",
        (false, true) => "ResnetDownsampleBlock2D",
        (false, false) => "DownBlock2D",
    });
    let doubles = network.upsample == Upsample::Residual;
    let up = (0..stages)
        .rev()
        .map(|stage| match (attends(stage), doubles) {
            (true, _) => "AttnUpBlock2D",
            (false, true) => "ResnetUpsampleBlock2D",
            (false, false) => "UpBlock2D",
        });
    let how = |residual: bool| if residual { "resnet" } else { "conv" };
    Ok(json!({
        "_class_name": "UNet2DModel",
        "_diffusers_version": "0.42.1",
        "sample_size": config.image.size,
        "in_channels": config.image.channels,
        "out_channels": config.image.channels,
        "center_input_sample": false,
        "time_embedding_type": "positional",
        "time_embedding_dim": embedding,
        "freq_shift": network.frequency_shift,
        "flip_sin_to_cos": true,
        "down_block_types": down.collect::<Vec<_>>(),
        "mid_block_type": (network.middle != MiddleKind::None).then_some("UNetMidBlock2D"),
        "up_block_types": up.collect::<Vec<_>>(),
        "block_out_channels": widths,
        "layers_per_block": network.residual_blocks,
        "mid_block_scale_factor": 1,
        "downsample_padding": usize::from(network.downsample != Downsample::ConvolutionAfter),
        "downsample_type": how(halves),
        "upsample_type": how(doubles),
        "dropout": network.dropout,
        "act_fn": "silu",
        "attention_head_dim": head_channels,
        "norm_num_groups": network.norm_groups,
        "attn_norm_num_groups": middle_groups,
        "norm_eps": network.norm_epsilon,
        "resnet_time_scale_shift": if adds { "default" } else { "scale_shift" },
        "class_embed_type": null,
        "num_class_embeds": class_rows(config),
        "add_attention": network.middle == MiddleKind::Attention,
    }))
}

/// The number of rows of the class embedding in diffusers: the classes and, if the model has it, ∅. A model without
/// classes has no class embedding.
fn class_rows(config: &Config) -> Option<usize> {
    match config.classes.len() {
        0 => None,
        classes => Some(classes + usize::from(config.null_class)),
    }
}

/// The arguments of `DDPMScheduler`: the schedule that the network was trained with, or variances with which timestep t
/// has the λ that the network embeds as t.
fn scheduler_config(config: &Config, network: &UNetConfig) -> Result<Value, DiffusersError> {
    let prediction = match config.diffusion.target {
        Target::Epsilon => "epsilon",
        Target::V => "v_prediction",
        Target::Velocity => return flow_config(network),
        Target::Edm => return edm_config(config, network),
    };
    let levels = match &network.timesteps {
        Some(timesteps) if timesteps.scale == 1.0 => timesteps.levels(),
        Some(timesteps) => {
            return no_such(format!(
                "its timesteps are not scaled; those of this network are multiplied by {}",
                timesteps.scale
            ));
        }
        None => even_levels(config, network)?,
    };
    let signals = levels.iter().map(|level| level.alpha().powi(2));
    let mut before = 1.0;
    let betas: Vec<f64> = signals
        .map(|signal| {
            let beta = 1.0 - signal / before;
            before = signal;
            beta
        })
        .collect();
    Ok(json!({
        "_class_name": "DDPMScheduler",
        "_diffusers_version": "0.42.1",
        "num_train_timesteps": betas.len(),
        "trained_betas": betas,
        "prediction_type": prediction,
        "variance_type": "fixed_small",
        "clip_sample": config.sampling.clip,
        "clip_sample_range": 1.0,
        "timestep_spacing": "linspace",
    }))
}

/// Flow matching, of a network that is shown the timesteps of diffusers.
fn flow_config(network: &UNetConfig) -> Result<Value, DiffusersError> {
    match &network.timesteps {
        Some(Timesteps {
            count,
            betas: Betas::Flow,
            scale: 1.0,
        }) => Ok(json!({
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "_diffusers_version": "0.42.1",
            "num_train_timesteps": count - 1,
            "shift": 1.0,
        })),
        _ => no_such(
            "its networks that predict a velocity are shown its share of the noise; this one is shown λ".to_owned(),
        ),
    }
}

/// EDM, of a network that is shown −λ/8 = ¼ ln s.
fn edm_config(config: &Config, network: &UNetConfig) -> Result<Value, DiffusersError> {
    let embedding = network.log_snr_embedding;
    let eighth = embedding.scale / (embedding.max - embedding.min) == 0.125;
    if network.timesteps.is_some() || embedding.max != 0.0 || !eighth {
        let what =
            "its networks in EDM's preconditioning are shown a quarter of ln σ; this one is not";
        return no_such(what.to_owned());
    }
    let deviation = |log_snr: f64| (-log_snr / 2.0).exp();
    let range = config.diffusion.log_snr;
    Ok(json!({
        "_class_name": "EDMEulerScheduler",
        "_diffusers_version": "0.42.1",
        "sigma_min": deviation(range.max),
        "sigma_max": deviation(range.min),
        "sigma_data": 0.5,
        "sigma_schedule": "karras",
        "prediction_type": "epsilon",
    }))
}

/// λ of t = 0, 1, … within the range of the training, for a network that is conditioned on λ itself.
fn even_levels(config: &Config, network: &UNetConfig) -> Result<Vec<LogSnr>, DiffusersError> {
    let scaling = network.log_snr_embedding;
    let least = config.diffusion.log_snr.min;
    let a_nat = scaling.scale / (scaling.max - scaling.min);
    let last = (a_nat * (scaling.max - least)).floor();
    if !(1.0..=10_000.0).contains(&last) {
        return no_such(format!(
            "its timesteps are whole numbers; network.log_snr_embedding gives {last} as the last one"
        ));
    }
    let level = |t: usize| LogSnr(scaling.max - t as f64 / a_nat);
    Ok((0..=last as usize).map(level).collect())
}

type Tensor = (String, Vec<usize>, Vec<f32>);

/// The counterparts of a tensor: one, or three if query, key and value are separate; for the class embedding, the first
/// `rows` rows.
fn tensors(weight: &Weight, rows: Option<usize>) -> Result<Vec<Tensor>, DiffusersError> {
    let unknown = || DiffusersError::Tensor(weight.name.clone());
    let (layer, leaf) = weight.name.rsplit_once('.').ok_or_else(unknown)?;
    let (shape, values) = match is_linear(weight) {
        true => transposed(weight),
        false => (weight.shape.clone(), weight.values.clone()),
    };
    if layer == "conditioning.class" {
        let width = shape[1];
        let embedding = |rows: usize| {
            let values = values[..rows * width].to_vec();
            (
                "class_embedding.weight".to_owned(),
                vec![rows, width],
                values,
            )
        };
        return Ok(rows.map(embedding).into_iter().collect());
    }
    if let Some(attention) = layer.strip_suffix(".qkv") {
        let place = diffusers_name(attention).ok_or_else(unknown)?;
        let rows = shape[0] / 3;
        let shape = [&[rows][..], &shape[1..]].concat();
        let parts = values
            .chunks(values.len() / 3)
            .zip(["to_q", "to_k", "to_v"]);
        let part = |(values, part): (&[f32], _)| {
            (
                format!("{place}.{part}.{leaf}"),
                shape.clone(),
                values.to_vec(),
            )
        };
        return Ok(parts.map(part).collect());
    }
    let name = diffusers_name(layer).ok_or_else(unknown)?;
    Ok(vec![(format!("{name}.{leaf}"), shape, values)])
}

/// The name of a layer, or of an attention, in diffusers.
fn diffusers_name(layer: &str) -> Option<String> {
    let parts: Vec<&str> = layer.split('.').collect();
    Some(match parts[..] {
        ["input"] => "conv_in".to_owned(),
        ["output"] => "conv_out".to_owned(),
        ["output_norm"] => "conv_norm_out".to_owned(),
        ["conditioning", "log_snr_in"] => "time_embedding.linear_1".to_owned(),
        ["conditioning", "log_snr_out"] => "time_embedding.linear_2".to_owned(),
        ["middle", "first", inner] => format!("mid_block.resnets.0.{}", residual(inner)?),
        ["middle", "second", inner] => format!("mid_block.resnets.1.{}", residual(inner)?),
        ["middle", "attention"] => "mid_block.attentions.0".to_owned(),
        ["middle", "attention", inner] => {
            format!("mid_block.attentions.0.{}", attention(inner)?)
        }
        [
            way @ ("down" | "up"),
            stage,
            "blocks",
            block,
            "residual",
            inner,
        ] => {
            format!("{way}_blocks.{stage}.resnets.{block}.{}", residual(inner)?)
        }
        [way @ ("down" | "up"), stage, "blocks", block, "attention"] => {
            format!("{way}_blocks.{stage}.attentions.{block}")
        }
        [
            way @ ("down" | "up"),
            stage,
            "blocks",
            block,
            "attention",
            inner,
        ] => {
            format!(
                "{way}_blocks.{stage}.attentions.{block}.{}",
                attention(inner)?
            )
        }
        ["down", stage, "downsample_conv"] => format!("down_blocks.{stage}.downsamplers.0.conv"),
        ["up", stage, "upsample_conv"] => format!("up_blocks.{stage}.upsamplers.0.conv"),
        ["down", stage, "downsample", inner] => {
            format!("down_blocks.{stage}.downsamplers.0.{}", residual(inner)?)
        }
        ["up", stage, "upsample", inner] => {
            format!("up_blocks.{stage}.upsamplers.0.{}", residual(inner)?)
        }
        _ => return None,
    })
}

fn residual(inner: &str) -> Option<&'static str> {
    Some(match inner {
        "norm_in" => "norm1",
        "conv_in" => "conv1",
        "modulation" => "time_emb_proj",
        "norm_out" => "norm2",
        "conv_out" => "conv2",
        "skip" => "conv_shortcut",
        _ => return None,
    })
}

fn attention(inner: &str) -> Option<&'static str> {
    Some(match inner {
        "norm" => "group_norm",
        "output" => "to_out.0",
        _ => return None,
    })
}
