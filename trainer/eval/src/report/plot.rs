//! Line charts as SVG.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A line chart.
pub struct Chart<'a> {
    /// The label of the horizontal axis.
    pub x: &'a str,
    /// The label of the vertical axis.
    pub y: &'a str,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
pub struct Series {
    /// Its label in the legend.
    pub name: String,
    /// Its points, in the order in which they are connected.
    pub points: Vec<Point>,
    /// Whether to draw only the points, without a line.
    pub scattered: bool,
}

/// One point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The horizontal coordinate.
    pub x: f64,
    /// The vertical coordinate.
    pub y: f64,
    /// The label beside it; may be empty.
    pub label: String,
}

const WIDTH: u32 = 760;
const HEIGHT: u32 = 460;
const FONT: &str = "DejaVu Sans";

/// Colours that the page replaces with its own, so that plots also follow a dark theme.
pub const INK: RGBColor = RGBColor(38, 42, 51);
const MESH: RGBColor = RGBColor(226, 229, 235);

/// They differ in lightness as well as hue, so they can be distinguished on light and dark backgrounds, also by the
/// colour-blind.
pub const PALETTE: [RGBColor; 6] = [
    RGBColor(37, 99, 235),
    RGBColor(217, 119, 6),
    RGBColor(13, 148, 136),
    RGBColor(190, 24, 93),
    RGBColor(124, 58, 237),
    RGBColor(101, 163, 13),
];

impl Chart<'_> {
    /// Draws the chart. Points that are not finite are skipped.
    ///
    /// # Errors
    ///
    /// If the drawing library fails, or there is nothing to draw.
    pub fn to_svg(&self) -> Result<String, String> {
        let embedded = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
        embedded.map_err(|_| "the embedded font is damaged".to_owned())?;
        let points = || self.series.iter().flat_map(|s| &s.points);
        let finite = |v: &f64| v.is_finite();
        let place = |x: f64| if self.log_x { x.log2() } else { x };
        let x = Axis::fit(points().map(|p| place(p.x)).filter(finite), self.log_x);
        let y = Axis::fit(points().map(|p| p.y).filter(finite), false);
        let (x, y) = x.zip(y).ok_or("there is nothing to draw")?;

        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
            self.paint(&area, x, y, &place).map_err(|e| e.to_string())?;
            area.present().map_err(|e| e.to_string())?;
        }
        Ok(responsive(&svg))
    }

    fn paint<'b>(
        &self,
        area: &DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
        x: Axis,
        y: Axis,
        place: &dyn Fn(f64) -> f64,
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>> {
        let font = |size: i32| (FONT, size).into_font().color(&INK);
        let mut chart = ChartBuilder::on(area)
            .margin_top(44)
            .margin_right(28)
            .margin_bottom(4)
            .x_label_area_size(54)
            .y_label_area_size(76)
            .build_cartesian_2d(x, y)?;
        let log_x = self.log_x;
        chart
            .configure_mesh()
            .x_labels(8)
            .y_labels(7)
            .bold_line_style(MESH)
            .light_line_style(TRANSPARENT)
            .axis_style(INK.mix(0.5))
            .x_desc(self.x)
            .y_desc(self.y)
            .label_style(font(16))
            .axis_desc_style(font(17))
            .x_label_formatter(&|v| number(if log_x { v.exp2() } else { *v }))
            .y_label_formatter(&|v| number(*v))
            .draw()?;
        for (k, series) in self.series.iter().enumerate() {
            let color = PALETTE[k % PALETTE.len()];
            let shown = series
                .points
                .iter()
                .filter(|p| p.y.is_finite() && place(p.x).is_finite());
            let points: Vec<&Point> = shown.collect();
            if !series.scattered {
                let line = points.iter().map(|p| (place(p.x), p.y));
                chart.draw_series(LineSeries::new(line, color.stroke_width(3)))?;
            }
            let dots = points
                .iter()
                .map(|p| Circle::new((place(p.x), p.y), 5, color.filled()));
            chart.draw_series(dots)?;
            let style = (FONT, 15).into_font().color(&color);
            let style = style.pos(Pos::new(HPos::Left, VPos::Bottom));
            // With many points, a label for each would cover the line.
            let every = points.len().div_ceil(9).max(1);
            for point in points.iter().step_by(every).filter(|p| !p.label.is_empty()) {
                chart.draw_series(std::iter::once(
                    EmptyElement::at((place(point.x), point.y))
                        + Text::new(point.label.clone(), (6, -4), style.clone()),
                ))?;
            }
        }
        self.legend(area)
    }

    fn legend<'b>(
        &self,
        area: &DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>> {
        let mut left = 80;
        for (k, series) in self.series.iter().enumerate() {
            let color = PALETTE[k % PALETTE.len()];
            area.draw(&Circle::new((left, 20), 5, color.filled()))?;
            let style = (FONT, 16).into_font().color(&INK);
            let style = style.pos(Pos::new(HPos::Left, VPos::Center));
            let (width, _) = area.estimate_text_size(&series.name, &style)?;
            area.draw(&Text::new(series.name.clone(), (left + 11, 20), style))?;
            left += width as i32 + 36;
        }
        Ok(())
    }
}

