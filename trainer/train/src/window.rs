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
    /// A window that starts now.
    pub fn new() -> Self {
        Self {
            losses: Vec::new(),
            norm: None,
            last_norm: 0.0,
            since: Instant::now(),
            before: Waits::default(),
        }
    }

    /// Records a step.
    pub fn add(&mut self, stepped: Stepped) {
        self.losses.push(stepped.loss);
        self.norm = stepped.norm.or(self.norm.take());
    }

    /// Excludes the time since the last line from the speed, because it was spent on something else.
    pub fn restart_clock(&mut self) {
        self.since = Instant::now();
    }

    /// Reads the window's mean loss from the device and starts the next window.
    pub fn close(
        &mut self,
        step: u64,
        learning_rate: f64,
        batch: usize,
        waits: Waits,
    ) -> Result<Metric> {
        let count = self.losses.len();
        let read = |t: Tensor<1>| t.try_into_data().map(|d| d.iter::<f64>().sum::<f64>());
        let losses = Tensor::cat(std::mem::take(&mut self.losses), 0);
        let sum = read(losses).context("the device failed")?;
        // If every step of the window overflowed f16 and was skipped, the previous norm is reported.
        if let Some(norm) = self.norm.take() {
            self.last_norm = read(norm).context("the device failed")?;
        }
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
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
