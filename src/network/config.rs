//! The U-Net's configuration.

use serde::{Deserialize, Serialize};

use super::with_preset::with_preset;
use super::{
    Conditions, Downsample, FlowMap, GuidanceInput, LogSnrEmbedding, MiddleKind, Modulation,
    NumberInput, Upsample,
};
use crate::bounded;
use crate::timesteps::Timesteps;

/// The most stages and attention resolutions that are read. An image of 4096 pixels can be halved twelve times.
const MAX_STAGES: usize = 64;

with_preset! {
    /// Configuration of the U-Net after ADM (Dhariwal & Nichol 2021, appendix on architecture):
    /// residual blocks with scale-and-shift group normalisation by the (λ, class) embedding, residual
    /// up- and downsampling, self-attention at chosen resolutions. These are the defaults. The fields
    /// after `log_snr_embedding` describe relatives of ADM, such as models that were trained by other programs.
    ///
    /// In a file, `preset` gives every field that the file leaves out: see [`preset`](Self::preset).
    UNetConfig, Fields:
    required {
        /// Channels of the first stage.
        base_channels: usize;
        /// Channels of every stage, as multiples of `base_channels`. The image halves from each stage to the next.
        channel_multipliers: Vec<usize>, read by "bounded::some_list::<MAX_STAGES, _, _>";
        /// Residual blocks in each stage of the encoder. The decoder has one more.
        residual_blocks: usize;
    }
    format 1 {
        /// Sides of the feature maps in pixels at which the blocks have self-attention. The first stage's side is the
        /// image's divided by `patch`, and it halves from stage to stage.
        attention_resolutions: Vec<usize> = Vec::new(), read by "bounded::some_list::<MAX_STAGES, _, _>";
        /// Channels of an attention head (64 in ADM), also in the middle.
        head_channels: usize = 64;
        /// Dropout in the residual blocks, in training only.
        dropout: f64 = 0.0;
        /// Groups of every group normalisation (32 in ADM).
        norm_groups: usize = 32;
        /// The scaling of λ before its sinusoidal embedding.
        log_snr_embedding: LogSnrEmbedding = LogSnrEmbedding::default();
    }
    format 2 {
        /// A schedule in discrete time: the network's input is its timestep, interpolated from λ, instead of
        /// `log_snr_embedding`.
        #[serde(skip_serializing_if = "Option::is_none")]
        timesteps: Option<Timesteps> = None;
        /// The number of heads of every attention, instead of `head_channels`.
        #[serde(skip_serializing_if = "Option::is_none")]
        heads: Option<usize> = None;
        /// Added to the variance in group normalisations (10⁻⁵ in ADM).
        #[serde(skip_serializing_if = "is_default_epsilon")]
        norm_epsilon: f64 = DEFAULT_EPSILON;
        /// How the embedding of (λ, class) enters a residual block.
        #[serde(skip_serializing_if = "is_default")]
        modulation: Modulation = Modulation::default();
        /// How stages downsample.
        #[serde(skip_serializing_if = "is_default")]
        downsample: Downsample = Downsample::default();
        /// How stages upsample.
        #[serde(skip_serializing_if = "is_default")]
        upsample: Upsample = Upsample::default();
        /// The layers of the middle.
        #[serde(skip_serializing_if = "is_default")]
        middle: MiddleKind = MiddleKind::default();
        /// Groups of the normalisation before the middle's attention, `norm_groups` unless given. 0 is no normalisation.
        #[serde(skip_serializing_if = "Option::is_none")]
        middle_norm_groups: Option<usize> = None;
        /// Channels of the sinusoidal embedding, `base_channels` unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        sinusoid_channels: Option<usize> = None;
        /// Channels of the embedding of (λ, class), 4 · `base_channels` unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        embedding_channels: Option<usize> = None;
        /// s in the frequencies of the sinusoidal embedding, 10000^(−i/(n − s)) for i = 0 … n − 1:
        /// 0 in ADM, 1 in DDPM.
        #[serde(skip_serializing_if = "is_default")]
        frequency_shift: f64 = 0.0;
        /// Side of the patches that become one pixel with more channels before the first convolution, and pixels again
        /// after the last (space to depth; Hoogeboom et al. 2023, *simple diffusion*). 1 is no patching. With 2, a network
        /// for 64×64 pixels costs as much as one for 32×32.
        #[serde(skip_serializing_if = "is_one")]
        patch: usize = 1;
        /// A learned c_skip (Karras et al. 2022, equation 7): the network's output is added to its input times one factor
        /// for each colour. A linear layer computes the factors from the embedding of (λ, class); they start at 0. The noise
        /// of each pixel, which dominates v and ε, then need not pass through the layers, whose capacity patches and few
        /// channels limit.
        #[serde(skip_serializing_if = "is_default")]
        input_skip: bool = false;
    }
    format 3 {
        /// w as an input of the network, which then gives the guided prediction in one pass (Meng et al. 2023): a student
        /// that was distilled from a guided model.
        #[serde(skip_serializing_if = "Option::is_none")]
        guidance: Option<GuidanceInput> = None;
        /// The level that a step leads to as an input of the network: a student that was distilled to few steps.
        #[serde(skip_serializing_if = "Option::is_none")]
        flow_map: Option<FlowMap> = None;
    }
    format 4 {
        /// What the labels of an image are: `"classes"`, of which it has one, or `"attributes"`, of which it has any number.
        #[serde(skip_serializing_if = "is_default")]
        conditions: Conditions = Conditions::default();
        /// A number that the network is conditioned on beside the labels, such as an age.
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<NumberInput> = None;
    }
    format 5 {
        /// The side in pixels of a smaller picture that the network also sees, enlarged: a super-resolution model of a cascade
        /// (Ho et al. 2021). It divides the image's size; see [`low_resolution`](crate::low_resolution).
        #[serde(skip_serializing_if = "Option::is_none")]
        low_resolution: Option<usize> = None;
        /// The highest level of conditioning augmentation that the network is trained with, from 0 to 1.
        #[serde(skip_serializing_if = "is_default_augmentation")]
        augmentation: f64 = DEFAULT_AUGMENTATION;
    }
}

