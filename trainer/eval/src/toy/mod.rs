//! The paper's illustration of guidance (Ho & Salimans 2022, Figure 2): three Gaussians, exactly and as sampled.

mod contour;

use burn::tensor::Device;
use freeguide::gaussian_mixture::{GaussianMixture, POINT_SHAPE};
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::sampler::{Run, Solver};
use freeguide::settings::Plan;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use thiserror::Error;

use contour::Grid;

/// What is drawn.
#[derive(Debug, Clone)]
pub struct Toy {
    /// The guidance strengths w, one per column.
    pub guidance: Vec<f64>,
    /// The number of points per panel.
    pub samples: usize,
    /// T.
    pub steps: usize,
    /// The solver.
    pub sampler: Solver,
    /// The seed.
    pub seed: u64,
}

/// Why the illustration could not be drawn.
#[derive(Debug, Error)]
pub enum ToyError {
    /// The drawing library failed.
    #[error("cannot draw the illustration: {0}")]
    Draw(String),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
}

/// The side of a panel, in pixels.
const PANEL: i32 = 230;
/// Room between panels.
const GAP: i32 = 14;
/// Room for the headings of rows.
const LEFT: i32 = 34;
/// Room for the headings of columns.
const TOP: i32 = 40;
/// The plane is shown from −EXTENT to EXTENT.
const EXTENT: f64 = 1.25;
/// The number of points of a density along each side.
const SIDE: usize = 121;
/// The levels of the contours, as shares of the highest density.
const LEVELS: [f64; 8] = [0.02, 0.08, 0.18, 0.32, 0.48, 0.64, 0.8, 0.93];
/// The range of λ for sampling. Within it, f32 resolves the noise of a point.
const RANGE: LogSnrRange = LogSnrRange {
    min: -14.0,
    max: 12.0,
};
const COLORS: [RGBColor; 3] = [
    RGBColor(37, 99, 235),
    RGBColor(217, 119, 6),
    RGBColor(13, 148, 136),
];
const FONT: &str = "DejaVu Sans";
const INK: RGBColor = RGBColor(38, 42, 51);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type DrawError<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

impl Toy {
    /// Draws the illustration. The upper row shows the guided density p(x | c) p(c | x)^w for each strength, with each
    /// class normalised. The lower row shows what the sampler draws with the exact denoiser.
    ///
    /// For w > 0 the two differ: guided sampling follows the guided score of every noise level, and these are not the
    /// scores of a single density with added noise.
    ///
    /// # Errors
    ///
    /// [`ToyError`].
    pub fn to_svg(&self, device: &Device) -> Result<String, ToyError> {
        let draw = |e: &dyn std::fmt::Display| ToyError::Draw(e.to_string());
        register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
            .map_err(|_| draw(&"the embedded font is damaged"))?;
        let mixture = GaussianMixture::three(Target::V);
        let columns = self.guidance.len() as i32;
        let size = (LEFT + columns * (PANEL + GAP), TOP + 2 * (PANEL + GAP));
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (size.0 as u32, size.1 as u32))
                .into_drawing_area();
            area.fill(&WHITE).map_err(|e| draw(&e))?;
            for (row, text) in ["exact", "sampled"].iter().enumerate() {
                let middle = TOP + row as i32 * (PANEL + GAP) + PANEL / 2;
                let style = (FONT, 15).into_font().color(&INK);
                let style = style.transform(FontTransform::Rotate270);
                let style = style.pos(Pos::new(HPos::Center, VPos::Center));
                let text = Text::new((*text).to_owned(), (16, middle), style);
                area.draw(&text).map_err(|e| draw(&e))?;
            }
            for (column, &w) in self.guidance.iter().enumerate() {
                let left = LEFT + column as i32 * (PANEL + GAP);
                let style = (FONT, 17).into_font().color(&INK);
                let style = style.pos(Pos::new(HPos::Center, VPos::Center));
                let heading = Text::new(format!("w = {w}"), (left + PANEL / 2, 20), style);
                area.draw(&heading).map_err(|e| draw(&e))?;
                let exact = panel(&area, left, TOP).map_err(|e| draw(&e))?;
                exact_density(&exact, &mixture, w).map_err(|e| draw(&e))?;
                let points = self.sample(&mixture, w, device)?;
                let sampled = panel(&area, left, TOP + PANEL + GAP).map_err(|e| draw(&e))?;
                scatter(&sampled, &points).map_err(|e| draw(&e))?;
            }
            area.present().map_err(|e| draw(&e))?;
        }
        Ok(svg)
    }

    /// Sampled points with their classes, from the library's sampler.
    fn sample(
        &self,
        mixture: &GaussianMixture,
        w: f64,
        device: &Device,
    ) -> Result<Vec<(u32, [f64; 2])>, ToyError> {
        let classes: Vec<u32> = (0..self.samples).map(|k| k as u32 % 3).collect();
        let plan = Plan::new(classes.iter().map(|&c| Some(c)).collect(), self.steps)
            .with_guidance(w)
            .with_seed(self.seed)
            .with_sampler(self.sampler)
            .with_clip(false);
        let mut run = Run::new(mixture, plan, Target::V, RANGE, POINT_SHAPE, device);
        while run.advance() {}
        let data = run.denoised().try_into_data();
        let data = data.map_err(|e| ToyError::Device(e.to_string()))?;
        let values: Vec<f64> = data.iter::<f64>().collect();
        let points = values.chunks_exact(2).map(|p| [p[0], p[1]]);
        Ok(classes.into_iter().zip(points).collect())
    }
}

