//! Noise levels: the log signal-to-noise ratio λ and the paper's distribution of it.
//!
//! `z_λ = α x + σ ε` with α² = sigmoid(λ) and σ² = sigmoid(−λ), variance preserving
//! (Ho & Salimans 2022, section 2). λ is in nats.

use serde::{Deserialize, Serialize};

/// One noise level, λ = log(α²/σ²) in nats. Large λ is clean, small λ is noise.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct LogSnr(pub f64);

impl LogSnr {
    /// α, the factor on the image: √sigmoid(λ).
    pub fn alpha(self) -> f64 {
        libm::sqrt(sigmoid(self.0))
    }

    /// σ, the factor on the noise: √sigmoid(−λ).
    pub fn sigma(self) -> f64 {
        libm::sqrt(sigmoid(-self.0))
    }
}

/// The logistic function, accurate at both ends.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

/// The range of λ that a model is trained on and sampled over, and the map from u ∈ \[0, 1\] to λ:
/// λ(u) = −2 log tan(a u + b), b = arctan(exp(−λ_max/2)), a = arctan(exp(−λ_min/2)) − b
/// (Ho & Salimans 2022, section 3.1: a truncated hyperbolic secant distribution of λ, the cosine
/// schedule of Nichol & Dhariwal 2021 in continuous time).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSnrRange {
    /// λ at u = 1, pure noise, in nats.
    pub min: f64,
    /// λ at u = 0, the clean image, in nats.
    pub max: f64,
}

impl LogSnrRange {
    /// The paper's range, λ from −20 to 20.
    pub const PAPER: Self = Self {
        min: -20.0,
        max: 20.0,
    };

    /// λ(u) for `u` in \[0, 1\]: u = 0 is clean, u = 1 is noise.
    pub fn log_snr(self, u: f64) -> LogSnr {
        let b = libm::atan(libm::exp(-0.5 * self.max));
        let a = libm::atan(libm::exp(-0.5 * self.min)) - b;
        // The clamp only removes rounding: tan loses digits towards both ends.
        LogSnr((-2.0 * libm::log(libm::tan(a * u + b))).clamp(self.min, self.max))
    }

    /// u(λ), the inverse of [`log_snr`](Self::log_snr).
    pub fn u(self, log_snr: f64) -> f64 {
        let b = libm::atan(libm::exp(-0.5 * self.max));
        let a = libm::atan(libm::exp(-0.5 * self.min)) - b;
        (libm::atan(libm::exp(-0.5 * log_snr)) - b) / a
    }

    /// The levels λ_1 = λ_min < … < λ_T = λ_max of Algorithm 2, equally spaced in u.
    ///
    /// One step is allowed: its only level is λ_min.
    pub fn levels(self, steps: usize) -> Vec<LogSnr> {
        let last = steps.saturating_sub(1).max(1) as f64;
        (0..steps)
            .map(|t| self.log_snr(1.0 - t as f64 / last))
            .collect()
    }

    /// The levels that `steps` equal steps in u start from, of which the last leads to λ_max.
    pub fn starts(self, steps: usize) -> Vec<LogSnr> {
        (0..steps)
            .map(|t| self.log_snr(1.0 - t as f64 / steps as f64))
            .collect()
    }

    /// Whether the range is finite and min < max.
    pub fn is_valid(self) -> bool {
        self.min.is_finite() && self.max.is_finite() && self.min < self.max
    }
}

impl Default for LogSnrRange {
    fn default() -> Self {
        Self::PAPER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_is_preserved() {
        for lambda in [-20.0, -3.0, 0.0, 0.5, 20.0] {
            let l = LogSnr(lambda);
            assert!((l.alpha().powi(2) + l.sigma().powi(2) - 1.0).abs() < 1e-15);
            assert!((2.0 * (l.alpha() / l.sigma()).ln() - lambda).abs() < 1e-12);
        }
    }

    #[test]
    fn the_schedule_meets_its_ends_and_the_cosine_schedule() {
        let range = LogSnrRange::PAPER;
        assert!((range.log_snr(0.0).0 - 20.0).abs() < 1e-9);
        assert!((range.log_snr(1.0).0 + 20.0).abs() < 1e-9);
        // Between the ends it is Nichol & Dhariwal's cosine schedule, α = cos(πu/2), but for the
        // truncation.
        for u in [0.1, 0.3, 0.5, 0.8] {
            let alpha = range.log_snr(u).alpha();
            assert!((alpha - (std::f64::consts::FRAC_PI_2 * u).cos()).abs() < 1e-4);
        }
    }

    #[test]
    fn u_is_the_inverse() {
        for lambda in [-19.0, -3.0, 0.0, 4.5, 19.0] {
            let u = LogSnrRange::PAPER.u(lambda);
            assert!((LogSnrRange::PAPER.log_snr(u).0 - lambda).abs() < 1e-9);
        }
    }

    #[test]
    fn levels_rise_from_noise_to_clean() {
        let levels = LogSnrRange::PAPER.levels(64);
        assert_eq!(levels.len(), 64);
        assert!(levels.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(levels[0].0, -20.0);
        assert_eq!(levels[63].0, 20.0);
        assert_eq!(LogSnrRange::PAPER.levels(1), vec![LogSnr(-20.0)]);
    }
}
