//! `config.json`.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::json_extent::check_extent;
use super::{BundleError, ClassNames, Network, WEIGHTS_FILE};
use crate::bounded;
use crate::guidance::GuideModel;
use crate::network::{Conditions, FlowMap, GuidanceInput, NumberInput};
use crate::noise_level::LogSnrRange;
use crate::prediction::Target;
use crate::settings::{ClassName, Plan, Request, RequestError, SamplingDefaults};

/// The newest version of the format that this code reads. It writes the oldest version that can describe the model
/// ([`Config::least_version`]), so that older programs accept exactly the models that they support.
///
/// - 1: the U-Net after ADM, with a null class.
/// - 2: relatives of that U-Net (the fields after `log_snr_embedding`), compiled networks, models without a null class,
///   models without classes, 8-bit weights, and the targets of flow matching and EDM.
/// - 3: networks that take the guidance strength, or the level that a step leads to, as an input.
/// - 4: networks that are conditioned on several attributes, or on a number.
/// - 5: networks of super-resolution, which also see a smaller picture.
pub const FORMAT_VERSION: u64 = 5;
/// The most bytes of a `config.json`.
pub const MAX_CONFIG_BYTES: usize = 16 << 20;
/// The most bytes of a string in it. An attribution may be long.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// The most weights files.
const MAX_FILES: usize = 1000;
/// The most characters of a weights file's name.
const MAX_FILE_NAME: usize = 255;
/// The most metrics.
const MAX_METRICS: usize = 1000;
/// The `written_by` of bundles that this code writes.
pub const WRITTEN_BY: &str = concat!("freeguide ", env!("CARGO_PKG_VERSION"));

/// The kind of numbers in a weights file, on which the format version depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightKind {
    /// Floats of 16 or 32 bits.
    Floats,
    /// Integers of 8 bits with their scales, and floats for small tensors.
    Int8,
}

/// `config.json`: everything about a model except its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the format.
    pub format_version: u64,
    /// The program that wrote the bundle.
    pub written_by: String,
    /// A short name, as in `models/emoji16`.
    pub name: String,
    /// The shape of the images.
    pub image: ImageShape,
    /// Class names in the order of their ids, or those of attributes. ∅ has the id after the last. A model without classes is
    /// unconditional: it has only ∅.
    pub classes: ClassNames,
    /// Whether the model has a null class ∅. A model that another program trained without one is conditional only: it has
    /// no unconditional estimate and so no guidance.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub null_class: bool,
    /// The network.
    pub network: Network,
    /// The prediction target and the noise levels.
    pub diffusion: Diffusion,
    /// The default sampling settings.
    #[serde(default)]
    pub sampling: SamplingDefaults,
    /// The weights files, in order.
    #[serde(deserialize_with = "bounded::list::<MAX_FILES, _, _>")]
    pub weights: Vec<WeightsFile>,
    /// The origin of the model.
    pub provenance: Provenance,
}

fn yes() -> bool {
    true
}

fn is_true(value: &bool) -> bool {
    *value
}

/// The shape of the images that a model draws.
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

/// The prediction target and the noise levels of a model.
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
    /// Its name within the bundle, without a path.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// The origin of a model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The data set's name.
    #[serde(default)]
    pub dataset: String,
    /// The licence of the model, or the terms of the data.
    #[serde(default)]
    pub license: String,
    /// The attribution.
    #[serde(default)]
    pub attribution: String,
    /// The recipe's name.
    #[serde(default)]
    pub recipe: String,
    /// Training steps.
    #[serde(default)]
    pub steps: u64,
    /// Training images seen, with repetition.
    #[serde(default)]
    pub images_seen: u64,
    /// The probability with which training replaced the class by ∅.
    #[serde(default)]
    pub p_uncond: f64,
    /// The decay of the weights' exponential moving average.
    #[serde(default)]
    pub ema_decay: f64,
    /// The number of parameters.
    #[serde(default)]
    pub parameters: u64,
    /// The name of the model that this one was distilled from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub teacher: String,
    /// Metrics by name.
    #[serde(default, deserialize_with = "bounded::map::<MAX_METRICS, _, _>")]
    pub metrics: BTreeMap<String, f64>,
}

/// The field of `config.json` that is read first. All other fields are ignored.
#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

/// The field that is read of a bundle in a newer format.
#[derive(Deserialize)]
struct Writer {
    written_by: String,
}

