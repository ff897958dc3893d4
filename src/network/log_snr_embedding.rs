//! The argument of the sinusoidal embedding of λ.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::NetworkError;

/// How λ becomes the argument of the sinusoidal embedding:
/// t = scale · (max − λ)/(max − min), 0 where the image is clean.
///
/// ADM's embedding was made for t from 0 to 1000, which the default keeps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSnrEmbedding {
    /// λ in nats at which t = scale.
    pub min: f64,
    /// λ in nats at which t = 0.
    pub max: f64,
    /// The range of t.
    pub scale: f64,
}

impl Default for LogSnrEmbedding {
    fn default() -> Self {
        Self {
            min: -20.0,
            max: 20.0,
            scale: 1000.0,
        }
    }
}

impl LogSnrEmbedding {
    pub(super) fn validate(&self) -> Result<(), NetworkError> {
        let finite = [self.min, self.max, self.scale]
            .iter()
            .all(|v| v.is_finite());
        if finite && self.min < self.max && self.scale > 0.0 {
            return Ok(());
        }
        Err(NetworkError::Field {
            field: "log_snr_embedding",
            value: format!("{self:?}"),
            expected: "it needs finite numbers, min < max and scale > 0".to_owned(),
        })
    }

    /// t of a λ.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn time_at(&self, log_snr: f64) -> f64 {
        (self.max - log_snr) * (self.scale / (self.max - self.min))
    }

    /// t of every λ.
    ///
    /// # Shapes
    ///
    /// `log_snr` and the result: `[batch]`.
    pub(super) fn time(&self, log_snr: Tensor<1>) -> Tensor<1> {
        (log_snr.neg() + self.max) * (self.scale / (self.max - self.min))
    }
}
