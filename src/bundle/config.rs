//! `config.json`.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::json_extent::check_extent;
use super::{BundleError, ClassNames, Network, WEIGHTS_FILE};
use crate::bounded;
use crate::noise_level::LogSnrRange;
use crate::prediction::Target;
use crate::settings::{ClassName, Plan, Request, RequestError, SamplingDefaults};

/// The newest version of the format that this code reads. What it writes is the oldest version
/// that can describe the model, [`Config::least_version`], so that programs that cannot draw it say
/// so, and those that can are not kept from it.
///
/// - 1: the U-Net after ADM, with a null class.
/// - 2: its relatives (every field of the network after `log_snr_embedding`), compiled networks,
///   models without a null class and models without classes, and weights in 8 bits.
pub const FORMAT_VERSION: u64 = 2;
/// The most bytes of a `config.json`.
pub const MAX_CONFIG_BYTES: usize = 16 << 20;
/// The most bytes of a text in it: an attribution may name many.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// The most weights files.
const MAX_FILES: usize = 1000;
/// The most characters of a weights file's name.
const MAX_FILE_NAME: usize = 255;
/// The most figures of merit.
const MAX_METRICS: usize = 1000;
/// What this code writes as `written_by`.
pub const WRITTEN_BY: &str = concat!("freeguide ", env!("CARGO_PKG_VERSION"));

/// What the numbers of a weights file are, as far as the format's version depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightKind {
    /// Floats of 16 or 32 bits.
    Floats,
    /// Integers of 8 bits beside their scales, with floats where these are few.
    Int8,
}

/// `config.json`: everything about a model but its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the format.
    pub format_version: u64,
    /// The program that wrote the bundle.
    pub written_by: String,
    /// A short name, as in `models/emoji16`.
    pub name: String,
    /// What the model draws.
    pub image: ImageShape,
    /// Class names; their ids are their places. ∅ has the id that follows the last. A model
    /// without classes is unconditional: there is ∅ alone.
    pub classes: ClassNames,
    /// Whether the model knows ∅. Where it was trained without (by another program), it is
    /// conditional only: there is no unconditional estimate, and so no guidance.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub null_class: bool,
    /// The network.
    pub network: Network,
    /// The diffusion that it was trained for.
    pub diffusion: Diffusion,
    /// How it is sampled unless one asks otherwise.
    #[serde(default)]
    pub sampling: SamplingDefaults,
    /// The weights files, in order.
    #[serde(deserialize_with = "bounded::list::<MAX_FILES, _, _>")]
    pub weights: Vec<WeightsFile>,
    /// Where the model comes from.
    pub provenance: Provenance,
}

fn yes() -> bool {
    true
}

fn is_true(value: &bool) -> bool {
    *value
}

/// The images that a model draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Height and width in pixels.
    pub size: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
}

impl ImageShape {
    /// `[channels, height, width]`.
    pub fn dims(self) -> [usize; 3] {
        [self.channels, self.size, self.size]
    }
}

/// What the network predicts, over which noise levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diffusion {
    /// The prediction target.
    pub target: Target,
    /// The range of λ, in nats.
    #[serde(default)]
    pub log_snr: LogSnrRange,
}

/// A weights file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsFile {
    /// Its name within the bundle; no path.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The data set's name.
    #[serde(default)]
    pub dataset: String,
    /// The licence that the model may be used under, or the data's terms.
    #[serde(default)]
    pub license: String,
    /// Whom to name.
    #[serde(default)]
    pub attribution: String,
    /// The recipe's name.
    #[serde(default)]
    pub recipe: String,
    /// Training steps.
    #[serde(default)]
    pub steps: u64,
    /// Images that training drew, with repetition.
    #[serde(default)]
    pub images_seen: u64,
    /// The probability with which training replaced the class by ∅.
    #[serde(default)]
    pub p_uncond: f64,
    /// The decay of the exponential moving average that the weights are.
    #[serde(default)]
    pub ema_decay: f64,
    /// The number of parameters.
    #[serde(default)]
    pub parameters: u64,
    /// Figures of merit, by name.
    #[serde(default, deserialize_with = "bounded::map::<MAX_METRICS, _, _>")]
    pub metrics: BTreeMap<String, f64>,
}

/// What is read of a `config.json` before anything else; the rest is passed over, whatever it is.
#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

/// As [`Version`], of a bundle that this code cannot read.
#[derive(Deserialize)]
struct Writer {
    written_by: String,
}

