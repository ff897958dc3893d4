//! The U-Net's configuration as it is read: every field may be left to a preset.

use serde::Deserialize;

use super::config::DEFAULT_EPSILON;
use super::{Downsample, LogSnrEmbedding, MiddleKind, Modulation, UNetConfig, Upsample};
use crate::bounded;
use crate::timesteps::Timesteps;

/// The most stages of a network, and sizes at which it attends. An image of 4096 pixels can be halved twelve times.
const MAX_STAGES: usize = 64;

/// The fields of [`UNetConfig`], with `preset`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    preset: Option<String>,
    base_channels: Option<usize>,
    #[serde(default, deserialize_with = "bounded::some_list::<MAX_STAGES, _, _>")]
    channel_multipliers: Option<Vec<usize>>,
    residual_blocks: Option<usize>,
    #[serde(default, deserialize_with = "bounded::some_list::<MAX_STAGES, _, _>")]
    attention_resolutions: Option<Vec<usize>>,
    head_channels: Option<usize>,
    dropout: Option<f64>,
    norm_groups: Option<usize>,
    log_snr_embedding: Option<LogSnrEmbedding>,
    timesteps: Option<Timesteps>,
    heads: Option<usize>,
    norm_epsilon: Option<f64>,
    modulation: Option<Modulation>,
    downsample: Option<Downsample>,
    upsample: Option<Upsample>,
    middle: Option<MiddleKind>,
    middle_norm_groups: Option<usize>,
    sinusoid_channels: Option<usize>,
    embedding_channels: Option<usize>,
    frequency_shift: Option<f64>,
    patch: Option<usize>,
    input_skip: Option<bool>,
}

impl TryFrom<Fields> for UNetConfig {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let preset = match &fields.preset {
            Some(name) => Some(Self::preset(name).ok_or_else(|| {
                let known = Self::PRESETS.join(", ");
                format!("there is no preset `{name}`; the presets are {known}")
            })?),
            None => None,
        };
        let missing = |field: &str| format!("missing field `{field}`");
        let given = preset.as_ref();
        let base = fields.base_channels.or(given.map(|p| p.base_channels));
        let blocks = fields.residual_blocks.or(given.map(|p| p.residual_blocks));
        let multipliers = fields
            .channel_multipliers
            .or(given.map(|p| p.channel_multipliers.clone()));
        let base = base.ok_or_else(|| missing("base_channels"))?;
        let multipliers = multipliers.ok_or_else(|| missing("channel_multipliers"))?;
        let blocks = blocks.ok_or_else(|| missing("residual_blocks"))?;
        let rest = preset.unwrap_or_else(|| Self::adm(base, blocks));
        Ok(Self {
            base_channels: base,
            channel_multipliers: multipliers,
            residual_blocks: blocks,
            attention_resolutions: fields
                .attention_resolutions
                .unwrap_or(rest.attention_resolutions),
            head_channels: fields.head_channels.unwrap_or(rest.head_channels),
            dropout: fields.dropout.unwrap_or(rest.dropout),
            norm_groups: fields.norm_groups.unwrap_or(rest.norm_groups),
            log_snr_embedding: fields.log_snr_embedding.unwrap_or(rest.log_snr_embedding),
            timesteps: fields.timesteps,
            heads: fields.heads,
            norm_epsilon: fields.norm_epsilon.unwrap_or(DEFAULT_EPSILON),
            modulation: fields.modulation.unwrap_or_default(),
            downsample: fields.downsample.unwrap_or_default(),
            upsample: fields.upsample.unwrap_or_default(),
            middle: fields.middle.unwrap_or_default(),
            middle_norm_groups: fields.middle_norm_groups,
            sinusoid_channels: fields.sinusoid_channels,
            embedding_channels: fields.embedding_channels,
            frequency_shift: fields.frequency_shift.unwrap_or_default(),
            patch: fields.patch.unwrap_or(1),
            input_skip: fields.input_skip.unwrap_or_default(),
        })
    }
}
