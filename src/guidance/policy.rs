//! The policies by name, as settings.

use serde::{Deserialize, Serialize};

/// What is made of the two estimates of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", try_from = "Fields")]
pub enum Policy {
    /// The paper's mix (Ho & Salimans 2022, equation 6).
    Cfg {
        /// φ of guidance rescale, from 0 (none) to 1: [`rescale`](super::rescale).
        rescale: f64,
    },
    /// Adaptive projected guidance: [`projected`](super::projected).
    Apg(Projection),
    /// CFG++: [`plus_plus`](super::plus_plus). It is meant for −1 ≤ w ≤ 0.
    #[serde(rename = "cfg++")]
    CfgPlusPlus,
}

/// The settings of adaptive projected guidance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Projection {
    /// η: how much of the part of Δ along x̃(c) stays; 1 projects nothing.
    pub eta: f64,
    /// β: what of the steps before is added to Δ; negative values push apart, 0 has no memory.
    pub momentum: f64,
    /// r: the largest norm of Δ over an image of values in [−1, 1]; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_threshold: Option<f64>,
}

/// The fields of [`Policy`] as they are read: serde keeps whatever an object with a tag holds, however much, until it
/// has found the tag.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    kind: Kind,
    rescale: Option<f64>,
    eta: Option<f64>,
    momentum: Option<f64>,
    norm_threshold: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Cfg,
    Apg,
    #[serde(rename = "cfg++")]
    CfgPlusPlus,
}

impl TryFrom<Fields> for Policy {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, &'static str> {
        let projects = fields.eta.or(fields.momentum).or(fields.norm_threshold);
        match fields.kind {
            Kind::Cfg if projects.is_none() => Ok(Self::Cfg {
                rescale: fields.rescale.unwrap_or_default(),
            }),
            Kind::Apg if fields.rescale.is_none() => {
                let default = Projection::default();
                Ok(Self::Apg(Projection {
                    eta: fields.eta.unwrap_or(default.eta),
                    momentum: fields.momentum.unwrap_or(default.momentum),
                    norm_threshold: fields.norm_threshold,
                }))
            }
            Kind::CfgPlusPlus if projects.or(fields.rescale).is_none() => Ok(Self::CfgPlusPlus),
            Kind::Cfg => Err("cfg has no setting but `rescale`"),
            Kind::Apg => Err("apg has no settings but `eta`, `momentum` and `norm_threshold`"),
            Kind::CfgPlusPlus => Err("cfg++ has no settings"),
        }
    }
}

impl Default for Projection {
    fn default() -> Self {
        Self {
            eta: 0.0,
            momentum: -0.5,
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