/// The highest level of conditioning augmentation.
pub(super) const DEFAULT_AUGMENTATION: f64 = 0.5;

fn is_default_augmentation(value: &f64) -> bool {
    *value == DEFAULT_AUGMENTATION
}

/// ε of ADM's group normalisations.
const DEFAULT_EPSILON: f64 = 1e-5;

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
    /// A network of some 50,000 parameters for images of 8×8 pixels, for tests and for the self-test of a device.
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

    /// The preset of this name: `"adm64"` is [`adm64`](Self::adm64).
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "adm64" => Some(Self::adm64()),
            _ => None,
        }
    }

    /// The names that [`preset`](Self::preset) knows.
    pub const PRESETS: [&str; 1] = ["adm64"];

    /// One stage of ADM's network with attention in the middle only, everything else by default.
    pub fn adm(base_channels: usize, residual_blocks: usize) -> Self {
        Self::with_defaults(base_channels, vec![1], residual_blocks)
    }

    /// The side of a stage's feature maps, for square images of `size` pixels.
    pub fn side(&self, stage: usize, size: usize) -> usize {
        (size / self.patch.max(1)) >> stage
    }

    /// Whether the blocks of a stage have self-attention, for square images of `size` pixels.
    pub fn attends(&self, stage: usize, size: usize) -> bool {
        self.attention_resolutions.contains(&self.side(stage, size))
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

    /// Whether images have attributes or a number, and not a class alone.
    pub fn takes_more_than_a_class(&self) -> bool {
        self.conditions != Conditions::default() || self.number.is_some()
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
}

impl TryFrom<Fields> for UNetConfig {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let Some(name) = fields.preset.take() else {
            return fields.over_defaults();
        };
        match Self::preset(&name) {
            Some(preset) => Ok(fields.over(preset)),
            None => Err(format!(
                "there is no preset `{name}`; the presets are {}",
                Self::PRESETS.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timesteps::Betas;

    fn age() -> NumberInput {
        NumberInput {
            name: "age".to_owned(),
            min: 0.0,
            max: 100.0,
            unit: "years".to_owned(),
        }
    }

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

    #[test]
    fn a_preset_gives_every_field_that_is_not_given() {
        let preset = UNetConfig {
            timesteps: Some(Timesteps {
                count: 10,
                betas: Betas::SquaredCosine,
                scale: 1.0,
            }),
            heads: Some(2),
            norm_epsilon: 1e-6,
            modulation: Modulation::Add,
            downsample: Downsample::Convolution,
            upsample: Upsample::Convolution,
            middle: MiddleKind::None,
            middle_norm_groups: Some(8),
            sinusoid_channels: Some(64),
            embedding_channels: Some(256),
            frequency_shift: 1.0,
            patch: 2,
            input_skip: true,
            guidance: Some(GuidanceInput::new(-1.0, 8.0)),
            flow_map: Some(FlowMap { max_steps: 8 }),
            conditions: Conditions::Attributes,
            number: Some(age()),
            ..UNetConfig::adm64()
        };
        assert_eq!(Fields::default().over(preset.clone()), preset);
        let fields: Fields = serde_json::from_str(r#"{"patch": 4, "heads": 1}"#).unwrap();
        let expected = UNetConfig {
            patch: 4,
            heads: Some(1),
            ..preset.clone()
        };
        assert_eq!(fields.over(preset), expected);
    }

    /// Bundles of format 1 stay byte for byte the same.
    #[test]
    fn defaults_are_not_written() {
        let json = serde_json::to_value(UNetConfig::tiny()).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 8);
        assert_eq!(UNetConfig::tiny().least_version(), 1);
        assert_eq!(UNetConfig::adm64().least_version(), 1);
        let other = UNetConfig {
            heads: Some(2),
            norm_epsilon: 1e-6,
            downsample: Downsample::ConvolutionAfter,
            middle_norm_groups: Some(0),
            patch: 2,
            input_skip: true,
            ..UNetConfig::tiny()
        };
        assert_eq!(other.least_version(), 2);
        let json = serde_json::to_string(&other).unwrap();
        assert_eq!(read(&json).unwrap(), other);
        assert!(
            json.contains(r#""downsample":"convolution-after""#),
            "{json}"
        );
    }

    #[test]
    fn guidance_as_an_input_needs_format_3() {
        let student = UNetConfig {
            guidance: Some(GuidanceInput::new(-1.0, 8.0)),
            ..UNetConfig::tiny()
        };
        assert_eq!(student.least_version(), 3);
        let json = serde_json::to_string(&student).unwrap();
        assert!(
            json.ends_with(r#""guidance":{"kind":"input","min":-1.0,"max":8.0}}"#),
            "{json}"
        );
        assert_eq!(read(&json).unwrap(), student);
        let other = json.replace("input", "magic");
        let refused = read(&other).unwrap_err();
        assert!(refused.contains("unknown variant `magic`"), "{refused}");
    }

    #[test]
    fn attributes_and_a_number_need_format_4() {
        let attributes = UNetConfig {
            conditions: Conditions::Attributes,
            ..UNetConfig::tiny()
        };
        let number = UNetConfig {
            number: Some(age()),
            ..UNetConfig::tiny()
        };
        for (config, end) in [
            (attributes, r#""conditions":"attributes"}"#),
            (
                number,
                r#""number":{"name":"age","min":0.0,"max":100.0,"unit":"years"}}"#,
            ),
        ] {
            assert_eq!(config.least_version(), 4);
            assert!(config.takes_more_than_a_class());
            let json = serde_json::to_string(&config).unwrap();
            assert!(json.ends_with(end), "{json}");
            assert_eq!(read(&json).unwrap(), config);
        }
    }
}
