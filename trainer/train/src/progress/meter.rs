//! The figures of a run, independent of how they are shown: speed, time left, smoothed loss.

use std::time::{Duration, Instant};

/// The time over which the images per second and the time left are averaged, in seconds.
const RATE_WINDOW: f64 = 30.0;

/// The number of steps over which the displayed loss is averaged. The loss of a single batch says little, because it
/// depends mostly on the noise levels drawn.
const LOSS_WINDOW: f64 = 100.0;

/// The figures of a run. Times are counted from its start.
pub struct Meter {
    /// The start of the run.
    pub started: Instant,
    /// The number of steps of the whole training.
    pub total_steps: u64,
    start_step: u64,
    batch: usize,
    /// The number of steps done.
    pub step: u64,
    last: Duration,
    /// Recent steps and seconds, both with exponential decay. Their quotient is the rate.
    recent_steps: f64,
    recent_seconds: f64,
    /// Sum and weight of an exponential average. Their quotient has no bias towards zero at the start.
    loss_sum: f64,
    loss_weight: f64,
    last_loss: f32,
    learning_rate: f64,
    /// The share of the time since the last record in which the training waited for data.
    idle: f64,
    /// The total time of such waiting, in seconds.
    waited: f64,
}

impl Meter {
    /// A meter that starts now.
    pub fn new(total_steps: u64, start_step: u64, batch: usize) -> Self {
        Self {
            started: Instant::now(),
            total_steps,
            start_step,
            batch,
            step: start_step,
            last: Duration::ZERO,
            recent_steps: 0.0,
            recent_seconds: 0.0,
            loss_sum: 0.0,
            loss_weight: 0.0,
            last_loss: f32::NAN,
            learning_rate: 0.0,
            idle: 0.0,
            waited: 0.0,
        }
    }

    /// Records the figures at the time `now`: steps done, and the mean loss since the last record.
    ///
    /// `idle` is the share of the time since then in which the training waited for data.
    pub fn record(&mut self, now: Duration, step: u64, loss: f32, learning_rate: f64, idle: f64) {
        let seconds = now.saturating_sub(self.last).as_secs_f64();
        let steps = step.saturating_sub(self.step) as f64;
        let fade = (-seconds / RATE_WINDOW).exp();
        self.idle = idle;
        self.waited += idle * seconds;
        self.recent_steps = self.recent_steps * fade + steps;
        self.recent_seconds = self.recent_seconds * fade + seconds;
        if loss.is_finite() {
            let keep = (-steps / LOSS_WINDOW).exp();
            self.loss_sum = self.loss_sum * keep + f64::from(loss) * steps;
            self.loss_weight = self.loss_weight * keep + steps;
        }
        (self.last, self.step, self.last_loss, self.learning_rate) =
            (now, step, loss, learning_rate);
    }

    /// Recent steps per second.
    fn rate(&self) -> Option<f64> {
        (self.recent_seconds > 0.0 && self.recent_steps > 0.0)
            .then(|| self.recent_steps / self.recent_seconds)
    }

    /// The recent average loss. A loss that is not finite is shown at once.
    pub fn loss(&self) -> f64 {
        if self.last_loss.is_finite() {
            self.loss_sum / self.loss_weight
        } else {
            f64::from(self.last_loss)
        }
    }

    /// `loss 0.0412 · lr 1.0e-3 · 63.2 images/s · idle 0.3 % · 41 min left`.
    pub fn status(&self) -> String {
        let mut parts = vec![
            format!("loss {:.4}", self.loss()),
            format!("lr {:.1e}", self.learning_rate),
        ];
        if let Some(rate) = self.rate() {
            parts.push(format!(
                "{} images/s",
                three_digits(rate * self.batch as f64)
            ));
        }
        if self.step > self.start_step {
            parts.push(format!("idle {:.1} %", 100.0 * self.idle));
        }
        if let Some(left) = self.seconds_left() {
            parts.push(format!("{} left", span(left)));
        }
        parts.join(" · ")
    }

