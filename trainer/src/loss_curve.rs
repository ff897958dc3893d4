//! The loss curve of a run as a picture.

use plotters::{
    coord::{
        Shift,
        ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
    },
    prelude::*,
    style::{
        register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};
use thiserror::Error;

use crate::png_text::{PngError, encode_png};

/// Size of the picture in pixels.
const WIDTH: usize = 1200;
const HEIGHT: usize = 675;

/// The picture is drawn this many times larger and then averaged down, which gives smooth lines and letters.
const OVERSAMPLING: usize = 3;

/// The training loss is drawn from at most this many points; more would only repeat pixels.
const RESOLUTION: usize = 900;

/// A logarithmic axis is taken where the smoothed loss spans more than this factor.
const LOG_SPAN: f64 = 6.0;

const FONT: &str = "DejaVu Sans";
const INK: RGBColor = RGBColor(38, 42, 51);
const FAINT_INK: RGBColor = RGBColor(107, 114, 128);
const MESH: RGBColor = RGBColor(229, 231, 235);
const TRAINING: RGBColor = RGBColor(37, 99, 235);
const TRAINING_RAW: RGBColor = RGBColor(200, 216, 250);
const VALIDATION: RGBColor = RGBColor(234, 88, 12);

/// What a loss curve shows.
#[derive(Clone, Copy, Debug)]
pub struct LossCurve<'a> {
    /// The headline.
    pub title: &'a str,
    /// (step, loss) of training, in the order of the steps. Values that are not finite are left out.
    pub training: &'a [(u64, f32)],
    /// (step, loss) on images that are not trained on, in the order of the steps. May be empty.
    pub validation: &'a [(u64, f32)],
}

/// Why a loss curve was not drawn.
#[derive(Debug, Error)]
pub enum LossCurveError {
    /// No finite loss was given.
    #[error("there is no loss to draw yet")]
    Empty,
    /// The drawing library failed.
    #[error("cannot draw the loss curve: {0}")]
    Draw(String),
    /// The picture could not be encoded.
    #[error(transparent)]
    Png(#[from] PngError),
}

/// A point in the coordinates of the picture: the step, and the loss or its logarithm.
type Point = (f64, f64);

impl LossCurve<'_> {
    /// Draws the curve as PNG, 1200×675 pixels: the raw training loss faint, its average strong,
    /// validation in a second colour. The loss axis is logarithmic where the averaged loss spans
    /// more than a factor of six.
    ///
    /// # Errors
    /// If there is no finite loss, or drawing fails.
    pub fn to_png(self) -> Result<Vec<u8>, LossCurveError> {
        let (width, height) = (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING);
        let mut large = vec![255; width * height * 3];
        {
            let area = BitMapBackend::with_buffer(&mut large, (width as u32, height as u32))
                .into_drawing_area();
            paint(
                &area,
                self.title,
                &finite(self.training),
                &finite(self.validation),
            )?;
            area.present().map_err(draw_error)?;
        }
        Ok(encode_png(&shrink(&large), WIDTH, HEIGHT, 3, None)?)
    }
}

