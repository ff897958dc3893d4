//! Discrete time (Ho et al. 2020) on the axis of λ: what a network that was trained on timesteps
//! t = 0 … N − 1 has to be told where this crate says λ.
//!
//! A schedule of variances β_t has ᾱ_t = ∏ (1 − β_s) over s ≤ t, and so the noise levels
//! λ_t = log(ᾱ_t/(1 − ᾱ_t)), which fall with t. At one of these levels the network is handed
//! exactly t, and between two of them what lies between.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounded;
use crate::noise_level::{LogSnr, LogSnrRange};

/// The most timesteps of a schedule.
pub const MAX_TIMESTEPS: usize = 10_000;

/// log ᾱ in the place of that of a last ᾱ of 0 (zero terminal signal-to-noise ratio, Lin et al.
/// 2023), whose λ is finite: ᾱ = 2⁻³². Rescaled schedules come down to some 2⁻²⁸ at the timestep before.
const NO_SIGNAL: f64 = -32.0 * std::f64::consts::LN_2;

/// The variances β_t of the steps of a diffusion in discrete time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[serde(try_from = "Fields")]
pub enum Betas {
    /// β rises evenly (Ho et al. 2020): from 10⁻⁴ to 0.02 over 1000 steps.
    Linear {
        /// β of the first step.
        start: f64,
        /// β of the last step.
        end: f64,
    },
    /// √β rises evenly (Rombach et al. 2022).
    ScaledLinear {
        /// β of the first step.
        start: f64,
        /// β of the last step.
        end: f64,
    },
    /// ᾱ(u) = cos²(π/2 · (u + 0.008)/1.008), and β at most 0.999 (Nichol & Dhariwal 2021).
    SquaredCosine,
    /// Flow matching (Lipman et al. 2023; Liu et al. 2023): at timestep t the network was shown (1 − s) x + s ε with
    /// s = t/(N − 1), so that ᾱ = (1 − s)²/((1 − s)² + s²). At t = 0, where no noise is left, s is half a timestep.
    Flow,
    /// β of every step.
    List {
        /// From the first step to the last; as many as there are timesteps.
        values: Vec<f64>,
    },
}

/// The fields of [`Betas`] as they are read: serde keeps whatever an object with a tag holds, however much, until it
/// has found the tag.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    kind: Kind,
    start: Option<f64>,
    end: Option<f64>,
    #[serde(
        default,
        deserialize_with = "bounded::some_list::<MAX_TIMESTEPS, _, _>"
    )]
    values: Option<Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Linear,
    ScaledLinear,
    SquaredCosine,
    Flow,
    List,
}

impl TryFrom<Fields> for Betas {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, &'static str> {
        match (fields.kind, fields.start, fields.end, fields.values) {
            (Kind::Linear, Some(start), Some(end), None) => Ok(Self::Linear { start, end }),
            (Kind::ScaledLinear, Some(start), Some(end), None) => {
                Ok(Self::ScaledLinear { start, end })
            }
            (Kind::SquaredCosine, None, None, None) => Ok(Self::SquaredCosine),
            (Kind::Flow, None, None, None) => Ok(Self::Flow),
            (Kind::List, None, None, Some(values)) => Ok(Self::List { values }),
            (Kind::Linear | Kind::ScaledLinear, ..) => {
                Err("linear and scaled-linear betas have a `start` and an `end`, and no `values`")
            }
            (Kind::SquaredCosine, ..) => Err("squared-cosine betas have no field but `kind`"),
            (Kind::Flow, ..) => Err("flow betas have no field but `kind`"),
            (Kind::List, ..) => Err("a list of betas has `values`, and no `start` or `end`"),
        }
    }
}

/// A schedule in discrete time, and how its timesteps are shown to the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timesteps {
    /// N, the number of timesteps, 1000 as a rule.
    pub count: usize,
    /// The variances.
    pub betas: Betas,
    /// What the network sees of timestep t is `scale` · t.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: f64,
}

fn one() -> f64 {
    1.0
}

fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

/// Why a schedule makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct TimestepsError(String);