impl Config {
    /// Reads and validates `config.json`. It takes at most twice the memory of the text.
    ///
    /// # Errors
    ///
    /// [`BundleError`]: invalid JSON, an unknown, missing or invalid field, a newer version, or more than
    /// [`MAX_CONFIG_BYTES`].
    pub fn parse(json: &str) -> Result<Self, BundleError> {
        check_lengths(json)?;
        serde_json::from_str::<IgnoredAny>(json).map_err(|e| BundleError::BadJson {
            reason: e.to_string(),
        })?;
        // The version is checked first, because a newer format may have unknown fields.
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

    /// The configuration as JSON, indented and with a newline at the end.
    pub fn to_json(&self) -> String {
        // This cannot fail: all map keys are strings, and no Serialize of the types fails.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }

    /// The oldest version of the format that can describe this model with weights of this kind.
    pub fn least_version(&self, weights: WeightKind) -> u64 {
        let network = match &self.network {
            Network::UNet(network) => network.least_version(),
            Network::Compiled(_) => 2,
        };
        let plain = matches!(self.diffusion.target, Target::Epsilon | Target::V)
            && self.null_class
            && !self.classes.is_empty()
            && weights == WeightKind::Floats;
        network.max(if plain { 1 } else { 2 })
    }

    /// The w that the network takes as an input, if it does.
    pub fn guidance_input(&self) -> Option<GuidanceInput> {
        match &self.network {
            Network::UNet(network) => network.guidance,
            Network::Compiled(_) => None,
        }
    }

    /// The few steps that the network was distilled to, if it was.
    pub fn flow_map(&self) -> Option<FlowMap> {
        match &self.network {
            Network::UNet(network) => network.flow_map,
            Network::Compiled(_) => None,
        }
    }

    /// The side of the small picture that the network enlarges, and the highest level of its augmentation; `None` of models
    /// that draw alone.
    pub fn low_resolution(&self) -> Option<(usize, f64)> {
        match &self.network {
            Network::UNet(network) => Some((network.low_resolution?, network.augmentation)),
            Network::Compiled(_) => None,
        }
    }

    /// Refuses a model that enlarges small pictures, for what only serves models that draw alone.
    ///
    /// # Errors
    ///
    /// [`BundleError::NeedsPicture`].
    pub fn draws_alone(&self) -> Result<(), BundleError> {
        match self.low_resolution() {
            Some((side, _)) => Err(BundleError::NeedsPicture { side }),
            None => Ok(()),
        }
    }

    /// Validates a request against this model.
    ///
    /// # Errors
    ///
    /// [`RequestError`] names the invalid field.
    pub fn plan(&self, request: &Request) -> Result<Plan, RequestError> {
        self.plan_with(request, None)
    }

    /// [`plan`](Self::plan) of runs that another model guides.
    pub(super) fn plan_with(
        &self,
        request: &Request,
        guide: Option<&GuideModel>,
    ) -> Result<Plan, RequestError> {
        let plan = request.plan(&self.classes, &self.sampling, self.diffusion.log_snr)?;
        let plan = plan.on_timesteps(match &self.network {
            Network::UNet(network) => network.timesteps.as_ref(),
            Network::Compiled(_) => None,
        })?;
        let (conditions, number) = self.conditions();
        let plan = plan.with_conditions(conditions, number)?;
        let plan = plan.from_source(request.source.as_ref(), self.image.dims())?;
        let plan = match guide {
            Some(guide) => plan.guided_by(guide.clone())?,
            None => plan,
        };
        let plan = match (self.null_class, self.guidance_input()) {
            (false, _) => plan.conditional_only(),
            (true, Some(guidance)) => plan.with_guidance_input(&guidance),
            (true, None) => Ok(plan),
        }?;
        match self.flow_map() {
            Some(map) => plan.with_flow_map(&map, self.diffusion.log_snr),
            None => Ok(plan),
        }
    }

    /// What the network is conditioned on beside λ.
    pub(crate) fn conditions(&self) -> (Conditions, Option<&NumberInput>) {
        match &self.network {
            Network::UNet(network) => (network.conditions, network.number.as_ref()),
            Network::Compiled(_) => Default::default(),
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
            return bad("there are no classes and no null class".to_owned());
        }
        if self.guidance_input().is_some() && (self.classes.is_empty() || !self.null_class) {
            return bad(
                "network.guidance needs classes and a null class, between which guidance is the difference"
                    .to_owned(),
            );
        }
        if let Network::UNet(network) = &self.network
            && network.takes_more_than_a_class()
            && (self.classes.is_empty() || !self.null_class)
        {
            return bad(
                "network.conditions and network.number need classes and a null class, which stands for no attribute"
                    .to_owned(),
            );
        }
        let least = self.least_version(WeightKind::Floats);
        if self.format_version < least {
            return bad(format!(
                "format_version is {}, but this model needs version {least}",
                self.format_version
            ));
        }
        if let Some(name) = self.classes.duplicate() {
            return bad(format!("the class name {name:?} occurs twice"));
        }
        if !self.diffusion.log_snr.is_valid() {
            return bad("diffusion.log_snr must be finite numbers with min < max".to_owned());
        }
        // The default settings are valid if a request without settings is.
        let class = match self.classes.is_empty() {
            true => ClassName::Unconditional,
            false => ClassName::Id(0),
        };
        if let Err(e) = self.plan(&Request::new(vec![class])) {
            return bad(format!("sampling: {e}"));
        }
        if self.weights.is_empty() {
            return bad(format!("weights is empty; it must name {WEIGHTS_FILE}"));
        }
        for (i, file) in self.weights.iter().enumerate() {
            // A bundle must not refer to files outside its folder.
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
                return bad(format!("weights: {} is listed twice", file.file));
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

/// Checks the length of the file and of its strings and the depth of its nesting, before it is parsed.
fn check_lengths(json: &str) -> Result<(), BundleError> {
    let bad = |reason: String| Err(BundleError::BadConfig { reason });
    if json.len() > MAX_CONFIG_BYTES {
        return bad(format!(
            "it has {} bytes; at most {MAX_CONFIG_BYTES} are allowed",
            json.len()
        ));
    }
    check_extent(json.as_bytes(), MAX_TEXT_BYTES).or_else(bad)
}