/// Draws the frame of a panel and returns the area within it.
fn panel<'a>(area: &Area<'a>, left: i32, top: i32) -> Result<Area<'a>, DrawError<'a>> {
    let (width, height) = area.dim_in_pixel();
    let (right, bottom) = (left + PANEL, top + PANEL);
    let inner = area.margin(top, height as i32 - bottom, left, width as i32 - right);
    let frame = Rectangle::new([(0, 0), (PANEL - 1, PANEL - 1)], INK.mix(0.25));
    inner.draw(&frame).map(|()| inner.clone())
}

/// Maps a point of the plane to pixels of a panel; the y axis points up.
fn pixel_of([x, y]: [f64; 2]) -> (i32, i32) {
    let pixel = |v: f64| ((v / EXTENT + 1.0) / 2.0 * f64::from(PANEL)).round() as i32;
    (pixel(x), PANEL - pixel(y))
}

/// The guided density of one class over the plane, scaled so that its maximum is 1.
fn density(mixture: &GaussianMixture, class: u32, w: f64) -> Grid {
    let at = |k: usize| (k as f64 / (SIDE - 1) as f64 * 2.0 - 1.0) * EXTENT;
    let logs: Vec<f64> = (0..SIDE * SIDE)
        .map(|i| mixture.log_guided_density([at(i % SIDE), at(i / SIDE)], class, w))
        .collect();
    let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Grid {
        side: SIDE,
        values: logs.iter().map(|l| (l - highest).exp()).collect(),
    }
}

fn exact_density<'a>(
    area: &Area<'a>,
    mixture: &GaussianMixture,
    w: f64,
) -> Result<(), DrawError<'a>> {
    let at = |v: f64| (v / (SIDE - 1) as f64 * 2.0 - 1.0) * EXTENT;
    for (class, color) in COLORS.iter().enumerate() {
        let grid = density(mixture, class as u32, w);
        for level in LEVELS {
            for line in grid.contours(level) {
                let line: Vec<_> = line
                    .iter()
                    .map(|&(x, y)| pixel_of([at(x), at(y)]))
                    .collect();
                area.draw(&Polygon::new(line, color.mix(0.16)))?;
            }
        }
    }
    Ok(())
}

fn scatter<'a>(area: &Area<'a>, points: &[(u32, [f64; 2])]) -> Result<(), DrawError<'a>> {
    for (class, point) in points {
        if point.iter().all(|v| v.abs() < EXTENT) {
            let color = COLORS[*class as usize].mix(0.45);
            area.draw(&Circle::new(pixel_of(*point), 1, color.filled()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_a_column_for_every_strength() {
        let toy = Toy {
            guidance: vec![0.0, 1.0, 4.0],
            samples: 30,
            steps: 8,
            sampler: Solver::Ddim,
            seed: 1,
        };
        let svg = toy.to_svg(&Device::flex()).unwrap();
        for heading in ["w = 0", "w = 1", "w = 4", "exact", "sampled"] {
            assert!(svg.contains(heading), "{heading}");
        }
        assert!(svg.matches("<circle").count() > 80);
        assert!(svg.matches("<polygon").count() >= 3 * 3 * LEVELS.len());
    }

    #[test]
    fn no_density_has_a_hole_which_would_be_filled() {
        let mixture = GaussianMixture::three(Target::V);
        for class in 0..3 {
            for w in [0.0, 0.5, 1.0, 2.0, 3.0, 4.0] {
                for level in LEVELS {
                    assert_eq!(density(&mixture, class, w).contours(level).len(), 1);
                }
            }
        }
    }
}