/// Paints the whole picture, enlarged.
fn paint(
    area: &DrawingArea<BitMapBackend<'_>, Shift>,
    title: &str,
    raw: &[Point],
    validation: &[Point],
) -> Result<(), LossCurveError> {
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| LossCurveError::Draw("the embedded font is damaged".into()))?;

    let smooth = smoothed(raw);
    let shown: Vec<Point> = smooth.iter().chain(validation).copied().collect();
    let axis = Axis::fit(&shown, raw).ok_or(LossCurveError::Empty)?;
    let last_step = raw
        .iter()
        .chain(validation)
        .map(|p| p.0)
        .fold(1.0, f64::max);
    let place = |points: &[Point]| -> Vec<Point> {
        points.iter().map(|p| (p.0, axis.place(p.1))).collect()
    };

    let px = |pixels: f64| (pixels * OVERSAMPLING as f64).round() as u32;
    let font =
        |size: f64, color: RGBColor| (FONT, size * OVERSAMPLING as f64).into_font().color(&color);
    area.fill(&WHITE).map_err(draw_error)?;
    area.draw(&Text::new(
        title.to_owned(),
        (px(84.0) as i32, px(20.0) as i32),
        font(22.0, INK),
    ))
    .map_err(draw_error)?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(px(62.0))
        .margin_right(px(36.0))
        .margin_bottom(px(12.0))
        .margin_left(px(14.0))
        .x_label_area_size(px(56.0))
        .y_label_area_size(px(70.0))
        .build_cartesian_2d(
            Scale {
                range: 0.0..last_step,
                ticks: linear_ticks(0.0, last_step, 9),
            },
            Scale {
                range: axis.range(),
                ticks: axis.ticks().iter().map(|&v| axis.place(v)).collect(),
            },
        )
        .map_err(draw_error)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(MESH.stroke_width(px(1.0)))
        .axis_style(FAINT_INK.stroke_width(px(1.0)))
        .set_all_tick_mark_size(px(4.0))
        .label_style(font(14.0, FAINT_INK))
        .axis_desc_style(font(15.0, INK))
        .x_desc("step")
        .y_desc(axis.name())
        .x_label_formatter(&|step| short_count(*step))
        .y_label_formatter(&|place| axis.label(*place))
        .draw()
        .map_err(draw_error)?;

    for (points, style) in [
        (place(&envelope(raw)), TRAINING_RAW.stroke_width(px(1.0))),
        (place(&smooth), TRAINING.stroke_width(px(2.0))),
        (place(validation), VALIDATION.stroke_width(px(2.0))),
    ] {
        // Segment by segment: the library draws the corners of a thick polyline as spikes where it turns sharply.
        let segments = points
            .windows(2)
            .map(|ends| PathElement::new(ends.to_vec(), style));
        chart.draw_series(segments).map_err(draw_error)?;
    }
    // A single point has no line to be seen by.
    let single = if smooth.len() == 1 { &smooth[..] } else { &[] };
    for (points, color) in [(single, TRAINING), (validation, VALIDATION)] {
        let dots = place(points)
            .into_iter()
            .map(|point| Circle::new(point, px(3.0), color.filled()));
        chart.draw_series(dots).map_err(draw_error)?;
    }

    // The legend stands at the right of the headline, where no curve can run under it.
    let mut right = px(WIDTH as f64 - 36.0) as i32;
    for (label, color, show) in [
        ("validation", VALIDATION, !validation.is_empty()),
        ("training", TRAINING, !smooth.is_empty()),
    ] {
        if !show {
            continue;
        }
        let style = font(15.0, INK).pos(Pos::new(HPos::Right, VPos::Center));
        let (text_width, _) = area.estimate_text_size(label, &style).map_err(draw_error)?;
        let middle = px(32.0) as i32;
        area.draw(&Text::new(label.to_owned(), (right, middle), style))
            .map_err(draw_error)?;
        let end = right - text_width as i32 - px(8.0) as i32;
        let start = end - px(26.0) as i32;
        let key = PathElement::new(
            vec![(start, middle), (end, middle)],
            color.stroke_width(px(3.0)),
        );
        area.draw(&key).map_err(draw_error)?;
        right = start - px(24.0) as i32;
    }
    Ok(())
}

fn draw_error(error: impl std::fmt::Display) -> LossCurveError {
    LossCurveError::Draw(error.to_string())
}

fn finite(points: &[(u64, f32)]) -> Vec<Point> {
    points
        .iter()
        .filter(|p| p.1.is_finite())
        .map(|p| (p.0 as f64, f64::from(p.1)))
        .collect()
}

/// A running average, at no more places than can be seen. It reaches over a fiftieth of the points to both sides, and
/// over less at the start, where the loss falls faster than it scatters.
fn smoothed(points: &[Point]) -> Vec<Point> {
    let losses: Vec<f64> = points.iter().map(|p| p.1).collect();
    // Twice, since a single pass with a window of sharp edges lets single batches be seen as steps.
    let smooth = box_average(&box_average(&losses));
    let stride = points.len().div_ceil(RESOLUTION).max(1);
    (0..points.len())
        .filter(|i| i % stride == 0 || i + 1 == points.len())
        .map(|i| (points[i].0, smooth[i]))
        .collect()
}

/// The mean of each value and its neighbours to both sides.
fn box_average(values: &[f64]) -> Vec<f64> {
    let reach = values.len() / 50;
    let mut sums = vec![0.0];
    sums.extend(values.iter().scan(0.0, |sum, value| {
        *sum += value;
        Some(*sum)
    }));
    (0..values.len())
        .map(|i| {
            let reach = reach.min(i / 4);
            let (first, end) = (i - reach, (i + reach + 1).min(values.len()));
            (sums[end] - sums[first]) / (end - first) as f64
        })
        .collect()
}

