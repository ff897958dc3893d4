//! The policies by name, as settings.

use serde::{Deserialize, Serialize};

/// What is made of the two estimates of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Policy {
    /// The paper's mix (Ho & Salimans 2022, equation 6).
    Cfg {
        /// φ of guidance rescale, from 0 (none) to 1: [`rescale`](super::rescale).
        #[serde(default)]
        rescale: f64,
    },
    /// Adaptive projected guidance: [`projected`](super::projected).
    Apg(Projection),
    /// CFG++: [`plus_plus`](super::plus_plus). It is meant for −1 ≤ w ≤ 0.
    #[serde(rename = "cfg++")]
    CfgPlusPlus,
}

/// The settings of adaptive projected guidance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// η: how much of the part of Δ along x̃(c) stays; 1 projects nothing.
    #[serde(default)]
    pub eta: f64,
    /// β: what of the steps before is added to Δ; negative values push apart, 0 has no memory.
    #[serde(default = "default_momentum")]
    pub momentum: f64,
    /// r: the largest norm of Δ over an image of values in [−1, 1]; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_threshold: Option<f64>,
}

fn default_momentum() -> f64 {
    -0.5
}

impl Default for Projection {
    fn default() -> Self {
        Self {
            eta: 0.0,
            momentum: default_momentum(),
            norm_threshold: None,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::Cfg { rescale: 0.0 }
    }
}

impl Policy {
    /// The names, in the order in which they are offered.
    pub const NAMES: [&str; 3] = ["cfg", "apg", "cfg++"];

    /// The name in settings, commands and files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cfg { .. } => "cfg",
            Self::Apg(_) => "apg",
            Self::CfgPlusPlus => "cfg++",
        }
    }

    /// The policy of that name with its parameters by default.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "cfg" => Some(Self::default()),
            "apg" => Some(Self::Apg(Projection::default())),
            "cfg++" => Some(Self::CfgPlusPlus),
            _ => None,
        }
    }

    /// Whether a strength of `w` needs both estimates. Where it does not, one pass is saved: the
    /// unconditional one at w = 0, the conditional one at w = −1.
    pub fn needs_both(&self, w: f64) -> bool {
        match self {
            // The noise is the unconditional estimate's even at w = 0.
            Self::CfgPlusPlus => w != -1.0,
            Self::Cfg { .. } | Self::Apg(_) => w != 0.0 && w != -1.0,
        }
    }

    /// Whether this is what a setting says that says nothing.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