/// The range of an axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from: f64,
    to: f64,
    log: bool,
}

impl Axis {
    /// A range slightly larger than that of the values; `None` without values.
    fn fit(values: impl Iterator<Item = f64>, log: bool) -> Option<Self> {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
        if low > high {
            return None;
        }
        let room = match high - low {
            span if span > 0.0 => 0.07 * span,
            _ if log => 0.3,
            _ => (0.1 * high.abs()).max(0.5),
        };
        // Most figures cannot be negative, so the axis should not be either.
        let from = low - room;
        let from = if !log && low >= 0.0 {
            from.max(0.0)
        } else {
            from
        };
        Some(Self {
            from,
            to: high + 1.4 * room,
            log,
        })
    }

    fn linear(self) -> RangedCoordf64 {
        (self.from..self.to).into()
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        self.linear().map(value, pixels)
    }

    /// The positions of the labels: powers of two on a logarithmic axis, because steps and evaluations double.
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if !self.log {
            return self.linear().key_points(hint);
        }
        let (first, last) = (self.from.ceil() as i32, self.to.floor() as i32);
        let octaves = usize::try_from(last - first).unwrap_or(0);
        let every = octaves / hint.max_num_points().max(1) + 1;
        (first..=last).step_by(every).map(f64::from).collect()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

/// A number with the digits that an axis needs.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A drawing that scales to the available width.
pub fn responsive(svg: &str) -> String {
    let fixed = format!("width=\"{WIDTH}\" height=\"{HEIGHT}\" ");
    svg.replacen(&fixed, "", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_they_need() {
        let written = [0.0, 0.25, 1.5, 12.0, 12.25, 256.0, 0.0125].map(number);
        assert_eq!(written, ["0", "0.25", "1.5", "12", "12.2", "256", "0.0125"]);
    }

    #[test]
    fn every_series_is_in_the_picture_and_what_is_no_number_is_not() {
        let point = |x, y| Point {
            x,
            y,
            label: format!("w{x}"),
        };
        let series = |name: &str, y| Series {
            name: name.to_owned(),
            points: vec![point(1.0, y), point(2.0, f64::NAN), point(4.0, y + 1.0)],
            scattered: false,
        };
        let chart = Chart {
            x: "NFE",
            y: "FD",
            log_x: true,
            series: vec![series("ddim & co", 1.0), series("ancestral", 3.0)],
        };
        let svg = chart.to_svg().unwrap();
        assert!(svg.starts_with("<svg ") && !svg.contains("width=\"760\""));
        assert!(svg.contains("ddim &amp; co") && svg.contains("ancestral"));
        assert!(svg.contains("w4") && !svg.contains("w2") && !svg.contains("NaN"));
        assert_eq!(svg.matches("<circle").count(), 2 * 2 + 2);
        for tick in [">\n1\n", ">\n2\n", ">\n4\n"] {
            assert!(svg.contains(tick), "{tick:?} is not on the axis: {svg}");
        }
        let empty = Chart {
            series: Vec::new(),
            ..chart
        };
        assert!(empty.to_svg().is_err());
    }
}