impl Config {
    /// Reads and checks `config.json`, for which twice the memory of the text is enough.
    ///
    /// # Errors
    ///
    /// [`BundleError`]: bad JSON, an unknown, missing or senseless field, a newer version, over [`MAX_CONFIG_BYTES`].
    pub fn parse(json: &str) -> Result<Self, BundleError> {
        check_lengths(json)?;
        serde_json::from_str::<IgnoredAny>(json).map_err(|e| BundleError::BadJson {
            reason: e.to_string(),
        })?;
        // The version comes first: a newer format may have fields that this code cannot know.
        if let Ok(Version { format_version }) = serde_json::from_str(json)
            && format_version > FORMAT_VERSION
        {
            let writer = serde_json::from_str(json).map(|Writer { written_by }| written_by);
            return Err(BundleError::NewerVersion {
                found: format_version,
                supported: FORMAT_VERSION,
                written_by: writer.unwrap_or("an unnamed program".to_owned()),
            });
        }
        let config: Self = serde_json::from_str(json).map_err(|e| BundleError::BadConfig {
            reason: e.to_string(),
        })?;
        config.validate()?;
        Ok(config)
    }

    /// The configuration as it is written: indented, with a newline at the end.
    pub fn to_json(&self) -> String {
        // Neither a map with keys that are no strings nor a failing Serialize is in the types.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }

    /// The oldest version of the format that can describe this model with weights of that kind.
    pub fn least_version(&self, weights: WeightKind) -> u64 {
        let plain = match &self.network {
            Network::UNet(network) => network.is_plain(),
            Network::Compiled(_) => false,
        };
        let plain = plain && weights == WeightKind::Floats;
        match plain && self.null_class && !self.classes.is_empty() {
            true => 1,
            false => 2,
        }
    }

    /// Checks a request against this model.
    ///
    /// # Errors
    ///
    /// [`RequestError`], naming what is wrong.
    pub fn plan(&self, request: &Request) -> Result<Plan, RequestError> {
        let plan = request.plan(&self.classes, &self.sampling, self.diffusion.log_snr)?;
        let plan = plan.on_timesteps(match &self.network {
            Network::UNet(network) => network.timesteps.as_ref(),
            Network::Compiled(_) => None,
        })?;
        match self.null_class {
            true => Ok(plan),
            false => plan.conditional_only(),
        }
    }

    fn validate(&self) -> Result<(), BundleError> {
        let bad = |reason: String| Err(BundleError::BadConfig { reason });
        if self.format_version == 0 {
            return bad("format_version is 0; the first is 1".to_owned());
        }
        if !(1..=4096).contains(&self.image.size) {
            return bad(format!(
                "image.size is {}, and must be from 1 to 4096",
                self.image.size
            ));
        }
        if self.image.channels != 1 && self.image.channels != 3 {
            return bad(format!(
                "image.channels is {}, and must be 1 or 3",
                self.image.channels
            ));
        }
        if self.classes.is_empty() && !self.null_class {
            return bad("there are no classes, and no null class either".to_owned());
        }
        let least = self.least_version(WeightKind::Floats);
        if self.format_version < least {
            return bad(format!(
                "format_version is {}, and what it says came with {least}",
                self.format_version
            ));
        }
        if let Some(name) = self.classes.duplicate() {
            return bad(format!("the class name {name:?} stands twice"));
        }
        if !self.diffusion.log_snr.is_valid() {
            return bad("diffusion.log_snr needs finite numbers, min < max".to_owned());
        }
        // The defaults are good if a request that asks for nothing is.
        let class = match self.classes.is_empty() {
            true => ClassName::Unconditional,
            false => ClassName::Id(0),
        };
        if let Err(e) = self.plan(&Request::new(vec![class])) {
            return bad(format!("sampling: {e}"));
        }
        if self.weights.is_empty() {
            return bad(format!("weights is empty; {WEIGHTS_FILE} is expected"));
        }
        for (i, file) in self.weights.iter().enumerate() {
            // A name, not a path: a bundle must not reach outside its folder.
            let safe = (1..=MAX_FILE_NAME).contains(&file.file.len())
                && !file.file.starts_with('.')
                && file
                    .file
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            if !safe {
                let name: String = file.file.chars().take(MAX_FILE_NAME).collect();
                return bad(format!("weights: {name:?} is not a plain file name"));
            }
            if self.weights[..i]
                .iter()
                .any(|other| other.file == file.file)
            {
                return bad(format!("weights: {} stands twice", file.file));
            }
            if file.sha256.len() != 64
                || !file
                    .sha256
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            {
                return bad(format!(
                    "weights: the SHA-256 of {} is not 64 lower-case hexadecimal digits",
                    file.file
                ));
            }
        }
        if let Network::UNet(network) = &self.network {
            network.validate(self.image.size)?;
        }
        Ok(())
    }
}

/// Checks how long the file and the texts in it are and how deep its lists, before anything is made of them.
fn check_lengths(json: &str) -> Result<(), BundleError> {
    let bad = |reason: String| Err(BundleError::BadConfig { reason });
    if json.len() > MAX_CONFIG_BYTES {
        return bad(format!(
            "it has {} bytes; up to {MAX_CONFIG_BYTES} are possible",
            json.len()
        ));
    }
    check_extent(json.as_bytes(), MAX_TEXT_BYTES).or_else(bad)
}
