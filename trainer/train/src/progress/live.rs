//! The live view of `train --live`, which uses the whole terminal.

use std::io::{Stderr, stderr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};
use ratatui::{Frame, Terminal};

use super::meter::{Meter, span, three_digits};
use crate::metric::Metric;
use freeguide_native::output;

/// The shortest time between two updates.
const PERIOD: Duration = Duration::from_millis(100);
/// The largest number of points of the curve: more than a terminal can show.
const POINTS: usize = 2048;
/// The number of lines for messages.
const NOTES: usize = 3;

/// The view. The terminal is restored when it is dropped.
pub struct Live {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    view: View,
    drawn: Option<Instant>,
}

impl Live {
    /// Takes over the terminal. Messages are shown in the view and, when it ends, printed on the terminal.
    pub fn begin(out: &Path) -> Result<Self> {
        let terminal = Terminal::new(CrosstermBackend::new(stderr()))
            .and_then(|terminal| {
                // Not `terminal.clear()`, which queries the position of the cursor.
                let all = Clear(ClearType::All);
                execute!(stderr(), EnterAlternateScreen, all, cursor::Hide)?;
                Ok(terminal)
            })
            .context("--live: the terminal cannot be drawn on")?;
        output::hold_notes();
        Ok(Self {
            terminal,
            view: View::new(out),
            drawn: None,
        })
    }

    /// Records a line of metrics.
    pub fn update(&mut self, metric: &Metric, meter: &Meter) {
        self.view.update(metric, meter.loss());
        self.draw(meter);
    }

    /// Records a step, and updates the view unless it was updated just before.
    pub fn step(&mut self, step: u64, meter: &Meter) {
        self.view.step = step;
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= PERIOD) {
            self.draw(meter);
        }
    }

    /// Records a grid of samples.
    pub fn grid(&mut self, path: &Path) {
        self.view.grid = Some(path.to_owned());
    }

    fn draw(&mut self, meter: &Meter) {
        self.drawn = Some(Instant::now());
        self.view.notes = output::held_notes(NOTES);
        // The training continues when its terminal is gone.
        let _ = self.terminal.draw(|frame| self.view.draw(frame, meter));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = execute!(stderr(), LeaveAlternateScreen, cursor::Show);
        let _ = self.terminal.backend_mut().flush();
        output::release_notes();
    }
}

/// The contents of the view.
struct View {
    out: PathBuf,
    step: u64,
    /// The smoothed loss by step.
    losses: Vec<(f64, f64)>,
    last: Option<Metric>,
    grid: Option<PathBuf>,
    notes: Vec<String>,
}

impl View {
    fn new(out: &Path) -> Self {
        Self {
            out: out.to_owned(),
            step: 0,
            losses: Vec::new(),
            last: None,
            grid: None,
            notes: Vec::new(),
        }
    }

    fn update(&mut self, metric: &Metric, loss: f64) {
        self.step = metric.step;
        self.last = Some(metric.clone());
        if loss.is_finite() {
            self.losses.push((metric.step as f64, loss));
        }
        if self.losses.len() > POINTS {
            // Keep every other point and the last.
            let last = self.losses.len() - 1;
            let mut index = 0;
            self.losses.retain(|_| {
                index += 1;
                index % 2 == 1 || index - 1 == last
            });
        }
    }

    fn draw(&self, frame: &mut Frame, meter: &Meter) {
        let rows = Layout::vertical([
            Constraint::Length(3),
            Constraint::Min(6),
            Constraint::Length(4 + NOTES as u16),
        ]);
        let [top, middle, bottom] = rows.areas(frame.area());
        self.draw_progress(frame, top, meter);
        self.draw_curve(frame, middle);
        self.draw_figures(frame, bottom);
    }

    fn draw_progress(&self, frame: &mut Frame, area: Rect, meter: &Meter) {
        let done = self.step as f64 / meter.total_steps.max(1) as f64;
        let left = match meter.seconds_left() {
            Some(seconds) => format!("{} left", span(seconds)),
            None => "starting".to_owned(),
        };
        let label = format!(
            "step {}/{} ({:.0} %) · {left}",
            self.step,
            meter.total_steps,
            100.0 * done
        );
        let title = format!(" freeguide train · {} ", self.out.display());
        let gauge = Gauge::default()
            .block(Block::bordered().title(title))
            .gauge_style(Style::new().fg(Color::Cyan).bg(Color::DarkGray))
            .ratio(done.clamp(0.0, 1.0))
            .label(label);
        frame.render_widget(gauge, area);
    }