    /// The estimated time for the rest.
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.total_steps.saturating_sub(self.step) as f64;
        self.rate().map(|rate| left / rate)
    }

    /// The same with the step first, for output without a bar.
    pub fn line(&self) -> String {
        let percent = 100.0 * self.step as f64 / self.total_steps.max(1) as f64;
        format!(
            "step {}/{} ({percent:.0} %) · {}",
            self.step,
            self.total_steps,
            self.status()
        )
    }

    /// The summary at the end.
    pub fn summary(&self, elapsed: Duration) -> String {
        let steps = self.step - self.start_step;
        let seconds = elapsed.as_secs_f64();
        let mut line = format!("{steps} steps in {}", span(seconds));
        if steps > 0 && seconds > 0.0 {
            let rate = (steps as f64 * self.batch as f64) / seconds;
            line += &format!(
                " · {} images/s · idle {:.1} % · loss {:.4}",
                three_digits(rate),
                100.0 * self.waited / seconds,
                self.loss()
            );
        }
        line
    }
}

/// Three significant digits: 4.56, 45.6, 456.
pub fn three_digits(value: f64) -> String {
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// A duration for people: `8 s`, `3 min 20 s`, `41 min`, `2 h 05 min`, `3 d 4 h`.
pub fn span(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => format!("{minutes} min {:02} s", seconds % 60),
        600..3600 => format!("{minutes} min"),
        3600..86400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of `steps` steps of `batch` 32, each of which takes `seconds`.
    fn run(start: u64, steps: u64, seconds: f64) -> Meter {
        let mut meter = Meter::new(1000, start, 32);
        for i in 1..=steps {
            meter.record(
                Duration::from_secs_f64(i as f64 * seconds),
                start + i,
                0.5,
                1e-3,
                0.02,
            );
        }
        meter
    }

    #[test]
    fn rate_and_time_left_follow_the_steps() {
        let meter = run(0, 100, 0.5);
        assert!((meter.rate().unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(
            meter.status(),
            "loss 0.5000 · lr 1.0e-3 · 64.0 images/s · idle 2.0 % · 7 min 30 s left"
        );
        assert_eq!(
            meter.line(),
            "step 100/1000 (10 %) · loss 0.5000 · lr 1.0e-3 · 64.0 images/s · idle 2.0 % · 7 min 30 s left"
        );
    }

    #[test]
    fn a_resumed_run_counts_only_its_own_steps() {
        let meter = run(900, 50, 1.0);
        assert!((meter.rate().unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(
            meter.summary(Duration::from_secs(50)),
            "50 steps in 50 s · 32.0 images/s · idle 2.0 % · loss 0.5000"
        );
    }

    #[test]
    fn the_rate_forgets_what_was_long_ago() {
        let mut meter = run(0, 100, 1.0);
        for i in 1..=100u64 {
            meter.record(
                Duration::from_secs_f64(100.0 + i as f64 * 2.0),
                100 + i,
                0.5,
                1e-3,
                0.02,
            );
        }
        let rate = meter.rate().unwrap();
        assert!((0.5..0.51).contains(&rate), "{rate}");
    }

    #[test]
    fn the_loss_is_averaged_but_nan_is_not_hidden() {
        let mut meter = Meter::new(10, 0, 1);
        for (i, loss) in [1.0, 3.0].into_iter().enumerate() {
            meter.record(Duration::from_secs(i as u64), i as u64 + 1, loss, 0.0, 0.0);
        }
        assert!((meter.loss() - 2.0).abs() < 0.02);
        meter.record(Duration::from_secs(3), 3, f32::NAN, 0.0, 0.0);
        assert!(meter.status().starts_with("loss NaN"));
        meter.record(Duration::from_secs(4), 4, 2.0, 0.0, 0.0);
        assert!((meter.loss() - 2.0).abs() < 0.02);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let meter = Meter::new(0, 0, 1);
        assert_eq!(meter.status(), "loss NaN · lr 0.0e0");
        assert_eq!(meter.summary(Duration::ZERO), "0 steps in 0 s");
        let mut meter = Meter::new(5, 0, 1);
        meter.record(Duration::ZERO, 1, 1.0, 0.0, 0.0);
        assert!(meter.rate().is_none());
    }

    #[test]
    fn times_and_numbers_are_short() {
        let spans = [8.4, 200.0, 2460.0, 7500.0, 273_600.0].map(span);
        assert_eq!(
            spans,
            ["8 s", "3 min 20 s", "41 min", "2 h 05 min", "3 d 4 h"]
        );
        assert_eq!(
            [4.561, 45.61, 456.1, 9.999].map(three_digits),
            ["4.56", "45.6", "456", "10.0"]
        );
    }
}
