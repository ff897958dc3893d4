//! The noise levels that a solver visits.

use serde::{Deserialize, Serialize};

use crate::noise_level::{LogSnr, LogSnrRange};

/// How the levels of a run are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// Equally in u (Ho & Salimans 2022, Algorithm 2), for 64 steps and more: of few steps the
    /// first and the last span some 14 nats each.
    #[default]
    UniformU,
    /// Equally in λ.
    UniformLambda,
    /// Equally in (σ/α)^{1/ρ} (Karras et al. 2022, equation 5): dense where the image is nearly
    /// clean.
    Karras,
    /// The timesteps 0, N/T, 2N/T … with N/T rounded down, of a model that was trained on timesteps
    /// 0 … N − 1 (Song et al. 2020, the linear choice; what diffusers calls leading).
    Leading,
    /// Such a model's timesteps N − 1, N − 1 − N/T … (Lin et al. 2023, table 2; what diffusers calls
    /// trailing), so that sampling begins where the noise is all there is.
    Trailing,
}

impl Spacing {
    /// Every spacing, in the order in which they are offered.
    pub const ALL: [Self; 5] = [
        Self::UniformU,
        Self::UniformLambda,
        Self::Karras,
        Self::Leading,
        Self::Trailing,
    ];

    /// The name in settings, commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UniformU => "uniform-u",
            Self::UniformLambda => "uniform-lambda",
            Self::Karras => "karras",
            Self::Leading => "leading",
            Self::Trailing => "trailing",
        }
    }

    /// Whether it is one of timesteps, which not all models have.
    pub fn is_of_timesteps(self) -> bool {
        matches!(self, Self::Leading | Self::Trailing)
    }

    /// The timesteps, of `count`, that `steps` steps visit, from noise to clean; none where the
    /// spacing is not one of timesteps. `steps` is at most `count`.
    pub fn timesteps(self, count: usize, steps: usize) -> Option<Vec<usize>> {
        let ratio = count as f64 / steps.max(1) as f64;
        let trailing = |step: usize| {
            let left = (count as f64 - ratio * step as f64).round_ties_even() as usize;
            left.saturating_sub(1)
        };
        match self {
            Self::Leading => Some((0..steps).rev().map(|k| k * (count / steps)).collect()),
            Self::Trailing => Some((0..steps).map(trailing).collect()),
            _ => None,
        }
    }
}

/// The levels of a run: λ_1 < … < λ_T.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// How they are spread.
    #[serde(default)]
    pub spacing: Spacing,
    /// From λ_1 to λ_T, in nats, within the model's own range. Unless given: with `uniform-u` the
    /// model's, with the others what of it lies within [`FEW_STEPS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_snr: Option<LogSnrRange>,
    /// ρ of `karras`.
    #[serde(default = "default_rho", skip_serializing_if = "is_default_rho")]
    pub rho: f64,
    /// Whether a solver of second order takes its last step, to λ_T, in first order. On
    /// `uniform-u` that step is so long that it overshoots otherwise.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub lower_order_last: bool,
}

/// A grid whose fields may be left out, as requests give it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridFields {
    /// [`Grid::spacing`]; that of the model's or of the solver's own grid if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Spacing>,
    /// [`Grid::log_snr`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_snr: Option<LogSnrRange>,
    /// [`Grid::rho`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    /// [`Grid::lower_order_last`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_order_last: Option<bool>,
}

impl GridFields {
    /// The whole grid. Fields that are left out are those of `base` if `spacing` is left out too, else the defaults.
    pub fn or(self, base: Grid) -> Grid {
        let base = self.spacing.map_or(base, Grid::new);
        Grid {
            spacing: base.spacing,
            log_snr: self.log_snr.or(base.log_snr),
            rho: self.rho.unwrap_or(base.rho),
            lower_order_last: self.lower_order_last.unwrap_or(base.lower_order_last),
        }
    }
}

/// The range that few steps are best spent on: σ/α from 80 down to 0.002, in λ = −2 log(σ/α)
/// (Karras et al. 2022, table 1).
pub const FEW_STEPS: LogSnrRange = LogSnrRange {
    min: -8.764_053_269_347_762,
    max: 12.429_216_196_844_383,
};

/// The largest ρ that is taken. Karras et al. use 7.
pub const MAX_RHO: f64 = 100.0;

fn default_rho() -> f64 {
    7.0
}
fn is_default_rho(rho: &f64) -> bool {
    *rho == default_rho()
}
fn yes() -> bool {
    true
}
fn is_yes(value: &bool) -> bool {
    *value
}

impl Default for Grid {
    fn default() -> Self {
        Self::new(Spacing::default())
    }
}

impl Grid {
    /// A grid of this spacing, the rest by default.
    pub fn new(spacing: Spacing) -> Self {
        Self {
            spacing,
            log_snr: None,
            rho: default_rho(),
            lower_order_last: true,
        }
    }

    /// The same grid over this range of λ.
    pub fn over(mut self, log_snr: LogSnrRange) -> Self {
        self.log_snr = Some(log_snr);
        self
    }

    /// The range that is sampled of a model that was trained on `trained`.
    pub fn range(&self, trained: LogSnrRange) -> LogSnrRange {
        let narrow = LogSnrRange {
            min: trained.min.max(FEW_STEPS.min),
            max: trained.max.min(FEW_STEPS.max),
        };
        match (self.log_snr, self.spacing) {
            (Some(range), _) => range,
            (None, Spacing::UniformLambda | Spacing::Karras) if narrow.is_valid() => narrow,
            (None, _) => trained,
        }
    }

