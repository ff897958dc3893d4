//! Reads the JSON files in a diffusers folder.
//!
//! The files are untrusted, so nothing takes more memory than its text: lists have length limits above any sensible
//! value.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::weights::check_extent;

/// The largest number of blocks of a network.
const MAX_BLOCKS: usize = 64;
/// The largest number of weights files.
const MAX_FILES: usize = 1000;
/// The largest length of a string in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// The largest number of timesteps of a schedule. The library has the same limit, but the readers do not depend on it.
pub const MAX_BETAS: usize = 10_000;

/// Reads a description.
///
/// # Errors
///
/// If it is not valid. The error says what is wrong.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    check_extent(json.as_bytes(), MAX_TEXT_BYTES)?;
    serde_json::from_str(json).map_err(|e| e.to_string())
}

/// The index that says which file has which tensor, reduced to the files.
#[derive(Debug, Deserialize)]
pub struct Index {
    /// The names of the files, without duplicates.
    #[serde(rename = "weight_map", deserialize_with = "values")]
    pub files: BTreeSet<String>,
}

/// Reads the values of an object, without duplicates.
fn values<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    struct Values;
    impl<'de> Visitor<'de> for Values {
        type Value = BTreeSet<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a file's name for each tensor")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeSet::new();
            while let Some((IgnoredAny, name)) = map.next_entry::<_, String>()? {
                found.insert(name);
                if found.len() > MAX_FILES {
                    return Err(A::Error::custom(format_args!(
                        "it lists more than {MAX_FILES} files"
                    )));
                }
            }
            Ok(found)
        }
    }
    from.deserialize_map(Values)
}

/// `config.json` of a `UNet2DModel`, with the defaults of its constructor.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Network {
    /// The class that wrote it: `UNet2DModel`.
    pub _class_name: String,
    /// Height and width of the images.
    pub sample_size: SampleSize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output: twice those of the input if variances are learned.
    pub out_channels: usize,
    /// Whether the input is mapped from 0 … 1 to −1 … 1.
    pub center_input_sample: bool,
    /// `positional` for sinusoids; `fourier` and `learned` are others.
    pub time_embedding_type: String,
    /// Channels of the embeddings, if they are not four times those of the first block.
    pub time_embedding_dim: Option<usize>,
    /// The value subtracted from half the number of sinusoids in their exponent.
    pub freq_shift: f64,
    /// Whether the cosines come before the sines.
    pub flip_sin_to_cos: bool,
    /// The kinds of the encoder's blocks.
    #[serde(deserialize_with = "few")]
    pub down_block_types: Vec<String>,
    /// The kind of the block in the middle, if there is one.
    pub mid_block_type: Option<String>,
    /// The kinds of the decoder's blocks.
    #[serde(deserialize_with = "few")]
    pub up_block_types: Vec<String>,
    /// Channels of each stage.
    #[serde(deserialize_with = "few")]
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of each stage of the encoder.
    pub layers_per_block: usize,
    /// The divisor of the residual sums in the middle.
    pub mid_block_scale_factor: f64,
    /// The padding of downsampling convolutions.
    pub downsample_padding: usize,
    /// `conv` or `resnet`.
    pub downsample_type: String,
    /// `conv` or `resnet`.
    pub upsample_type: String,
    /// The probability of dropout.
    pub dropout: f64,
    /// The activation.
    pub act_fn: String,
    /// Channels of an attention head; without it, there is one head.
    pub attention_head_dim: Option<usize>,
    /// Groups of the normalisations.
    pub norm_num_groups: usize,
    /// Groups of the normalisations of attention, if they differ.
    pub attn_norm_num_groups: Option<usize>,
    /// ε of the normalisations.
    pub norm_eps: f64,
    /// `default`, which adds the embedding, or `scale_shift`.
    pub resnet_time_scale_shift: String,
    /// Whether the block in the middle has attention.
    pub add_attention: bool,
    /// How the class is embedded, if not by a table.
    pub class_embed_type: Option<String>,
    /// Rows of the table that embeds the class.
    pub num_class_embeds: Option<usize>,
}

impl Default for Network {
    fn default() -> Self {
        let texts = |texts: [&str; 4]| texts.map(str::to_owned).to_vec();
        let (plain, attends) = ("DownBlock2D", "AttnDownBlock2D");
        let (plain_up, attends_up) = ("UpBlock2D", "AttnUpBlock2D");
        Self {
            _class_name: "UNet2DModel".to_owned(),
            sample_size: SampleSize::Unknown,
            in_channels: 3,
            out_channels: 3,
            center_input_sample: false,
            time_embedding_type: "positional".to_owned(),
            time_embedding_dim: None,
            freq_shift: 0.0,
            flip_sin_to_cos: true,
            down_block_types: texts([plain, attends, attends, attends]),
            mid_block_type: Some("UNetMidBlock2D".to_owned()),
            up_block_types: texts([attends_up, attends_up, attends_up, plain_up]),
            block_out_channels: vec![224, 448, 672, 896],
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            downsample_padding: 1,
            downsample_type: "conv".to_owned(),
            upsample_type: "conv".to_owned(),
            dropout: 0.0,
            act_fn: "silu".to_owned(),
            attention_head_dim: Some(8),
            norm_num_groups: 32,
            attn_norm_num_groups: None,
            norm_eps: 1e-5,
            resnet_time_scale_shift: "default".to_owned(),
            add_attention: true,
            class_embed_type: None,
            num_class_embeds: None,
        }
    }
}

