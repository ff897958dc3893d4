//! Reads checkpoints of openai/guided-diffusion (Dhariwal & Nichol 2021). A checkpoint contains only weights. The flags
//! with which it was trained and published describe the network.

use anyhow::{Result, bail};
use freeguide::network::{Downsample, Modulation, UNetConfig, Upsample};
use freeguide::prediction::Target;
use freeguide::settings::SamplingDefaults;
use freeguide::timesteps::{Betas, Timesteps};

use super::names::{ClassRows, Places, ResidualNames};
use super::{Foreign, Options};
use freeguide_native::spelling::nearest;
use freeguide_native::usage::Usage;

const RESIDUAL: ResidualNames = ResidualNames {
    norm_in: "in_layers.0",
    conv_in: "in_layers.2",
    modulation: "emb_layers.1",
    norm_out: "out_layers.0",
    conv_out: "out_layers.3",
    skip: "skip_connection",
};

/// The flags of its scripts, with their defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Flags {
    image_size: usize,
    num_channels: usize,
    num_res_blocks: usize,
    num_heads: usize,
    num_head_channels: Option<usize>,
    attention_resolutions: Vec<usize>,
    channel_mult: Vec<f64>,
    dropout: f64,
    class_cond: bool,
    use_scale_shift_norm: bool,
    resblock_updown: bool,
    use_new_attention_order: bool,
    learn_sigma: bool,
    diffusion_steps: usize,
    noise_schedule: String,
    rescale_timesteps: bool,
    /// Not a flag of guided-diffusion, but a constant that derived programs change.
    norm_groups: usize,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            image_size: 64,
            num_channels: 128,
            num_res_blocks: 2,
            num_heads: 4,
            num_head_channels: None,
            attention_resolutions: vec![16, 8],
            channel_mult: Vec::new(),
            dropout: 0.0,
            class_cond: false,
            use_scale_shift_norm: true,
            resblock_updown: false,
            use_new_attention_order: false,
            learn_sigma: false,
            diffusion_steps: 1000,
            noise_schedule: "linear".to_owned(),
            rescale_timesteps: false,
            norm_groups: 32,
        }
    }
}

/// Flags that concern training or sampling and not the network.
const WITHOUT_EFFECT: [&str; 13] = [
    "use_fp16",
    "use_checkpoint",
    "use_kl",
    "rescale_learned_sigmas",
    "timestep_respacing",
    "use_ddim",
    "num_samples",
    "batch_size",
    "lr",
    "weight_decay",
    "schedule_sampler",
    "clip_denoised",
    "model_path",
];
const WITH_EFFECT: [&str; 18] = [
    "image_size",
    "num_channels",
    "num_res_blocks",
    "num_heads",
    "num_head_channels",
    "attention_resolutions",
    "channel_mult",
    "dropout",
    "class_cond",
    "use_scale_shift_norm",
    "resblock_updown",
    "use_new_attention_order",
    "learn_sigma",
    "diffusion_steps",
    "noise_schedule",
    "rescale_timesteps",
    "predict_xstart",
    "norm_groups",
];

impl Flags {
    /// Height and width of the images.
    pub(super) fn image_size(&self) -> usize {
        self.image_size
    }

