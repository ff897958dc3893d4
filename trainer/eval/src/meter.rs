//! The progress display of an evaluation: images done, speed and time left.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use freeguide_native::tell;

/// The time between two lines if the output is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Counts images. All workers share it.
pub struct Meter {
    total: usize,
    to_draw: usize,
    bar: Option<ProgressBar>,
    quiet: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: usize,
    drawn: (usize, f64),
    extracted: (usize, f64),
    last_line: Option<Instant>,
}

impl Meter {
    /// A meter for `total` images, of which `to_draw` have to be drawn first.
    pub fn new(total: usize, to_draw: usize, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style = "{bar:32} {pos}/{len} images  {msg}";
            ProgressBar::new(total as u64).with_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Self {
            total,
            to_draw,
            bar,
            quiet,
            state: Mutex::default(),
        }
    }

    /// No code leaves the state half changed, so it is valid even if a worker panicked.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Records drawn images and the time that they took, in seconds of the whole machine.
    pub fn drawn(&self, images: usize, seconds: f64) {
        let mut state = self.state();
        state.drawn = (state.drawn.0 + images, state.drawn.1 + seconds);
    }

    /// Records images that a network has processed.
    pub fn extracted(&self, images: usize, seconds: f64) {
        let mut state = self.state();
        state.extracted = (state.extracted.0 + images, state.extracted.1 + seconds);
    }

    /// Records finished images.
    pub fn done(&self, images: usize) {
        let mut state = self.state();
        state.done += images;
        let rates = state.rates();
        if let Some(bar) = &self.bar {
            bar.set_position(state.done as u64);
            bar.set_message(format!("{rates}  {} left", duration(self.left(&state))));
        } else if !self.quiet {
            let due = state
                .last_line
                .is_none_or(|last| last.elapsed() >= LINE_EVERY);
            if due || state.done == self.total {
                state.last_line = Some(Instant::now());
                let left = self.left(&state);
                let (done, total) = (state.done, self.total);
                tell!("{done}/{total} images  {rates}  {} left", duration(left));
            }
        }
    }

    /// The time left in seconds. Drawing takes much longer than extracting features, so each has its own rate.
    fn left(&self, state: &State) -> f64 {
        let pace = |(images, seconds): (usize, f64)| seconds / images.max(1) as f64;
        let to_draw = self.to_draw.saturating_sub(state.drawn.0) as f64;
        let to_see = (self.total - state.done) as f64;
        to_draw * pace(state.drawn) + to_see * state.extracted.1 / state.done.max(1) as f64
    }

    /// Ends the display.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl State {
    fn rates(&self) -> String {
        let rate = |what, (images, seconds): (usize, f64)| {
            (images > 0).then(|| format!("{what} {:.1}/s", images as f64 / seconds.max(1e-9)))
        };
        let parts = [
            rate("sampler", self.drawn),
            rate("features", self.extracted),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// `1 h 5 min`, `3 min`, `42 s`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_for_people() {
        let written = [42.2, 125.0, 3700.0, 7500.0].map(duration);
        assert_eq!(written, ["42 s", "3 min", "62 min", "2 h 5 min"]);
    }
}
