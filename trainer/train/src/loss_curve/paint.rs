//! Draws the picture.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Scale, linear_ticks, short_count};
use super::series::{envelope, smoothed};
use super::{LossCurveError, Point, WIDTH};

/// The picture is drawn larger by this factor and then reduced by averaging, which gives smooth lines and letters.
pub(super) const OVERSAMPLING: usize = 3;

const FONT: &str = "DejaVu Sans";
const INK: RGBColor = RGBColor(38, 42, 51);
const FAINT_INK: RGBColor = RGBColor(107, 114, 128);
const MESH: RGBColor = RGBColor(229, 231, 235);
pub(super) const TRAINING: RGBColor = RGBColor(37, 99, 235);
const TRAINING_RAW: RGBColor = RGBColor(200, 216, 250);
pub(super) const VALIDATION: RGBColor = RGBColor(234, 88, 12);

/// The enlarged picture.
type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
/// Its axes: steps, and places on the axis of the loss.
type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Scale, Scale>>;

/// Paints the whole picture, enlarged.
pub(super) fn paint(
    area: &Area<'_>,
    title: &str,
    raw: &[Point],
    validation: &[Point],
) -> Result<(), LossCurveError> {
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| LossCurveError::Draw("the embedded font is damaged".into()))?;
    let smooth = smoothed(raw);
    let shown: Vec<Point> = smooth.iter().chain(validation).copied().collect();
    let axis = Axis::fit(&shown, raw).ok_or(LossCurveError::Empty)?;
    let steps = raw.iter().chain(validation).map(|p| p.0);
    let last_step = steps.fold(1.0, f64::max);

    area.fill(&WHITE).map_err(draw_error)?;
    let headline = (px(84.0) as i32, px(20.0) as i32);
    area.draw(&Text::new(title.to_owned(), headline, font(22.0, INK)))
        .map_err(draw_error)?;
    let mut chart = axes(area, &axis, last_step)?;
    curves(&mut chart, &axis, raw, &smooth, validation)?;
    legend(area, !smooth.is_empty(), !validation.is_empty())
}

/// Pixels of the enlarged picture.
fn px(pixels: f64) -> u32 {
    (pixels * OVERSAMPLING as f64).round() as u32
}

fn font(size: f64, color: RGBColor) -> TextStyle<'static> {
    (FONT, size * OVERSAMPLING as f64).into_font().color(&color)
}

/// Draws the two axes with their mesh.
fn axes<'a, 'b>(
    area: &'a Area<'b>,
    axis: &Axis,
    last_step: f64,
) -> Result<Chart<'a, 'b>, LossCurveError> {
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
                ticks: axis.ticks().iter().map(|&v| axis.position(v)).collect(),
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
    Ok(chart)
}

/// Draws the raw loss, the smoothed one and that of validation.
fn curves(
    chart: &mut Chart<'_, '_>,
    axis: &Axis,
    raw: &[Point],
    smooth: &[Point],
    validation: &[Point],
) -> Result<(), LossCurveError> {
    let place = |points: &[Point]| -> Vec<Point> {
        points.iter().map(|p| (p.0, axis.position(p.1))).collect()
    };
    for (points, style) in [
        (place(&envelope(raw)), TRAINING_RAW.stroke_width(px(1.0))),
        (place(smooth), TRAINING.stroke_width(px(2.0))),
        (place(validation), VALIDATION.stroke_width(px(2.0))),
    ] {
        // Segment by segment, because the library draws sharp corners of a thick polyline as spikes.
        let segments = points
            .windows(2)
            .map(|ends| PathElement::new(ends.to_vec(), style));
        chart.draw_series(segments).map_err(draw_error)?;
    }
    // A single point has no line, so draw a dot.
    let single = if smooth.len() == 1 { smooth } else { &[] };
    for (points, color) in [(single, TRAINING), (validation, VALIDATION)] {
        let dots = place(points)
            .into_iter()
            .map(|point| Circle::new(point, px(3.0), color.filled()));
        chart.draw_series(dots).map_err(draw_error)?;
    }
    Ok(())
}

/// Draws the legend to the right of the title, where no curve can overlap it.
fn legend(area: &Area<'_>, training: bool, validation: bool) -> Result<(), LossCurveError> {
    let mut right = px(WIDTH as f64 - 36.0) as i32;
    let entries = [
        ("validation", VALIDATION, validation),
        ("training", TRAINING, training),
    ];
    for (label, color, _) in entries.into_iter().filter(|(_, _, shown)| *shown) {
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

pub(super) fn draw_error(error: impl std::fmt::Display) -> LossCurveError {
    LossCurveError::Draw(error.to_string())
}
