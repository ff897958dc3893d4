//! The U-Net's configuration.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::fields::Fields;
use super::{Downsample, LogSnrEmbedding, MiddleKind, Modulation, UNet, Upsample};
use crate::timesteps::Timesteps;

/// Configuration of the U-Net after ADM (Dhariwal & Nichol 2021, appendix on architecture):
/// residual blocks with scale-and-shift group normalisation by the (λ, class) embedding, residual
/// up- and downsampling, self-attention at chosen resolutions. That is what the defaults are; the
/// fields after `log_snr_embedding` make it one of its relatives instead, so that models
/// trained elsewhere run here.
///
/// In a file, a `preset` may stand in the place of the fields that it sets: see
/// [`preset`](Self::preset).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct UNetConfig {
    /// Channels of the first stage.
    pub base_channels: usize,
    /// Channels of every stage, as multiples of `base_channels`; the image halves from each to
    /// the next.
    pub channel_multipliers: Vec<usize>,
    /// Residual blocks a stage on the way down (one more on the way up).
    pub residual_blocks: usize,
    /// Sides of the feature maps at which the blocks have self-attention: the image's, in pixels, halved from stage to
    /// stage, and divided by `patch`.
    pub attention_resolutions: Vec<usize>,
    /// Channels of an attention head (64 in ADM). Also in the middle, which always attends.
    pub head_channels: usize,
    /// Dropout within the residual blocks, in training only.
    pub dropout: f64,
    /// Groups of every group normalisation (32 in ADM).
    pub norm_groups: usize,
    /// How λ is scaled before its sinusoidal embedding.
    pub log_snr_embedding: LogSnrEmbedding,
    /// The network sees the timestep of a schedule in discrete time, interpolated from λ, in the
    /// place of what `log_snr_embedding` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timesteps: Option<Timesteps>,
    /// Attention has this many heads wherever it is, in the place of heads of `head_channels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Added to the variance in group normalisations (10⁻⁵ in ADM).
    #[serde(skip_serializing_if = "is_default_epsilon")]
    pub norm_epsilon: f64,
    /// How the embedding of (λ, class) enters a residual block.
    #[serde(skip_serializing_if = "is_default")]
    pub modulation: Modulation,
    /// How the image halves.
    #[serde(skip_serializing_if = "is_default")]
    pub downsample: Downsample,
    /// How the image doubles.
    #[serde(skip_serializing_if = "is_default")]
    pub upsample: Upsample,
    /// What is in the middle.
    #[serde(skip_serializing_if = "is_default")]
    pub middle: MiddleKind,
    /// Groups of the normalisation before the middle's attention where they are not
    /// `norm_groups`; 0 is none at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_norm_groups: Option<usize>,
    /// Channels of the sinusoidal embedding, `base_channels` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinusoid_channels: Option<usize>,
    /// Channels of the embedding of (λ, class), 4 · `base_channels` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_channels: Option<usize>,
    /// s in the frequencies of the sinusoidal embedding, 10000^(−i/(n − s)) for i = 0 … n − 1:
    /// 0 in ADM, 1 in DDPM.
    #[serde(skip_serializing_if = "is_default")]
    pub frequency_shift: f64,
    /// Side of the squares of pixels that the network takes for one pixel with more channels, before its first
    /// convolution and, reversed, after its last (the patching of Hoogeboom et al. 2023, *simple diffusion*, by space to
    /// depth). 1, as a rule, is none; with 2, a network for 64×64 pixels costs what it costs for 32×32.
    #[serde(skip_serializing_if = "is_one")]
    pub patch: usize,
    /// The network's answer is added to its input times a number for each colour, which a linear layer makes of the
    /// embedding of (λ, class) and which is 0 at first: a c_skip (Karras et al. 2022, equation 7) that is learned. The
    /// noise of every pixel, which v and ε are mostly made of, then need not pass through the layers, which patches and
    /// few channels leave little room for.
    #[serde(skip_serializing_if = "is_default")]
    pub input_skip: bool,
}

/// ε of ADM's group normalisations.
pub(super) const DEFAULT_EPSILON: f64 = 1e-5;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

fn is_default_epsilon(value: &f64) -> bool {
    *value == DEFAULT_EPSILON
}

impl UNetConfig {
    /// A network of some fifty thousand parameters for images of 8×8 pixels, for tests and for the self-test of a device.
    pub fn tiny() -> Self {
        Self {
            base_channels: 8,
            channel_multipliers: vec![1, 2],
            attention_resolutions: vec![4],
            head_channels: 8,
            norm_groups: 4,
            ..Self::adm(8, 1)
        }
    }

    /// ADM's network for 64×64 pixels, with which the guidance paper made its table (Dhariwal &
    /// Nichol 2021, table 4): 296 million parameters.
    pub fn adm64() -> Self {
        Self {
            channel_multipliers: vec![1, 2, 3, 4],
            attention_resolutions: vec![32, 16, 8],
            dropout: 0.1,
            ..Self::adm(192, 3)
        }
    }