impl Timesteps {
    /// β of every step.
    fn betas(&self) -> Vec<f64> {
        let last = self.count.saturating_sub(1).max(1) as f64;
        let even = |start: f64, end: f64| {
            (0..self.count).map(move |t| start + (end - start) * t as f64 / last)
        };
        match &self.betas {
            Betas::Linear { start, end } => even(*start, *end).collect(),
            Betas::ScaledLinear { start, end } => even(libm::sqrt(*start), libm::sqrt(*end))
                .map(|root| root * root)
                .collect(),
            Betas::SquaredCosine => {
                let alpha_bar = |u: f64| {
                    let cosine = libm::cos((u + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2);
                    cosine * cosine
                };
                let part = |t: usize| t as f64 / self.count as f64;
                (0..self.count)
                    .map(|t| (1.0 - alpha_bar(part(t + 1)) / alpha_bar(part(t))).min(0.999))
                    .collect()
            }
            Betas::Flow => {
                let odds = |t: usize| {
                    let s = (t as f64).max(0.5) / last;
                    s / (1.0 - s)
                };
                // 1 − ᾱ = o²/(1 + o²) of the odds o = s/(1 − s): the ratio of two ᾱ without cancellation.
                let first = odds(0) * odds(0);
                let rest = (1..self.count).map(|t| {
                    let (before, here) = (odds(t - 1) * odds(t - 1), odds(t) * odds(t));
                    match here.is_finite() {
                        true => (here - before) / (1.0 + here),
                        false => 1.0,
                    }
                });
                std::iter::once(first / (1.0 + first)).chain(rest).collect()
            }
            Betas::List { values } => values.clone(),
        }
    }

    /// λ_t = log(ᾱ_t/(1 − ᾱ_t)) in nats of every timestep, from t = 0, falling.
    pub fn levels(&self) -> Vec<LogSnr> {
        let mut log_alpha_bar = 0.0;
        self.betas()
            .into_iter()
            .map(|beta| {
                log_alpha_bar += libm::log1p(-beta);
                let log = match log_alpha_bar.is_finite() {
                    true => log_alpha_bar,
                    false => NO_SIGNAL,
                };
                // Without cancellation at either end: 1 − ᾱ = −expm1(log ᾱ).
                LogSnr(log - libm::log(-libm::expm1(log)))
            })
            .collect()
    }

    /// The range of λ from the last timestep to the first.
    pub fn range(&self) -> LogSnrRange {
        let levels = self.levels();
        let end = |level: Option<&LogSnr>| level.map_or(f64::NAN, |level| level.0);
        LogSnrRange {
            min: end(levels.last()),
            max: end(levels.first()),
        }
    }

    /// Checks that λ falls from each timestep to the next, also once it is rounded to the 32-bit
    /// floats in which networks compute.
    ///
    /// # Errors
    ///
    /// [`TimestepsError`], which names the field.
    pub fn validate(&self) -> Result<(), TimestepsError> {
        let error = |what: String| Err(TimestepsError(what));
        if !(2..=MAX_TIMESTEPS).contains(&self.count) {
            return error(format!(
                "count is {}, and must be from 2 to {MAX_TIMESTEPS}",
                self.count
            ));
        }
        if let Betas::List { values } = &self.betas
            && values.len() != self.count
        {
            return error(format!(
                "betas has {} values where count is {}",
                values.len(),
                self.count
            ));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return error(format!("scale is {}, and must be above 0", self.scale));
        }
        let betas = self.betas();
        // 1 is possible in the last step alone: no signal is left after it.
        let possible =
            |t: usize, beta: f64| beta > 0.0 && (beta < 1.0 || beta == 1.0 && t + 1 == self.count);
        if let Some(t) = (0..self.count).find(|&t| !possible(t, betas[t])) {
            return error(format!(
                "beta of timestep {t} is {}, and must be above 0 and below 1",
                betas[t]
            ));
        }
        let levels: Vec<f32> = self.levels().iter().map(|l| l.0 as f32).collect();
        match levels.windows(2).position(|pair| pair[0] <= pair[1]) {
            Some(t) => error(format!(
                "the noise levels of the timesteps {t} and {} cannot be told apart",
                t + 1
            )),
            None => Ok(()),
        }
    }

    /// What the network is to be shown, ready for use.
    pub(crate) fn table(&self) -> TimestepTable {
        let levels: Vec<f32> = self.levels().iter().map(|l| l.0 as f32).collect();
        TimestepTable {
            starts: levels[..levels.len().saturating_sub(1)].to_vec(),
            // From the rounded levels, whose differences are exact: at level t the sum is t.
            slopes: levels
                .windows(2)
                .map(|pair| 1.0 / (pair[0] - pair[1]))
                .collect(),
            scale: self.scale,
        }
    }
}

/// The piecewise linear map from λ to the timestep, `scale` · t.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimestepTable {
    /// λ at which the step from t to t + 1 begins.
    starts: Vec<f32>,
    /// Timesteps a nat between t and t + 1.
    slopes: Vec<f32>,
    scale: f64,
}

