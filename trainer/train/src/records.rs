//! What is written and shown of a training while it runs.

use std::time::Instant;

use anyhow::{Result, bail};
use freeguide_data::Warning;

use crate::events::Events;
use crate::loss_curve::LossCurve;
use crate::metric::Metric;
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::state::diverged;
use crate::step::Stepped;
use crate::window::{Waits, Window};

/// The records of a training. The first rank alone has `events`, and alone writes files.
pub struct Records {
    folder: RunFolder,
    /// Images a step.
    batch: usize,
    events: Option<Events>,
    progress: Progress,
    window: Window,
    metrics: Vec<Metric>,
}

impl Records {
    /// Records that begin now, after those in `metrics`.
    pub fn new(
        folder: RunFolder,
        batch: usize,
        events: Option<Events>,
        progress: Progress,
        metrics: Vec<Metric>,
    ) -> Self {
        Self {
            folder,
            batch,
            events,
            progress,
            window: Window::new(Instant::now()),
            metrics,
        }
    }

    /// Takes note of the step that makes `step`, and of what was wrong with the data meanwhile.
    pub fn step(&mut self, step: u64, stepped: Stepped, warnings: Vec<Warning>) {
        self.window.add(stepped);
        self.progress.step(step);
        for warning in warnings {
            self.progress.warning(warning);
        }
    }

    /// Records a line of metrics.
    ///
    /// # Errors
    ///
    /// If the training has diverged, the device fails, or a file cannot be written.
    pub fn measure(&mut self, step: u64, learning_rate: f64, waits: Waits) -> Result<()> {
        let window = &mut self.window;
        let metric = window.close(step, learning_rate, self.batch, waits, Instant::now)?;
        if !metric.loss.is_finite() || !metric.gradient_norm.is_finite() {
            bail!(diverged(step));
        }
        if let Some(events) = &mut self.events {
            self.folder.log(&metric)?;
            events.metric(&metric)?;
        }
        self.progress.update(&metric);
        self.metrics.push(metric);
        Ok(())
    }

    /// Writes a grid of samples, as PNG, and the loss curve of the run called `name`.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn show(&mut self, step: u64, name: &str, samples: &[u8]) -> Result<()> {
        let grid = format!("samples/step-{step:08}.png");
        self.folder.put(&grid, samples)?;
        if let Some(events) = &mut self.events {
            events.picture(step, "samples", samples)?;
        }
        let losses = self.metrics.iter().map(|m| (m.step, m.loss as f32));
        let curve = LossCurve {
            title: &format!("{name} · training loss"),
            training: &losses.collect::<Vec<_>>(),
            validation: &[],
        };
        self.folder.put("loss.png", &curve.to_png()?)?;
        self.progress.grid(step, &self.folder.path().join(grid));
        Ok(())
    }

    /// Leaves the time between the two out of the speed: see [`Window::leave_out`].
    pub fn leave_out(&mut self, begun: Instant, ended: Instant) {
        self.window.leave_out(begun, ended);
    }

    /// Ends what the terminal shows.
    pub fn finish(self) {
        self.progress.finish();
    }
}