    /// Reads flags as they are published: `--image_size 64 --class_cond True …`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut flags = Self::default();
        let text = text.replace('=', " ");
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                return Err(Usage(format!(
                    "--flags: {word} is not a flag: expected --name value"
                ))
                .into());
            };
            let Some(value) = words.next() else {
                return Err(Usage(format!("--flags: --{name} has no value")).into());
            };
            flags.set(name, value)?;
        }
        Ok(flags)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |what: &str| Usage(format!("--flags: --{name} {value}: expected {what}"));
        let number = || value.parse::<usize>().map_err(|_| wrong("a number"));
        let truth = || match value.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Ok(true),
            "false" | "f" | "no" | "n" | "0" => Ok(false),
            _ => Err(wrong("True or False")),
        };
        match name {
            "image_size" => self.image_size = number()?,
            "num_channels" => self.num_channels = number()?,
            "num_res_blocks" => self.num_res_blocks = number()?,
            "num_heads" => self.num_heads = number()?,
            "num_head_channels" if value == "-1" => self.num_head_channels = None,
            "num_head_channels" => self.num_head_channels = Some(number()?),
            "attention_resolutions" => {
                let list = value.split(',').map(str::parse).collect::<Result<_, _>>();
                self.attention_resolutions = list.map_err(|_| wrong("a list such as 32,16,8"))?;
            }
            "channel_mult" => {
                let list = value.split(',').map(str::parse).collect::<Result<_, _>>();
                self.channel_mult = list.map_err(|_| wrong("a list such as 1,2,3,4"))?;
            }
            "dropout" => self.dropout = value.parse().map_err(|_| wrong("a number"))?,
            "class_cond" => self.class_cond = truth()?,
            "use_scale_shift_norm" => self.use_scale_shift_norm = truth()?,
            "resblock_updown" => self.resblock_updown = truth()?,
            "use_new_attention_order" => self.use_new_attention_order = truth()?,
            "learn_sigma" => self.learn_sigma = truth()?,
            "diffusion_steps" => self.diffusion_steps = number()?,
            "noise_schedule" => value.clone_into(&mut self.noise_schedule),
            "rescale_timesteps" => self.rescale_timesteps = truth()?,
            "norm_groups" => self.norm_groups = number()?,
            "num_heads_upsample" => {
                if value != "-1" {
                    bail!(
                        "a different number of heads in the decoder (num_heads_upsample) cannot be imported"
                    );
                }
            }
            "predict_xstart" => {
                if truth()? {
                    bail!(
                        "a model that predicts the image itself (predict_xstart) cannot be imported"
                    );
                }
            }
            other if WITHOUT_EFFECT.contains(&other) => {}
            other => {
                let meant = nearest(other, WITH_EFFECT).map(|n| format!("; did you mean --{n}?"));
                let meant = meant.unwrap_or_default();
                return Err(Usage(format!("--flags: there is no flag --{other}{meant}")).into());
            }
        }
        Ok(())
    }

    fn multipliers(&self) -> Result<Vec<f64>> {
        if !self.channel_mult.is_empty() {
            return Ok(self.channel_mult.clone());
        }
        Ok(match self.image_size {
            512 => vec![0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0],
            256 => vec![1.0, 1.0, 2.0, 2.0, 4.0, 4.0],
            128 => vec![1.0, 1.0, 2.0, 3.0, 4.0],
            64 => vec![1.0, 2.0, 3.0, 4.0],
            size => {
                let what = format!("--flags: --image_size {size} needs a --channel_mult");
                return Err(Usage(what).into());
            }
        })
    }

    fn timesteps(&self) -> Result<Timesteps> {
        let steps = self.diffusion_steps.max(1) as f64;
        let betas = match self.noise_schedule.as_str() {
            "linear" => Betas::Linear {
                start: 1000.0 / steps * 0.0001,
                end: 1000.0 / steps * 0.02,
            },
            "cosine" => Betas::SquaredCosine,
            other => bail!("--flags: the noise schedules are linear and cosine, not {other}"),
        };
        let scale = match self.rescale_timesteps {
            true => 1000.0 / steps,
            false => 1.0,
        };
        Ok(Timesteps {
            count: self.diffusion_steps,
            betas,
            scale,
        })
    }

    /// The network, without its class conditioning.
    pub fn network(&self) -> Result<UNetConfig> {
        let widths: Vec<usize> = self
            .multipliers()?
            .iter()
            .map(|m| (m * self.num_channels as f64) as usize)
            .collect();
        let convolution = !self.resblock_updown;
        Ok(UNetConfig {
            attention_resolutions: self.attention_resolutions.clone(),
            head_channels: self.num_head_channels.unwrap_or(64),
            heads: match self.num_head_channels {
                Some(_) => None,
                None => Some(self.num_heads),
            },
            dropout: self.dropout,
            norm_groups: self.norm_groups,
            timesteps: Some(self.timesteps()?),
            modulation: match self.use_scale_shift_norm {
                true => Modulation::ScaleShift,
                false => Modulation::Add,
            },
            downsample: match convolution {
                true => Downsample::Convolution,
                false => Downsample::Residual,
            },
            upsample: match convolution {
                true => Upsample::Convolution,
                false => Upsample::Residual,
            },
            residual_blocks: self.num_res_blocks,
            ..super::network_of_widths(&widths, self.num_channels, 4 * self.num_channels)?
        })
    }

    /// The source of every tensor of the encoder and of the middle, which its classifiers have as well.
    pub(super) fn encoder(&self, places: &mut Places, network: &UNetConfig) {
        places.linear("conditioning.log_snr_in", "time_embed.0", &[]);
        places.linear("conditioning.log_snr_out", "time_embed.2", &[]);
        places.same("input", "input_blocks.0.0");
        let widths = network.widths();
        let attends = |stage: usize| network.attends(stage, self.image_size);
        let heads = |stage: usize| self.legacy_heads(network, stage);
        let mut n = 1;
        for stage in 0..widths.len() {
            for block in 0..self.num_res_blocks {
                let ours = format!("down.{stage}.blocks.{block}");
                places.residual(
                    &format!("{ours}.residual"),
                    &format!("input_blocks.{n}.0"),
                    &RESIDUAL,
                );
                let attention = (format!("{ours}.attention"), format!("input_blocks.{n}.1"));
                if attends(stage) {
                    places.joint_attention(&attention.0, &attention.1, heads(stage));
                }
                n += 1;
            }
            if stage + 1 < widths.len() {
                let (ours, theirs) = (format!("down.{stage}"), format!("input_blocks.{n}.0"));
                match self.resblock_updown {
                    true => places.residual(&format!("{ours}.downsample"), &theirs, &RESIDUAL),
                    false => {
                        places.same(&format!("{ours}.downsample_conv"), &format!("{theirs}.op"))
                    }
                }
                n += 1;
            }
        }
        places.residual("middle.first", "middle_block.0", &RESIDUAL);
        places.joint_attention(
            "middle.attention",
            "middle_block.1",
            heads(widths.len() - 1),
        );
        places.residual("middle.second", "middle_block.2", &RESIDUAL);
    }

    /// The heads of a stage's attention, where they come before query, key and value.
    fn legacy_heads(&self, network: &UNetConfig, stage: usize) -> Option<usize> {
        let legacy = !self.use_new_attention_order;
        legacy.then(|| network.attention_heads(network.widths()[stage]))
    }

    /// The source of every tensor.
    fn places(&self, network: &UNetConfig, rows: ClassRows) -> Places {
        let mut places = Places::default();
        places.class("label_emb.weight", rows, network.embedding());
        self.encoder(&mut places, network);
        let widths = network.widths();
        let attends = |stage: usize| network.attends(stage, self.image_size);
        let heads = |stage: usize| self.legacy_heads(network, stage);
        let mut n = 0;
        for (up, stage) in (0..widths.len()).rev().enumerate() {
            for block in 0..=self.num_res_blocks {
                let ours = format!("up.{up}.blocks.{block}");
                let theirs = format!("output_blocks.{n}");
                places.residual(
                    &format!("{ours}.residual"),
                    &format!("{theirs}.0"),
                    &RESIDUAL,
                );
                if attends(stage) {
                    let attention = format!("{ours}.attention");
                    places.joint_attention(&attention, &format!("{theirs}.1"), heads(stage));
                }
                if stage > 0 && block == self.num_res_blocks {
                    let last = format!("{theirs}.{}", 1 + usize::from(attends(stage)));
                    match self.resblock_updown {
                        true => places.residual(&format!("up.{up}.upsample"), &last, &RESIDUAL),
                        false => {
                            places.same(&format!("up.{up}.upsample_conv"), &format!("{last}.conv"))
                        }
                    }
                }
                n += 1;
            }
        }
        places.same("output_norm", "out.0");
        places.head("output", "out.2", 3);
        places
    }
}

/// The model described by the flags of a checkpoint.
pub fn read(options: &Options) -> Result<Foreign> {
    let flags = Flags::parse(options.flags.as_deref().unwrap_or_default())?;
    let network = flags.network()?;
    let mut weights = super::open(&options.file)?;
    let rows = match flags.class_cond {
        true => Some(super::height(
            &mut weights,
            "label_emb.weight",
            &options.file,
        )?),
        false => None,
    };
    let classes = options.class_rows(rows)?;
    Ok(Foreign {
        places: flags.places(&network, classes),
        size: flags.image_size,
        channels: 3,
        network,
        classes,
        rows: rows.unwrap_or(0),
        target: Target::Epsilon,
        range: None,
        sampling: SamplingDefaults {
            clip: true,
            ..SamplingDefaults::default()
        },
        ignored: Vec::new(),
        weights,
    })
}
