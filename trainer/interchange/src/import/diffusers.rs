//! Reads folders that diffusers saves: a `UNet2DModel` and its schedule, alone or in the folder of a pipeline.

use std::ops::Deref;

use anyhow::{Context, Result, bail};
use freeguide::network::{Downsample, MiddleKind, Modulation, UNetConfig, Upsample};
use freeguide::settings::SamplingDefaults;

use super::diffusers_folder::Folder;
use super::names::{ClassRows, Places, ResidualNames};
use super::place::Step;
use super::scheduler::{self, Time};
use super::{Foreign, Options};
use freeguide_native::usage::Usage;
use freeguide_readers::diffusers::{Network, SampleSize};

const RESIDUAL: ResidualNames = ResidualNames {
    norm_in: "norm1",
    conv_in: "conv1",
    modulation: "time_emb_proj",
    norm_out: "norm2",
    conv_out: "conv2",
    skip: "conv_shortcut",
};

/// The properties of a stage, from the names of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stage {
    attends: bool,
    /// Whether it resamples within a residual block.
    residual: bool,
}

/// A stage by the name of its block and the type of resampling in blocks with attention.
fn stage(block: &str, resample: &str) -> Result<Stage> {
    let (attends, residual) = match block {
        "DownBlock2D" | "UpBlock2D" => (false, false),
        "ResnetDownsampleBlock2D" | "ResnetUpsampleBlock2D" => (false, true),
        "AttnDownBlock2D" | "AttnUpBlock2D" => (true, resample == "resnet"),
        other => bail!("its block {other} has no counterpart here"),
    };
    Ok(Stage { attends, residual })
}

/// A network by its description.
struct Described(Network);

impl Deref for Described {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.0
    }
}

impl Described {
    fn size(&self, asked: Option<usize>) -> Result<usize> {
        let saved = match self.sample_size {
            SampleSize::Square(side) => Some(side),
            SampleSize::Oblong => bail!("its images are not square"),
            SampleSize::Unknown => None,
        };
        asked.or(saved).ok_or_else(|| {
            let what = "the folder does not state the size of the images: give it with --size";
            Usage(what.to_owned()).into()
        })
    }

    /// The stages from first to last, if encoder and decoder have the same.
    fn stages(&self) -> Result<Vec<Stage>> {
        let down = self.down_block_types.iter();
        let up = self.up_block_types.iter().rev();
        let down: Vec<_> = down
            .map(|block| stage(block, &self.downsample_type))
            .collect::<Result<_>>()?;
        let up: Vec<_> = up
            .map(|block| stage(block, &self.upsample_type))
            .collect::<Result<_>>()?;
        let attends = |stages: &[Stage]| stages.iter().map(|s| s.attends).collect::<Vec<_>>();
        if attends(&down) != attends(&up) {
            bail!(
                "its decoder has attention at other resolutions than its encoder, which has no counterpart here"
            );
        }
        if down.is_empty() || down.len() != self.block_out_channels.len() {
            bail!("it has a different number of blocks than of block_out_channels");
        }
        // The last stage of the encoder and of the decoder does not resample.
        let alike = |stages: &[Stage]| stages.windows(2).all(|w| w[0].residual == w[1].residual);
        let last = down.len() - 1;
        if !alike(&down[..last]) || !alike(&up[1..]) {
            bail!(
                "some of its stages resample within residual blocks and others with convolutions, which has no counterpart here"
            );
        }
        let mut stages = down;
        if let Some(last) = stages.last_mut() {
            // With more than one stage, the decoder says how it upsamples.
            last.residual = up.last().is_some_and(|stage| stage.residual);
        }
        Ok(stages)
    }

    fn check(&self) -> Result<()> {
        let refuse = |what: &str| bail!("{what}, which has no counterpart here");
        if self._class_name != "UNet2DModel" {
            return refuse(&format!("it is a {}", self._class_name));
        }
        if self.time_embedding_type != "positional" {
            return refuse(&format!(
                "its time embedding is {}",
                self.time_embedding_type
            ));
        }
        if self.center_input_sample {
            return refuse("it centres its input (center_input_sample)");
        }
        if self.mid_block_scale_factor != 1.0 {
            return refuse("its middle is scaled (mid_block_scale_factor)");
        }
        if !matches!(self.act_fn.as_str(), "silu" | "swish") {
            return refuse(&format!("its activation is {}", self.act_fn));
        }
        if let Some(kind) = &self.class_embed_type {
            return refuse(&format!("its class embedding has type {kind}"));
        }
        if !matches!(
            self.mid_block_type.as_deref(),
            None | Some("UNetMidBlock2D")
        ) {
            return refuse("its middle block is not a UNetMidBlock2D");
        }
        if self.downsample_padding > 1 {
            return refuse("its downsampling convolutions pad by more than one pixel");
        }
        let learned = self.out_channels == 2 * self.in_channels;
        if self.in_channels != self.out_channels && !learned {
            return refuse("its output has a different number of channels than its input");
        }
        Ok(())
    }

