//! The policies by name, as settings.

use serde::{Deserialize, Serialize};

/// What is made of the two estimates of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", try_from = "PolicyFields")]
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

/// A policy whose fields may be left out, as requests give it. It is also how [`Policy`] is read, because serde keeps
/// whatever an object with a tag holds, however much, until it has found the tag.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFields {
    /// Which policy; the model's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PolicyKind>,
    /// φ of [`Policy::Cfg`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescale: Option<f64>,
    /// [`Projection::eta`] of [`Policy::Apg`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// [`Projection::momentum`] of [`Policy::Apg`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// [`Projection::norm_threshold`] of [`Policy::Apg`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_threshold: Option<f64>,
}

/// The kinds of [`Policy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyKind {
    /// [`Policy::Cfg`].
    Cfg,
    /// [`Policy::Apg`].
    Apg,
    /// [`Policy::CfgPlusPlus`].
    #[serde(rename = "cfg++")]
    CfgPlusPlus,
}

impl PolicyKind {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Cfg, Self::Apg, Self::CfgPlusPlus];

    /// The name in settings, commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cfg => "cfg",
            Self::Apg => "apg",
            Self::CfgPlusPlus => "cfg++",
        }
    }
}

impl PolicyFields {
    /// The whole policy. Fields that are left out are those of `base` if `kind` is left out too, else the kind's
    /// defaults.
    ///
    /// # Errors
    ///
    /// In words, where a field belongs to another kind.
    pub fn or(self, base: Policy) -> Result<Policy, &'static str> {
        let base = match self.kind {
            None => base,
            Some(PolicyKind::Cfg) => Policy::default(),
            Some(PolicyKind::Apg) => Policy::Apg(Projection::default()),
            Some(PolicyKind::CfgPlusPlus) => Policy::CfgPlusPlus,
        };
        let projects = self.eta.or(self.momentum).or(self.norm_threshold);
        match base {
            Policy::Cfg { rescale } if projects.is_none() => Ok(Policy::Cfg {
                rescale: self.rescale.unwrap_or(rescale),
            }),
            Policy::Apg(base) if self.rescale.is_none() => Ok(Policy::Apg(Projection {
                eta: self.eta.unwrap_or(base.eta),
                momentum: self.momentum.unwrap_or(base.momentum),
                norm_threshold: self.norm_threshold.or(base.norm_threshold),
            })),
            Policy::CfgPlusPlus if projects.or(self.rescale).is_none() => Ok(base),
            Policy::Cfg { .. } => Err("cfg has no setting but `rescale`"),
            Policy::Apg(_) => Err("apg has no settings but `eta`, `momentum` and `norm_threshold`"),
            Policy::CfgPlusPlus => Err("cfg++ has no settings"),
        }
    }
}

impl TryFrom<PolicyFields> for Policy {
    type Error = &'static str;

    fn try_from(fields: PolicyFields) -> Result<Self, &'static str> {
        if fields.kind.is_none() {
            return Err("missing field `kind`");
        }
        fields.or(Self::default())
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
    pub const NAMES: [&str; 3] = [
        PolicyKind::ALL[0].name(),
        PolicyKind::ALL[1].name(),
        PolicyKind::ALL[2].name(),
    ];

    /// The name in settings, commands and files.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The kind, without its parameters.
    pub fn kind(&self) -> PolicyKind {
        match self {
            Self::Cfg { .. } => PolicyKind::Cfg,
            Self::Apg(_) => PolicyKind::Apg,
            Self::CfgPlusPlus => PolicyKind::CfgPlusPlus,
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