/// The same points, or, where they are more than can be told apart, the least and greatest of each stretch.
fn envelope(points: &[Point]) -> Vec<Point> {
    if points.len() <= 2 * RESOLUTION {
        return points.to_vec();
    }
    let by_loss = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
    points
        .chunks(points.len().div_ceil(RESOLUTION))
        .flat_map(|chunk| [chunk.iter().min_by(by_loss), chunk.iter().max_by(by_loss)])
        .flatten()
        .copied()
        .collect()
}

/// A stretch of an axis with the places of its ticks, as the drawing library wants it.
struct Scale {
    range: std::ops::Range<f64>,
    ticks: Vec<f64>,
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
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// An axis on which every point of `shown` and nearly all of `raw` can be seen. None if there is no point.
    fn fit(shown: &[Point], raw: &[Point]) -> Option<Self> {
        let low = shown.iter().map(|p| p.1).reduce(f64::min)?;
        let high = shown.iter().map(|p| p.1).reduce(f64::max)?;
        let logarithmic = low > 0.0 && high / low > LOG_SPAN;
        // Single batches may be far off; they must not squeeze the curve.
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
        // Zero belongs to the axis where it is near.
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

    fn name(&self) -> &'static str {
        if self.logarithmic {
            "loss (logarithmic)"
        } else {
            "loss"
        }
    }

    /// Where on the axis a loss stands; one that is off the axis stands on its end.
    fn place(&self, loss: f64) -> f64 {
        let loss = loss.clamp(self.low, self.high);
        if self.logarithmic { loss.log10() } else { loss }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.place(self.low)..self.place(self.high)
    }

