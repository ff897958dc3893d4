//! The guidance strength w as an input of the network.

use serde::{Deserialize, Serialize};

use super::NetworkError;
use super::input_embedding::SCALE;

/// w as an input of a network, for every w from `min` to `max` (Meng et al. 2023, "On Distillation of Guided Diffusion
/// Models", section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuidanceInput {
    /// How the network is guided.
    pub kind: GuidanceKind,
    /// The smallest w that the network was made for.
    pub min: f64,
    /// The largest w.
    pub max: f64,
}

/// How a network is guided, if not by mixing two predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuidanceKind {
    /// w is an input.
    Input,
}

impl GuidanceInput {
    /// w from `min` to `max`.
    pub fn new(min: f64, max: f64) -> Self {
        Self {
            kind: GuidanceKind::Input,
            min,
            max,
        }
    }

    /// Whether the network was made for this w.
    pub fn contains(&self, w: f64) -> bool {
        (self.min..=self.max).contains(&w)
    }

    /// The argument of the sinusoids is `slope` · w + `offset`, from 0 at `min` to 100 at `max`.
    pub fn argument(&self) -> (f64, f64) {
        let slope = SCALE / (self.max - self.min);
        (slope, -slope * self.min)
    }

    pub(super) fn validate(&self) -> Result<(), NetworkError> {
        let limit = crate::settings::MAX_GUIDANCE;
        let allowed = |w: f64| w.abs() <= limit;
        if allowed(self.min) && allowed(self.max) && self.min < self.max && self.contains(0.0) {
            return Ok(());
        }
        Err(NetworkError::Field {
            field: "guidance",
            value: format!("from {} to {}", self.min, self.max),
            expected: format!(
                "it needs min < max within −{limit} to {limit}, and must contain 0, the conditional model"
            ),
        })
    }
}