    fn draw_curve(&self, frame: &mut Frame, area: Rect) {
        let steps = self.losses.iter().map(|p| p.0);
        let (first, last) = steps.fold((f64::MAX, 0.0), |(a, b), s| (s.min(a), s.max(b)));
        let values = self.losses.iter().map(|p| p.1);
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (v.min(a), v.max(b)));
        let block = Block::bordered().title(" loss ");
        if self.losses.len() < 2 {
            frame.render_widget(Paragraph::new("no loss yet").block(block), area);
            return;
        }
        let room = (0.05 * (high - low)).max(1e-6);
        let (low, high) = ((low - room).max(0.0), high + room);
        let curve = Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(Color::Yellow))
            .data(&self.losses);
        let chart = Chart::new(vec![curve])
            .block(block)
            .x_axis(
                Axis::default()
                    .bounds([first, last])
                    .labels([format!("{first:.0}"), format!("{last:.0}")]),
            )
            .y_axis(
                Axis::default()
                    .bounds([low, high])
                    .labels([format!("{low:.4}"), format!("{high:.4}")]),
            );
        frame.render_widget(chart, area);
    }

    fn draw_figures(&self, frame: &mut Frame, area: Rect) {
        let mut lines = Vec::new();
        lines.push(Line::from(match &self.last {
            Some(metric) => format!(
                "loss {:.4} · gradient norm {:.3} · lr {:.1e} · {} images/s · idle {:.1} %",
                metric.loss,
                metric.gradient_norm,
                metric.learning_rate,
                three_digits(metric.images_per_second),
                100.0 * metric.idle,
            ),
            None => "waiting for the first steps".to_owned(),
        }));
        lines.push(Line::from(match &self.grid {
            Some(path) => format!("samples: {}", path.display()),
            None => "no samples yet".to_owned(),
        }));
        lines.extend(self.notes.iter().map(|note| Line::from(note.as_str())));
        let block = Block::bordered().title_bottom(" Ctrl-C saves a checkpoint and exits ");
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;

    fn metric(step: u64, loss: f64) -> Metric {
        Metric {
            step,
            loss,
            learning_rate: 1e-3,
            gradient_norm: 0.25,
            images_per_second: 63.21,
            idle: 0.004,
            exchange: None,
        }
    }

    fn drawn(view: &View, meter: &Meter, size: (u16, u16)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal.draw(|frame| view.draw(frame, meter)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect();
        let rows: Vec<String> = (0..size.1).map(row).collect();
        rows.join("\n")
    }

    #[test]
    fn it_shows_what_there_is_to_know() {
        let mut meter = Meter::new(1000, 0, 64);
        let mut view = View::new(Path::new("runs/mine"));
        let empty = drawn(&view, &meter, (80, 24));
        for word in [
            "runs/mine",
            "step 0/1000",
            "starting",
            "no loss yet",
            "no samples yet",
        ] {
            assert!(empty.contains(word), "{word:?} is not in\n{empty}");
        }
        for i in 1..=25u64 {
            let metric = metric(10 * i, 1.0 / i as f64);
            meter.record(Duration::from_secs(i), metric.step, 0.5, 1e-3, 0.0);
            view.update(&metric, metric.loss);
        }
        view.grid = Some("runs/mine/samples/step-00000250.png".into());
        view.notes = vec!["warning: mind the gap".to_owned()];
        let full = drawn(&view, &meter, (80, 24));
        for word in [
            "step 250/1000 (25 %) · 1 min 15 s left",
            "loss 0.0400 · gradient norm 0.250 · lr 1.0e-3 · 63.2 images/s · idle 0.4 %",
            "samples: runs/mine/samples/step-00000250.png",
            "warning: mind the gap",
            "Ctrl-C saves",
            "⠉",
        ] {
            assert!(full.contains(word), "{word:?} is not in\n{full}");
        }
    }

    #[test]
    fn a_terminal_of_any_size_is_drawn_on() {
        let meter = Meter::new(10, 0, 1);
        let mut view = View::new(Path::new("x"));
        (1..=3).for_each(|step| view.update(&metric(step, f64::from(step as u32)), 0.5));
        for size in [(1, 1), (3, 40), (200, 2), (7, 7), (300, 100)] {
            drawn(&view, &meter, size);
        }
    }

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_ends() {
        let mut view = View::new(Path::new("x"));
        (1..=100_000).for_each(|step| view.update(&metric(step, 0.5), 0.5));
        assert!((POINTS / 2..=POINTS).contains(&view.losses.len()));
        assert_eq!(view.losses[0].0, 1.0);
        assert!(view.losses.last().unwrap().0 > 99_000.0);
        assert!(view.losses.windows(2).all(|w| w[0].0 < w[1].0));
    }
}
