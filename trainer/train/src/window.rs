//! Averages over the steps since the last line of metrics.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::tensor::Tensor;

use crate::metric::Metric;
use crate::step::Stepped;

/// Losses that are still on the device, so that the host does not wait for it in every step.
pub struct Window {
    losses: Vec<Tensor<1>>,
    norm: Option<Tensor<1>>,
    last_norm: f64,
    since: Instant,
    before: Waits,
}

/// How long the loop has waited since it started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waits {
    /// For data.
    pub data: Duration,
    /// For the other ranks, if there are any.
    pub ranks: Option<Duration>,
}

impl Window {
    /// A window that starts at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            losses: Vec::new(),
            norm: None,
            last_norm: 0.0,
            since: now,
            before: Waits::default(),
        }
    }

    /// Records a step.
    pub fn add(&mut self, stepped: Stepped) {
        self.losses.push(stepped.loss);
        self.norm = stepped.norm.or(self.norm.take());
    }

    /// Excludes the time from `begun` to `ended` from the speed, because it was spent on something else than steps, such as
    /// a checkpoint or samples.
    pub fn leave_out(&mut self, begun: Instant, ended: Instant) {
        self.since += ended.saturating_duration_since(begun);
    }

    /// Reads the window's mean loss from the device and starts the next window.
    pub fn close(
        &mut self,
        step: u64,
        learning_rate: f64,
        batch: usize,
        waits: Waits,
        now: impl FnOnce() -> Instant,
    ) -> Result<Metric> {
        let count = self.losses.len();
        let read = |t: Tensor<1>| t.try_into_data().map(|d| d.iter::<f64>().sum::<f64>());
        let losses = Tensor::cat(std::mem::take(&mut self.losses), 0);
        let sum = read(losses).context("the device failed")?;
        // If every step of the window overflowed f16 and was skipped, the previous norm is reported.
        if let Some(norm) = self.norm.take() {
            self.last_norm = read(norm).context("the device failed")?;
        }
        // Reading the losses has waited for the device to take the steps.
        let now = now();
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = now;
        let before = std::mem::replace(&mut self.before, waits);
        let share = |now: Duration, then: Duration| {
            (now.saturating_sub(then).as_secs_f64() / seconds).min(1.0)
        };
        Ok(Metric {
            step,
            loss: sum / count as f64,
            learning_rate,
            gradient_norm: self.last_norm,
            images_per_second: (count * batch) as f64 / seconds,
            idle: share(waits.data, before.data),
            exchange: waits
                .ranks
                .map(|now| share(now, before.ranks.unwrap_or_default())),
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn only_steps_count_as_time_of_training() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut window = Window::new(begun);
        let close = |window: &mut Window, seconds| {
            let loss = Tensor::ones([1], &Device::flex());
            window.add(Stepped {
                loss,
                norm: None,
                stopping: false,
            });
            let metric = window.close(1, 0.1, 12, Waits::default(), || at(seconds));
            metric.unwrap().images_per_second
        };
        // A step of three seconds, ten of a checkpoint, another step of three seconds.
        assert_eq!(close(&mut window, 3), 4.0);
        window.leave_out(at(3), at(13));
        assert_eq!(close(&mut window, 16), 4.0);
    }
}
