//! The axes: their ranges, ticks and labels.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use super::Point;

/// The axis is logarithmic if the smoothed loss spans more than this factor.
const LOG_SPAN: f64 = 6.0;

/// The range of an axis with its ticks, in the form that the drawing library needs.
pub(super) struct Scale {
    pub(super) range: std::ops::Range<f64>,
    pub(super) ticks: Vec<f64>,
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.clone()
    }
}

/// The loss axis: linear from zero or near the lowest loss, or logarithmic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    high: f64,
    pub(super) logarithmic: bool,
}

impl Axis {
    /// An axis that shows every point of `shown` and nearly all points of `raw`. `None` if there is no point.
    pub(super) fn fit(shown: &[Point], raw: &[Point]) -> Option<Self> {
        let low = shown.iter().map(|p| p.1).reduce(f64::min)?;
        let high = shown.iter().map(|p| p.1).reduce(f64::max)?;
        let logarithmic = low > 0.0 && high / low > LOG_SPAN;
        // The losses of single batches may be extreme. They must not compress the curve.
        let mut sorted: Vec<f64> = raw.iter().map(|p| p.1).collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            sorted
                .get(((sorted.len().max(1) - 1) as f64 * q).round() as usize)
                .copied()
        };
        let low = low.min(quantile(0.005).unwrap_or(low));
        let high = high.max(quantile(0.995).unwrap_or(high));
        if logarithmic && low > 0.0 {
            return Some(Self {
                low: low / 1.1,
                high: high * 1.1,
                logarithmic,
            });
        }
        let pad = if high > low {
            (high - low) * 0.06
        } else {
            high.abs().max(1e-6) * 0.1
        };
        // The axis includes zero if zero is near.
        let low = if low >= 0.0 && low < 0.4 * high {
            0.0
        } else {
            low - pad
        };
        Some(Self {
            low,
            high: high + pad,
            logarithmic: false,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        if self.logarithmic {
            "loss (logarithmic)"
        } else {
            "loss"
        }
    }

    /// The position of a loss on the axis. A loss beyond the axis is placed at its end.
    pub(super) fn position(&self, loss: f64) -> f64 {
        let loss = loss.clamp(self.low, self.high);
        if self.logarithmic { loss.log10() } else { loss }
    }

    pub(super) fn range(&self) -> std::ops::Range<f64> {
        self.position(self.low)..self.position(self.high)
    }

    /// The losses with a grid line and a label.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if !self.logarithmic {
            return linear_ticks(self.low, self.high, 7);
        }
        let decades = self.high.log10() - self.low.log10();
        let steps: &[f64] = match decades {
            d if d > 3.0 => &[1.0],
            d if d > 1.5 => &[1.0, 2.0, 5.0],
            _ => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
        };
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let every = ((last - first) / 8).max(1) as usize;
        (first..=last)
            .step_by(every)
            .flat_map(|exponent| steps.iter().map(move |step| step * 10f64.powi(exponent)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }

    pub(super) fn label(&self, place: f64) -> String {
        let loss = if self.logarithmic {
            10f64.powf(place)
        } else {
            place
        };
        short_number(loss)
    }
}

/// At most about `count` round numbers in `low ..= high`.
pub(super) fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count as f64;
    if rough <= 0.0 || !rough.is_finite() {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .find(|&s| s >= rough)
        .unwrap_or(10.0 * power);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// A loss with three significant digits and without trailing zeros.
pub(super) fn short_number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..6).contains(&magnitude) {
        return format!("{value:.0e}");
    }
    let decimals = (2 - magnitude).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// 500, 2k, 2.5k, 1M.
pub(super) fn short_count(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", short_number(v / 1e6)),
        v if v >= 1e3 => format!("{}k", short_number(v / 1e3)),
        v => short_number(v),
    }
}
