//! The precision of a training.

use serde::{Deserialize, Serialize};

/// What the network computes in while it trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits throughout.
    #[default]
    F32,
    /// bfloat16: the range of f32 with 8 bits of precision. The loss needs no scaling.
    Bf16,
    /// IEEE half precision, 11 bits: small gradients vanish unless the loss is scaled.
    F16,
}

impl Precision {
    /// As recipes have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}
