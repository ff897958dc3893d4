//! The distribution of noise levels in training.

use serde::{Deserialize, Serialize};

use super::{Part, stream};
use crate::noise_level::{LogSnr, LogSnrRange};

/// A distribution of noise levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// Independent u ~ U\[0, 1\] and λ(u), as in the paper.
    Uniform,
    /// Stratified: one u in each of `batch` equal parts of \[0, 1\]. Every single u is uniform, and the loss has less
    /// variance (the low-discrepancy sampler of Kingma et al. 2021, appendix I).
    #[default]
    Stratified,
    /// ln σ ~ N(mean, std²) for EDM's σ (Karras et al. 2022, table 1), the ratio of noise to signal: λ = −2 ln σ, clipped
    /// to the range of λ. See [`LogNormal`].
    LogNormal,
}

/// The distribution of ln σ under [`Levels::LogNormal`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogNormal {
    /// P_mean of EDM.
    pub mean: f64,
    /// P_std of EDM.
    pub std: f64,
}

impl Default for LogNormal {
    /// EDM's values for CIFAR-10, FFHQ and ImageNet 64×64.
    fn default() -> Self {
        Self {
            mean: -1.2,
            std: 1.2,
        }
    }
}

impl LogNormal {
    /// Whether the mean is finite and the deviation positive and finite.
    pub fn is_valid(self) -> bool {
        self.mean.is_finite() && self.std.is_finite() && self.std > 0.0
    }
}

impl Levels {
    /// λ of each image of a part of a batch.
    pub(super) fn draw(
        self,
        part: &Part,
        range: LogSnrRange,
        log_normal: LogNormal,
    ) -> Vec<LogSnr> {
        let first = part.images.start;
        let mut levels = part.stream(stream::LEVELS);
        if self == Self::LogNormal {
            let mut normal = vec![0f32; part.images.len()];
            levels.fill_normal_from(first as u64, &mut normal);
            return normal
                .into_iter()
                .map(|n| -2.0 * (log_normal.mean + log_normal.std * f64::from(n)))
                .map(|log_snr| LogSnr(log_snr.clamp(range.min, range.max)))
                .collect();
        }
        levels.skip(2 * first as u64);
        part.images
            .clone()
            .map(|i| match self {
                Self::Stratified => (i as f64 + levels.uniform()) / part.batch as f64,
                _ => levels.uniform(),
            })
            .map(|u| range.log_snr(u))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stratified_levels_fall_into_every_part() {
        let part = Part::whole(1, 0, 64);
        let drawn = Levels::Stratified.draw(&part, LogSnrRange::PAPER, LogNormal::default());
        assert!(drawn.windows(2).all(|w| w[0].0 > w[1].0));
    }

    #[test]
    fn the_logarithm_of_edms_sigma_is_normal() {
        let count = 20_000;
        let part = Part::whole(1, 0, count);
        let log_normal = LogNormal::default();
        let drawn = Levels::LogNormal.draw(&part, LogSnrRange::PAPER, log_normal);
        // σ of EDM is that of z/α.
        let log_sigma = |l: &LogSnr| libm::log(l.sigma() / l.alpha());
        let mean = drawn.iter().map(log_sigma).sum::<f64>() / count as f64;
        let square = |l: &LogSnr| (log_sigma(l) - mean).powi(2);
        let deviation = (drawn.iter().map(square).sum::<f64>() / count as f64).sqrt();
        let error = 5.0 * 1.2 / (count as f64).sqrt();
        assert!((mean + 1.2).abs() < error, "{mean}");
        assert!((deviation - 1.2).abs() < error, "{deviation}");
        let narrow = LogSnrRange { min: 0.0, max: 1.0 };
        let drawn = Levels::LogNormal.draw(&part, narrow, log_normal);
        assert!(drawn.iter().all(|l| (0.0..=1.0).contains(&l.0)));
    }

    #[test]
    fn a_part_has_the_levels_that_it_has_in_the_whole() {
        for levels in [Levels::Uniform, Levels::Stratified, Levels::LogNormal] {
            let draw = |images| {
                let part = Part {
                    images,
                    ..Part::whole(4, 9, 12)
                };
                levels.draw(&part, LogSnrRange::PAPER, LogNormal::default())
            };
            assert_eq!(draw(5..12), draw(0..12)[5..], "{levels:?}");
        }
    }
}