    /// The levels of a run of `steps` steps, from noise to clean. One step is allowed: its only
    /// level is λ_1.
    pub fn levels(&self, trained: LogSnrRange, steps: usize) -> Vec<LogSnr> {
        let range = self.range(trained);
        let last = steps.saturating_sub(1).max(1) as f64;
        let between = |from: f64, to: f64, t: usize| from + (to - from) * (t as f64 / last);
        // The clamp only removes rounding.
        let clamp = |lambda: f64| LogSnr(lambda.clamp(range.min, range.max));
        match self.spacing {
            // A plan has the levels of timesteps, where the model has any.
            Spacing::UniformU | Spacing::Leading | Spacing::Trailing => {
                // Equally in the u of the model's own schedule; the ends exactly.
                let (noise, clean) = (trained.u(range.min), trained.u(range.max));
                let inner = |t| clamp(trained.log_snr(between(noise, clean, t)).0);
                self.with_ends(range, steps, inner)
            }
            Spacing::UniformLambda => (0..steps)
                .map(|t| clamp(between(range.min, range.max, t)))
                .collect(),
            Spacing::Karras => {
                // σ/α = e^{−λ/2}.
                let root = |lambda: f64| libm::exp(-0.5 * lambda / self.rho);
                let (noise, clean) = (root(range.min), root(range.max));
                let inner = |t| clamp(-2.0 * self.rho * libm::log(between(noise, clean, t)));
                self.with_ends(range, steps, inner)
            }
        }
    }

    /// The levels between the ends of the range, which are themselves.
    fn with_ends(
        &self,
        range: LogSnrRange,
        steps: usize,
        inner: impl Fn(usize) -> LogSnr,
    ) -> Vec<LogSnr> {
        (0..steps)
            .map(|t| match t {
                0 => LogSnr(range.min),
                t if t + 1 == steps => LogSnr(range.max),
                t => inner(t),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_papers() {
        for range in [
            LogSnrRange::PAPER,
            LogSnrRange {
                min: -15.0,
                max: 15.0,
            },
        ] {
            for steps in [1, 2, 5, 32, 256] {
                assert_eq!(Grid::default().levels(range, steps), range.levels(steps));
            }
        }
    }

    #[test]
    fn every_grid_rises_from_end_to_end() {
        let range = LogSnrRange {
            min: -6.0,
            max: 7.0,
        };
        for spacing in Spacing::ALL.into_iter().filter(|s| !s.is_of_timesteps()) {
            let levels = Grid::new(spacing)
                .over(range)
                .levels(LogSnrRange::PAPER, 20);
            assert_eq!((levels[0].0, levels[19].0), (-6.0, 7.0), "{spacing:?}");
            assert!(levels.windows(2).all(|w| w[0] < w[1]), "{levels:?}");
            let one = Grid::new(spacing).over(range).levels(LogSnrRange::PAPER, 1);
            assert_eq!(one, [LogSnr(-6.0)]);
        }
    }

    #[test]
    fn the_spacings_are_what_they_are_called() {
        let range = LogSnrRange::PAPER;
        let gaps = |of: &dyn Fn(LogSnr) -> f64, grid: Grid| -> (f64, f64) {
            let at: Vec<f64> = grid.levels(range, 12).into_iter().map(of).collect();
            let gaps = at.windows(2).map(|w| w[1] - w[0]);
            gaps.fold((f64::MAX, f64::MIN), |(a, b), g| (a.min(g), b.max(g)))
        };
        let (low, high) = gaps(&|l| l.0, Grid::new(Spacing::UniformLambda));
        assert!((high - low).abs() < 1e-9);
        let karras = Grid {
            rho: 5.0,
            ..Grid::new(Spacing::Karras)
        };
        let (low, high) = gaps(&|l| (l.sigma() / l.alpha()).powf(0.2), karras);
        assert!((high - low).abs() < 1e-9, "{low} {high}");
        // Karras et al. 2022: from 80 to 0.002.
        let ends = Grid::new(Spacing::Karras).levels(range, 2);
        let ratio = |l: LogSnr| l.sigma() / l.alpha();
        assert!((ratio(ends[0]) / 80.0 - 1.0).abs() < 1e-9);
        assert!((ratio(ends[1]) / 0.002 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn timesteps_are_those_of_diffusers() {
        let of = |spacing: Spacing, count, steps| spacing.timesteps(count, steps).unwrap();
        // diffusers 0.42, DDIMScheduler.set_timesteps.
        assert_eq!(of(Spacing::Leading, 1000, 4), [750, 500, 250, 0]);
        assert_eq!(of(Spacing::Trailing, 1000, 4), [999, 749, 499, 249]);
        assert_eq!(of(Spacing::Leading, 1000, 3), [666, 333, 0]);
        assert_eq!(of(Spacing::Trailing, 1000, 3), [999, 666, 332]);
        assert_eq!(of(Spacing::Trailing, 5, 2), [4, 1]);
        for spacing in [Spacing::Leading, Spacing::Trailing] {
            for steps in 1..=50 {
                let visited = of(spacing, 50, steps);
                assert_eq!(visited.len(), steps);
                assert!(visited.windows(2).all(|w| w[0] > w[1]), "{visited:?}");
            }
        }
        assert_eq!(Spacing::Karras.timesteps(1000, 4), None);
    }

    #[test]
    fn a_grid_stays_within_what_the_model_was_trained_on() {
        let trained = LogSnrRange {
            min: -5.0,
            max: 30.0,
        };
        let range = Grid::new(Spacing::Karras).range(trained);
        assert_eq!((range.min, range.max), (-5.0, FEW_STEPS.max));
        assert_eq!(Grid::default().range(trained), trained);
    }
}
