//! The progress display of a training: a bar, plain lines if the output is not a terminal (a log file, continuous
//! integration), a live view, or nothing. It uses standard error; standard output is for results.

mod live;
mod meter;

use std::{io::IsTerminal, path::Path, time::Duration};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use freeguide_native::tell;

use crate::metric::Metric;
use live::Live;
use meter::Meter;

/// The kind of display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// Nothing.
    Quiet,
    /// A bar on a terminal, otherwise plain lines.
    Auto,
    /// The live view on a terminal, otherwise plain lines.
    Live,
}

/// Reports the progress of a training run.
pub struct Progress {
    meter: Meter,
    output: Output,
}

enum Output {
    Bar(ProgressBar),
    /// The time of the last line, since the start of the run.
    Lines(Option<Duration>),
    Live(Box<Live>),
    Quiet,
}

impl Progress {
    /// Starts reporting at step `start_step` (0, or the step at which a run is resumed) of `total_steps`, with `batch`
    /// images per step, for the run in `out`.
    ///
    /// # Errors
    /// If the terminal cannot be used.
    pub fn new(
        total_steps: u64,
        start_step: u64,
        batch: usize,
        display: Display,
        out: &Path,
    ) -> Result<Self> {
        let terminal = std::io::stderr().is_terminal();
        let output = match display {
            Display::Quiet => Output::Quiet,
            Display::Live if terminal => Output::Live(Box::new(Live::begin(out)?)),
            Display::Auto if terminal => Output::Bar(bar(total_steps, start_step)),
            _ => Output::Lines(None),
        };
        Ok(Self {
            meter: Meter::new(total_steps, start_step, batch),
            output,
        })
    }

    /// Records the number of finished steps.
    pub fn step(&mut self, step: u64) {
        match &mut self.output {
            Output::Bar(bar) => bar.set_position(step),
            Output::Live(live) => live.step(step, &self.meter),
            Output::Lines(_) | Output::Quiet => {}
        }
    }

    /// Records a line of metrics.
    pub fn update(&mut self, metric: &Metric) {
        let now = self.meter.started.elapsed();
        let (loss, rate) = (metric.loss as f32, metric.learning_rate);
        self.meter.record(now, metric.step, loss, rate, metric.idle);
        match &mut self.output {
            Output::Bar(bar) => {
                bar.set_position(metric.step);
                bar.set_message(self.meter.status());
            }
            Output::Live(live) => live.update(metric, &self.meter),
            Output::Lines(last) => {
                if line_is_due(now, *last) || metric.step >= self.meter.total_steps {
                    *last = Some(now);
                    tell!("{}", self.meter.line());
                }
            }
            Output::Quiet => {}
        }
    }

    /// Records a grid of samples that was written after `step` steps.
    pub fn grid(&mut self, step: u64, path: &Path) {
        let line = format!("step {step}: samples in {}", path.display());
        match &mut self.output {
            Output::Bar(bar) => bar.println(line),
            Output::Live(live) => live.grid(path),
            Output::Lines(_) => tell!("{line}"),
            Output::Quiet => {}
        }
    }

    /// Prints a warning, even if nothing else is shown.
    pub fn warning(&self, what: impl std::fmt::Display) {
        match &self.output {
            Output::Bar(bar) => bar.println(format!("warning: {what}")),
            Output::Lines(_) | Output::Live(_) | Output::Quiet => tell!("warning: {what}"),
        }
    }

    /// Ends the report with a summary of the run: steps, time and images per second.
    pub fn finish(self) {
        let summary = self.meter.summary(self.meter.started.elapsed());
        match self.output {
            Output::Bar(bar) => bar.finish_and_clear(),
            // Dropping it restores the terminal.
            Output::Live(live) => drop(live),
            Output::Lines(_) => {}
            Output::Quiet => return,
        }
        tell!("{summary}");
    }
}

/// A bar at position `start`.
fn bar(total: u64, start: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
    // The template is a constant. If a new version of the crate refuses it, the default is used.
    if let Ok(style) = ProgressStyle::with_template("{bar:28.cyan/238} {pos}/{len}  {msg}") {
        bar.set_style(style.progress_chars("━╸━"));
    }
    bar.set_position(start);
    bar.set_message("starting");
    bar
}

/// Whether to print a line: at the start, every ten seconds in the first two minutes, and every minute afterwards.
fn line_is_due(now: Duration, last: Option<Duration>) -> bool {
    let every = if now < Duration::from_secs(120) {
        10
    } else {
        60
    };
    last.is_none_or(|last| now.saturating_sub(last) >= Duration::from_secs(every))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_often_at_first_and_seldom_later() {
        let seconds = Duration::from_secs;
        assert!(line_is_due(seconds(0), None));
        assert!(!line_is_due(seconds(9), Some(seconds(0))));
        assert!(line_is_due(seconds(10), Some(seconds(0))));
        assert!(!line_is_due(seconds(150), Some(seconds(119))));
        assert!(line_is_due(seconds(180), Some(seconds(120))));
    }

    #[test]
    fn the_reporter_runs_quietly_and_without_a_terminal() {
        for display in [Display::Quiet, Display::Auto, Display::Live] {
            let out = Path::new("runs/mine");
            let mut progress = Progress::new(2, 0, 4, display, out).unwrap();
            let metric = |step| Metric {
                step,
                loss: 0.5,
                learning_rate: 1e-3,
                gradient_norm: 0.1,
                images_per_second: 30.0,
                idle: 0.0,
                exchange: None,
            };
            progress.step(1);
            progress.update(&metric(1));
            progress.grid(1, &out.join("samples/step-00000001.png"));
            progress.step(2);
            progress.update(&metric(2));
            progress.finish();
        }
    }
}