    /// The network of a name: `"adm64"` is [`adm64`](Self::adm64).
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "adm64" => Some(Self::adm64()),
            _ => None,
        }
    }

    /// The names that [`preset`](Self::preset) knows.
    pub const PRESETS: [&str; 1] = ["adm64"];

    /// One stage of ADM's network without attention but in the middle, everything else by default.
    pub fn adm(base_channels: usize, residual_blocks: usize) -> Self {
        Self {
            base_channels,
            channel_multipliers: vec![1],
            residual_blocks,
            attention_resolutions: Vec::new(),
            head_channels: 64,
            dropout: 0.0,
            norm_groups: 32,
            log_snr_embedding: LogSnrEmbedding::default(),
            timesteps: None,
            heads: None,
            norm_epsilon: DEFAULT_EPSILON,
            modulation: Modulation::default(),
            downsample: Downsample::default(),
            upsample: Upsample::default(),
            middle: MiddleKind::default(),
            middle_norm_groups: None,
            sinusoid_channels: None,
            embedding_channels: None,
            frequency_shift: 0.0,
            patch: 1,
            input_skip: false,
        }
    }

    /// The side of a stage's feature maps, for square images of `size` pixels.
    pub fn side(&self, stage: usize, size: usize) -> usize {
        (size / self.patch.max(1)) >> stage
    }

    /// Whether the blocks of a stage attend, for square images of `size` pixels.
    pub fn attends(&self, stage: usize, size: usize) -> bool {
        self.attention_resolutions.contains(&self.side(stage, size))
    }

    /// Whether the network is one that format 1 of bundles can describe: ADM's.
    pub fn is_plain(&self) -> bool {
        let plain = Self {
            channel_multipliers: self.channel_multipliers.clone(),
            attention_resolutions: self.attention_resolutions.clone(),
            head_channels: self.head_channels,
            dropout: self.dropout,
            norm_groups: self.norm_groups,
            log_snr_embedding: self.log_snr_embedding,
            ..Self::adm(self.base_channels, self.residual_blocks)
        };
        *self == plain
    }

    /// Channels of every stage.
    pub fn widths(&self) -> Vec<usize> {
        let multipliers = self.channel_multipliers.iter();
        multipliers.map(|m| m * self.base_channels).collect()
    }

    /// Channels of the sinusoidal embedding.
    pub fn sinusoids(&self) -> usize {
        self.sinusoid_channels.unwrap_or(self.base_channels)
    }

    /// Channels of the embedding of (λ, class).
    pub fn embedding(&self) -> usize {
        self.embedding_channels.unwrap_or(4 * self.base_channels)
    }

    /// Heads of an attention over `channels` channels.
    pub fn attention_heads(&self, channels: usize) -> usize {
        self.heads.unwrap_or(channels / self.head_channels.max(1))
    }

    /// Groups of the normalisation before the middle's attention, if there is one.
    pub fn middle_attention_groups(&self) -> Option<usize> {
        Some(self.middle_norm_groups.unwrap_or(self.norm_groups)).filter(|&groups| groups > 0)
    }

    /// Builds the network with fresh weights.
    ///
    /// `channels`: of the image; `classes`: without ∅, which is added. Attention is placed by
    /// resolution, so `size`, in pixels, is part of the structure.
    pub fn init(&self, size: usize, channels: usize, classes: usize, device: &Device) -> UNet {
        UNet::new(self, size, channels, classes, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<UNetConfig, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_preset_gives_what_is_not_given() {
        assert_eq!(read(r#"{"preset": "adm64"}"#).unwrap(), UNetConfig::adm64());
        let narrow = read(r#"{"preset": "adm64", "base_channels": 64, "dropout": 0}"#).unwrap();
        assert_eq!((narrow.base_channels, narrow.dropout), (64, 0.0));
        assert_eq!(narrow.attention_resolutions, [32, 16, 8]);
        let unknown = read(r#"{"preset": "adm65"}"#).unwrap_err();
        assert!(unknown.contains("adm64"), "{unknown}");
        let missing = read(r#"{"base_channels": 8, "residual_blocks": 1}"#).unwrap_err();
        assert!(
            missing.contains("missing field `channel_multipliers`"),
            "{missing}"
        );
        let wrong = read(r#"{"preset": "adm64", "head": 1}"#).unwrap_err();
        assert!(wrong.contains("unknown field `head`"), "{wrong}");
    }

    /// What a bundle said before there were other networks, it says still.
    #[test]
    fn defaults_are_not_written() {
        let json = serde_json::to_value(UNetConfig::tiny()).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 8);
        assert!(UNetConfig::tiny().is_plain() && UNetConfig::adm64().is_plain());
        let other = UNetConfig {
            heads: Some(2),
            norm_epsilon: 1e-6,
            downsample: Downsample::ConvolutionAfter,
            middle_norm_groups: Some(0),
            patch: 2,
            input_skip: true,
            ..UNetConfig::tiny()
        };
        assert!(!other.is_plain());
        let json = serde_json::to_string(&other).unwrap();
        assert_eq!(read(&json).unwrap(), other);
        assert!(
            json.contains(r#""downsample":"convolution-after""#),
            "{json}"
        );
    }
}