    fn network(&self, size: usize) -> Result<UNetConfig> {
        self.check()?;
        let stages = self.stages()?;
        let first = self.block_out_channels[0];
        let resolutions = stages.iter().enumerate();
        let resolutions = resolutions.filter(|(_, stage)| stage.attends);
        let (down, up) = (stages.first(), stages.last());
        Ok(UNetConfig {
            residual_blocks: self.layers_per_block,
            attention_resolutions: resolutions.map(|(i, _)| size >> i).collect(),
            head_channels: self.attention_head_dim.unwrap_or(64),
            heads: match self.attention_head_dim {
                Some(_) => None,
                None => Some(1),
            },
            dropout: self.dropout,
            norm_groups: self.norm_num_groups,
            norm_epsilon: self.norm_eps,
            modulation: match self.resnet_time_scale_shift.as_str() {
                "default" => Modulation::Add,
                "scale_shift" => Modulation::ScaleShift,
                other => {
                    bail!("its resnet_time_scale_shift is {other}, which has no counterpart here")
                }
            },
            downsample: match (down.is_some_and(|s| s.residual), self.downsample_padding) {
                (true, _) => Downsample::Residual,
                (false, 0) => Downsample::ConvolutionAfter,
                (false, _) => Downsample::Convolution,
            },
            upsample: match up.is_some_and(|s| s.residual) {
                true => Upsample::Residual,
                false => Upsample::Convolution,
            },
            middle: match (&self.mid_block_type, self.add_attention) {
                (None, _) => MiddleKind::None,
                (Some(_), true) => MiddleKind::Attention,
                (Some(_), false) => MiddleKind::Residual,
            },
            // diffusers normalises there only if the embedding is added, unless the groups are given.
            middle_norm_groups: match self.attn_norm_num_groups {
                None if self.resnet_time_scale_shift == "scale_shift" => Some(0),
                groups => groups.filter(|&groups| groups != self.norm_num_groups),
            },
            frequency_shift: self.freq_shift,
            ..super::network_of_widths(
                &self.block_out_channels,
                first,
                self.time_embedding_dim.unwrap_or(4 * first),
            )?
        })
    }

    fn places(&self, network: &UNetConfig, rows: ClassRows) -> Places {
        let mut places = Places::default();
        // diffusers has sines first, unless they are flipped.
        let order: &[Step] = match self.flip_sin_to_cos {
            true => &[],
            false => &[Step::SwapColumns],
        };
        places.linear("conditioning.log_snr_in", "time_embedding.linear_1", order);
        places.linear("conditioning.log_snr_out", "time_embedding.linear_2", &[]);
        places.class("class_embedding.weight", rows, network.embedding());
        places.same("input", "conv_in");
        let blocks = |places: &mut Places, ours: &str, theirs: &str, count: usize| {
            for block in 0..count {
                let ours = format!("{ours}.blocks.{block}");
                let residual = format!("{theirs}.resnets.{block}");
                places.residual(&format!("{ours}.residual"), &residual, &RESIDUAL);
                let attention = format!("{theirs}.attentions.{block}");
                places.separate_attention(&format!("{ours}.attention"), &attention);
            }
        };
        for stage in 0..self.block_out_channels.len() {
            let (ours, theirs) = (format!("down.{stage}"), format!("down_blocks.{stage}"));
            blocks(&mut places, &ours, &theirs, self.layers_per_block);
            let halve = format!("{theirs}.downsamplers.0");
            places.residual(&format!("{ours}.downsample"), &halve, &RESIDUAL);
            places.same(&format!("{ours}.downsample_conv"), &format!("{halve}.conv"));
            let (ours, theirs) = (format!("up.{stage}"), format!("up_blocks.{stage}"));
            blocks(&mut places, &ours, &theirs, self.layers_per_block + 1);
            let double = format!("{theirs}.upsamplers.0");
            places.residual(&format!("{ours}.upsample"), &double, &RESIDUAL);
            places.same(&format!("{ours}.upsample_conv"), &format!("{double}.conv"));
        }
        places.residual("middle.first", "mid_block.resnets.0", &RESIDUAL);
        places.separate_attention("middle.attention", "mid_block.attentions.0");
        places.residual("middle.second", "mid_block.resnets.1", &RESIDUAL);
        places.same("output_norm", "conv_norm_out");
        places.head("output", "conv_out", self.in_channels);
        places
    }
}

/// The contents of a folder.
pub fn read(options: &Options) -> Result<Foreign> {
    let folder = Folder::find(options)?;
    let path = folder.config();
    let read = Described(super::json(&path)?);
    let schedule = scheduler::read(&folder.schedule(options)?)?;
    let size = read.size(options.size)?;
    let described = read
        .network(size)
        .with_context(|| path.display().to_string())?;
    let (network, range) = match schedule.time {
        Time::Steps(timesteps) => {
            let timesteps = Some(timesteps);
            let network = UNetConfig {
                timesteps,
                ..described
            };
            (network, None)
        }
        Time::LogSnr(log_snr_embedding, range) => {
            let network = UNetConfig {
                log_snr_embedding,
                ..described
            };
            (network, Some(range))
        }
    };
    let mut weights = folder.weights()?;
    let rows = match read.num_class_embeds {
        Some(_) => Some(super::height(
            &mut weights,
            "class_embedding.weight",
            &options.file,
        )?),
        None => None,
    };
    let classes = options.class_rows(rows)?;
    Ok(Foreign {
        places: read.places(&network, classes),
        size,
        channels: read.in_channels,
        network,
        classes,
        rows: rows.unwrap_or(0),
        target: schedule.target,
        range,
        sampling: SamplingDefaults {
            clip: schedule.clip,
            ..SamplingDefaults::default()
        },
        ignored: Vec::new(),
        weights,
    })
}