impl TimestepTable {
    /// [`timestep`](Self::timestep) of one λ.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(crate) fn timestep_at(&self, log_snr: f64) -> f64 {
        let steps = self.starts.iter().zip(&self.slopes);
        let steps = steps.map(|(&start, &slope)| {
            ((f64::from(start) - log_snr) * f64::from(slope)).clamp(0.0, 1.0)
        });
        steps.sum::<f64>() * self.scale
    }

    /// The timestep of every λ: t = Σ clamp((λ_t − λ)/(λ_t − λ_{t+1}), 0, 1), 0 above λ_0 and
    /// N − 1 below the last level.
    ///
    /// # Shapes
    ///
    /// `log_snr` and the result: `[batch]`.
    pub(crate) fn timestep(&self, log_snr: Tensor<1>) -> Tensor<1> {
        let device = log_snr.device();
        let row = |values: &[f32]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [1, values.len()]), &device)
        };
        let beyond = row(&self.starts) - log_snr.unsqueeze_dim::<2>(1);
        let steps = (beyond * row(&self.slopes)).clamp(0.0, 1.0);
        steps.sum_dim(1).squeeze_dim::<1>(1) * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn schedules() -> [Timesteps; 5] {
        let of = |count, betas| Timesteps {
            count,
            betas,
            scale: 1.0,
        };
        [
            of(
                1000,
                Betas::Linear {
                    start: 1e-4,
                    end: 0.02,
                },
            ),
            of(
                1000,
                Betas::ScaledLinear {
                    start: 8.5e-4,
                    end: 0.012,
                },
            ),
            of(1000, Betas::SquaredCosine),
            of(1001, Betas::Flow),
            of(
                3,
                Betas::List {
                    values: vec![0.1, 0.5, 1.0],
                },
            ),
        ]
    }

    /// ᾱ = sigmoid(λ) is the product of 1 − β.
    #[test]
    fn levels_are_those_of_the_product() {
        for schedule in schedules() {
            assert_eq!(schedule.validate(), Ok(()));
            let mut product = 1.0;
            for (t, (level, beta)) in schedule.levels().iter().zip(schedule.betas()).enumerate() {
                product *= 1.0 - beta;
                let alpha_bar = level.alpha().powi(2);
                let expected = if product > 0.0 {
                    product
                } else {
                    NO_SIGNAL.exp()
                };
                assert!(
                    (alpha_bar / expected - 1.0).abs() < 1e-9,
                    "{schedule:?} {t}"
                );
            }
        }
        // Ho et al. 2020: ᾱ of the last of 1000 steps is 4.0e-5.
        let last = schedules()[0].range().min;
        assert!((LogSnr(last).alpha().powi(2) - 4.0358e-5).abs() < 1e-9);
    }

    #[test]
    fn every_level_is_its_timestep_and_the_middle_is_between() {
        let device = Device::flex();
        for schedule in schedules() {
            let levels = schedule.levels();
            let timestep = |log_snr: Vec<f32>| -> Vec<f32> {
                let count = log_snr.len();
                let log_snr = Tensor::from_data(TensorData::new(log_snr, [count]), &device);
                schedule
                    .table()
                    .timestep(log_snr)
                    .into_data()
                    .iter()
                    .collect()
            };
            let found = timestep(levels.iter().map(|l| l.0 as f32).collect());
            for (t, found) in found.into_iter().enumerate() {
                assert!(
                    (f64::from(found) - t as f64).abs() < 1e-4,
                    "{schedule:?} {t} {found}"
                );
            }
            let middles = levels.windows(2).map(|p| ((p[0].0 + p[1].0) / 2.0) as f32);
            for (t, found) in timestep(middles.collect()).into_iter().enumerate() {
                assert!(
                    (f64::from(found) - t as f64 - 0.5).abs() < 5e-3,
                    "{schedule:?} {t} {found}"
                );
            }
            let last = (schedule.count - 1) as f32;
            assert_eq!(timestep(vec![50.0, -50.0]), [0.0, last]);
        }
    }

    /// λ = 2 ln((1 − s)/s).
    #[test]
    fn flow_is_the_straight_line() {
        let flow = &schedules()[3];
        let levels = flow.levels();
        for t in [1usize, 2, 250, 500, 998, 999] {
            let s = t as f64 / 1000.0;
            let expected = 2.0 * ((1.0 - s) / s).ln();
            assert!(
                (levels[t].0 - expected).abs() < 1e-6,
                "{t}: {}",
                levels[t].0
            );
        }
        assert!((levels[1000].alpha().powi(2).log2() + 32.0).abs() < 1e-6);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let error = |change: fn(&mut Timesteps)| {
            let mut schedule = schedules()[0].clone();
            change(&mut schedule);
            schedule.validate().unwrap_err().to_string()
        };
        assert!(error(|s| s.count = 1).contains("count is 1"));
        assert!(error(|s| s.scale = 0.0).contains("scale is 0"));
        assert!(
            error(|s| s.betas = Betas::Linear {
                start: 0.0,
                end: 0.1
            })
            .contains("timestep 0")
        );
        assert!(
            error(|s| s.betas = Betas::Linear {
                start: 0.1,
                end: 1.1
            })
            .contains("below 1")
        );
        assert!(error(|s| s.betas = Betas::List { values: vec![0.1] }).contains("1 values"));
        let tiny = error(|s| {
            s.betas = Betas::Linear {
                start: 0.1,
                end: 1e-12,
            }
        });
        assert!(tiny.contains("cannot be told apart"), "{tiny}");
    }
}