    /// The losses that get a line and a number.
    fn ticks(&self) -> Vec<f64> {
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

    fn label(&self, place: f64) -> String {
        let loss = if self.logarithmic {
            10f64.powf(place)
        } else {
            place
        };
        short_number(loss)
    }
}

/// At most about `count` round numbers in `low ..= high`.
fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
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

/// A loss with three digits that count, and no trailing zeros.
fn short_number(value: f64) -> String {
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
fn short_count(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", short_number(v / 1e6)),
        v if v >= 1e3 => format!("{}k", short_number(v / 1e3)),
        v => short_number(v),
    }
}

/// The mean of each square of the enlarged picture.
fn shrink(large: &[u8]) -> Vec<u8> {
    let stride = WIDTH * OVERSAMPLING * 3;
    let area = (OVERSAMPLING * OVERSAMPLING) as u32;
    let mut small = Vec::with_capacity(WIDTH * HEIGHT * 3);
    for rows in large.chunks_exact(stride * OVERSAMPLING) {
        for x in 0..WIDTH {
            for channel in 0..3 {
                let mut sum = 0;
                for row in rows.chunks_exact(stride) {
                    for i in 0..OVERSAMPLING {
                        sum += u32::from(row[(x * OVERSAMPLING + i) * 3 + channel]);
                    }
                }
                small.push(((sum + area / 2) / area) as u8);
            }
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(
        title: &str,
        training: &[(u64, f32)],
        validation: &[(u64, f32)],
    ) -> Result<Vec<u8>, LossCurveError> {
        LossCurve {
            title,
            training,
            validation,
        }
        .to_png()
    }

    /// A loss that falls from `from` to `to`, with reproducible noise.
    fn falling(steps: u64, from: f64, to: f64) -> Vec<(u64, f32)> {
        let noise = |i: u64| {
            (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        let curve = |i: u64| to + (from - to) * (-6.0 * i as f64 / steps as f64).exp();
        (1..=steps)
            .map(|i| (i, (curve(i) * (1.0 + 0.5 * noise(i))) as f32))
            .collect()
    }

    fn decode(png: &[u8]) -> Vec<u8> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width as usize, info.height as usize), (WIDTH, HEIGHT));
        pixels
    }

    fn count(pixels: &[u8], color: RGBColor) -> usize {
        pixels
            .chunks(3)
            .filter(|rgb| *rgb == [color.0, color.1, color.2])
            .count()
    }

    #[test]
    fn both_series_are_drawn() {
        let training = falling(20_000, 1.0, 0.05);
        let validation: Vec<(u64, f32)> = (1..=10).map(|i| (i * 2000, 0.6 / i as f32)).collect();
        let both = draw("emoji16 · training loss", &training, &validation).unwrap();
        let pixels = decode(&both);
        assert!(count(&pixels, TRAINING) > 500);
        assert!(count(&pixels, VALIDATION) > 500);
        let alone = draw("emoji16", &training, &[]).unwrap();
        assert_eq!(count(&decode(&alone), VALIDATION), 0);
    }

    #[test]
    fn any_series_can_be_drawn() {
        let cases: [&[(u64, f32)]; 7] = [
            &[(1, 0.5)],
            &[(0, 0.0)],
            &[(1, 0.5), (2, 0.5)],
            &[(1, f32::NAN), (2, 0.3), (3, f32::INFINITY)],
            &[(1, -1.0), (2, 3.0)],
            &[(1, 1e-30), (2, 1e30)],
            &[(u64::MAX, 0.1)],
        ];
        for series in cases {
            assert!(draw("x", series, &[]).is_ok(), "{series:?}");
            assert!(draw("", &[], series).is_ok(), "{series:?}");
        }
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        for training in [&[][..], &[(1, f32::NAN)]] {
            assert!(matches!(
                draw("x", training, &[]),
                Err(LossCurveError::Empty)
            ));
        }
    }

    #[test]
    fn a_wide_span_makes_the_axis_logarithmic() {
        let axis = |values: &[f64]| {
            let points: Vec<Point> = values.iter().map(|&v| (0.0, v)).collect();
            Axis::fit(&points, &points).unwrap()
        };
        assert!(axis(&[0.02, 1.0]).logarithmic);
        assert!(!axis(&[0.3, 1.0]).logarithmic);
        assert!(!axis(&[0.0, 1.0]).logarithmic);
        assert_eq!(axis(&[0.3, 1.0]).low, 0.0);
        assert!(axis(&[0.8, 1.0]).low > 0.7);
        assert!(axis(&[0.02, 1.0]).ticks().len() >= 4);
        assert!(axis(&[0.2, 1.0 + 0.3]).ticks().len() >= 4);
    }

    #[test]
    fn smoothing_keeps_level_and_ends() {
        let flat: Vec<Point> = (0..5000).map(|i| (f64::from(i), 2.0)).collect();
        let smooth = smoothed(&flat);
        assert!(smooth.iter().all(|p| (p.1 - 2.0).abs() < 1e-9));
        assert_eq!((smooth[0].0, smooth[smooth.len() - 1].0), (0.0, 4999.0));
        assert!(smooth.len() <= RESOLUTION + 2);
        let noisy = finite(&falling(5000, 1.0, 0.1));
        let mean_step = |points: &[Point]| {
            points
                .windows(2)
                .map(|w| (w[1].1 - w[0].1).abs())
                .sum::<f64>()
                / points.len() as f64
        };
        assert!(mean_step(&smoothed(&noisy)) < mean_step(&noisy) / 5.0);
    }

    #[test]
    fn the_envelope_keeps_extremes() {
        let mut points: Vec<Point> = (0..100_000).map(|i| (f64::from(i), 1.0)).collect();
        points[54_321].1 = 9.0;
        let drawn = envelope(&points);
        assert!(drawn.len() <= 2 * RESOLUTION);
        assert!(drawn.contains(&(54_321.0, 9.0)));
    }

    #[test]
    fn ticks_are_round_and_labels_short() {
        assert_eq!(linear_ticks(0.0, 20_000.0, 9), [0.0, 5e3, 1e4, 1.5e4, 2e4]);
        assert_eq!(
            linear_ticks(0.0, 1.0, 7),
            [0.0, 0.2, 0.4, 0.6, 0.8, 1.0].map(|v: f64| (v * 5.0).round() * 0.2)
        );
        assert_eq!(linear_ticks(3.0, 3.0, 7), [3.0]);
        assert_eq!(
            [0.0, 500.0, 2500.0, 20_000.0, 1.5e6].map(short_count),
            ["0", "500", "2.5k", "20k", "1.5M"]
        );
        assert_eq!(
            [0.05, 0.015, 0.000_2, 1.0, 12.5].map(short_number),
            ["0.05", "0.015", "0.0002", "1", "12.5"]
        );
    }
}
