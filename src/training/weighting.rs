//! The weighting of the squared error over noise levels.

use serde::{Deserialize, Serialize};

use crate::noise_level::LogSnr;
use crate::prediction::Target;

/// A weighting of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// 1: the plain squared error of the target, as in the paper.
    #[default]
    Uniform,
    /// Min-SNR with γ = 5 (Hang et al. 2023): the error of x, with weights min(SNR, γ).
    MinSnr,
}

/// γ of min-SNR weighting, as its paper recommends.
const MIN_SNR_GAMMA: f64 = 5.0;

impl Weighting {
    /// The factor on the squared error of `target` at one noise level.
    pub fn weight(self, target: Target, level: LogSnr) -> f64 {
        match self {
            Self::Uniform => 1.0,
            Self::MinSnr => {
                let snr = libm::exp(level.0);
                snr.min(MIN_SNR_GAMMA) / target.error_factor(level)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_snr_weights_the_same_error_alike_on_all_targets() {
        for lambda in [-5.0, 0.0, 1.0, 6.0] {
            let level = LogSnr(lambda);
            let epsilon = Weighting::MinSnr.weight(Target::Epsilon, level) * lambda.exp();
            let v = Weighting::MinSnr.weight(Target::V, level) * (lambda.exp() + 1.0);
            assert!((epsilon - v).abs() < 1e-9 * v);
            for other in [Target::Velocity, Target::Edm] {
                let weight = Weighting::MinSnr.weight(other, level);
                assert!((weight * other.error_factor(level) - v).abs() < 1e-9 * v);
            }
            // All are the weight of the error of x.
            assert!((v - lambda.exp().min(5.0)).abs() < 1e-9 * v);
        }
    }
}