/// The relevant fields of `scheduler_config.json`, with the defaults of diffusers' `DDPMScheduler`. Fields that only
/// affect sampling in diffusers are ignored.
#[derive(Debug, Deserialize)]
pub struct Scheduler {
    /// The class that wrote it; those of a family read each other's files.
    #[serde(default)]
    pub _class_name: Option<String>,
    /// Timesteps.
    #[serde(default = "thousand")]
    pub num_train_timesteps: usize,
    /// The first β of a schedule by formula.
    #[serde(default = "first_beta")]
    pub beta_start: f64,
    /// Its last β.
    #[serde(default = "last_beta")]
    pub beta_end: f64,
    /// Its formula: `linear`, `scaled_linear` or `squaredcos_cap_v2`.
    #[serde(default = "linear")]
    pub beta_schedule: String,
    /// All β, instead of a formula.
    #[serde(default, deserialize_with = "betas")]
    pub trained_betas: Option<Vec<f64>>,
    /// `epsilon`, `v_prediction` or `sample`.
    #[serde(default = "epsilon")]
    pub prediction_type: String,
    /// Whether the estimate of the clean image is clipped.
    #[serde(default = "yes")]
    pub clip_sample: bool,
    /// The limit of the clipping, ±.
    #[serde(default = "one")]
    pub clip_sample_range: f64,
    /// Whether the schedule is rescaled so that the last timestep is pure noise (Lin et al. 2023).
    #[serde(default)]
    pub rescale_betas_zero_snr: bool,
    /// Whether the network was trained by flow matching.
    #[serde(default)]
    pub use_flow_sigmas: Option<bool>,
    /// EDM: the deviation of the data.
    #[serde(default)]
    pub sigma_data: Option<f64>,
    /// EDM: the least noise.
    #[serde(default)]
    pub sigma_min: Option<f64>,
    /// EDM: the most noise.
    #[serde(default)]
    pub sigma_max: Option<f64>,
    /// Flow matching: whether the network is shown the clean image's share in place of the noise's.
    #[serde(default)]
    pub invert_sigmas: Option<bool>,
    /// Flow matching: whether sampling draws new noise at every step.
    #[serde(default)]
    pub stochastic_sampling: Option<bool>,
    /// Whether the network is shown timesteps or something else.
    #[serde(default)]
    pub timestep_type: Option<String>,
}

fn thousand() -> usize {
    1000
}
fn first_beta() -> f64 {
    1e-4
}
fn last_beta() -> f64 {
    0.02
}
fn linear() -> String {
    "linear".to_owned()
}
fn epsilon() -> String {
    "epsilon".to_owned()
}
fn yes() -> bool {
    true
}
fn one() -> f64 {
    1.0
}

/// The size of a network's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSize {
    /// Height and width.
    Square(usize),
    /// Height and width differ.
    Oblong,
    /// The file does not say.
    Unknown,
}

impl<'de> Deserialize<'de> for SampleSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = SampleSize;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a size, or a height and a width")
            }

            fn visit_unit<E: Error>(self) -> Result<SampleSize, E> {
                Ok(SampleSize::Unknown)
            }

            fn visit_u64<E: Error>(self, side: u64) -> Result<SampleSize, E> {
                usize::try_from(side)
                    .map(SampleSize::Square)
                    .map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sides: A) -> Result<SampleSize, A::Error> {
                let pair: [Option<usize>; 2] = [sides.next_element()?, sides.next_element()?];
                let more = sides.next_element::<IgnoredAny>()?.is_some();
                while sides.next_element::<IgnoredAny>()?.is_some() {}
                Ok(match pair {
                    [Some(height), Some(width)] if height == width && !more => {
                        SampleSize::Square(height)
                    }
                    _ => SampleSize::Oblong,
                })
            }
        }
        deserializer.deserialize_any(Sizes)
    }
}

/// A list with one item per block.
fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(UpTo::<T>(MAX_BLOCKS, std::marker::PhantomData))
}

/// β of every timestep, or none.
fn betas<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f64>>, D::Error> {
    struct Listed;
    impl<'de> Visitor<'de> for Listed {
        type Value = Option<Vec<f64>>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list of numbers, or null")
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
            let list = UpTo(MAX_BETAS, std::marker::PhantomData);
            from.deserialize_seq(list).map(Some)
        }
    }
    from.deserialize_option(Listed)
}

/// A list with a length limit.
struct UpTo<T>(usize, std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for UpTo<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a list of up to {} items", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == self.0 {
                return Err(A::Error::invalid_length(self.0 + 1, &self));
            }
            list.push(item);
        }
        Ok(list)
    }
}
