//! The plots of a report.

use super::layout::{Group, figure, model_label, spread, strengths};
use super::plot::{Chart, Point, Series};
use crate::figures::{CellFigures, Figures, NetworkFigures};

/// A plot with its file name and its caption.
pub struct Plot {
    /// The file name, without a folder.
    pub file: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The drawing.
    pub svg: String,
}

/// Strengths for which the metric is drawn against the number of evaluations.
const PANELS: usize = 4;

/// All plots for which these figures have enough points.
///
/// # Errors
///
/// If the drawing library fails.
pub fn plots(figures: &Figures, network: &NetworkFigures) -> Result<Vec<Plot>, String> {
    let mut plots = Vec::new();
    let name = network
        .name
        .to_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let mut add = |kind: &str, title: String, caption: String, chart: Chart| {
        plots.push(Plot {
            file: format!("{kind}-{name}.svg"),
            title,
            caption,
            svg: chart.to_svg()?,
        });
        Ok::<(), String>(())
    };
    let (distance, score) = (&network.distance, &network.score);
    let strengths = strengths(network);
    let along = if strengths.len() > 1 { "w" } else { "T" };
    add(
        "trade-off",
        format!("{distance} against {score}"),
        format!(
            "The trade-off of the paper's Figure 4: one line per model, with {along} beside its points. Lower is closer to the data ({distance}); further right means more distinct classes ({score})."
        ),
        Chart {
            x: score,
            y: distance,
            log_x: false,
            series: lines(figures, network, |m| {
                (m.metrics.inception_score, m.metrics.frechet_distance)
            }),
        },
    )?;
    if strengths.len() > 1 {
        add(
            "guidance",
            format!("{distance} over w"),
            format!(
                "The line \"real\" is the floor: {} real images against the {} others.",
                network.floor.images, network.floor.against
            ),
            Chart {
                x: "guidance w",
                y: distance,
                log_x: false,
                series: with_floor(
                    unlabelled(lines(figures, network, |m| {
                        (m.guidance, m.metrics.frechet_distance)
                    })),
                    network,
                ),
            },
        )?;
    }
    let mut series = lines(figures, network, |m| {
        (m.metrics.recall, m.metrics.precision)
    });
    series.push(Series {
        name: "real".to_owned(),
        points: vec![Point {
            x: network.floor.metrics.recall,
            y: network.floor.metrics.precision,
            label: String::new(),
        }],
        scattered: true,
    });
    add(
        "precision-recall",
        "Precision against recall".to_owned(),
        format!(
            "Fidelity increases upwards and diversity to the right (Kynkäänniemi et al. 2019), in the feature space of {}, with {along} beside the points.",
            network.name
        ),
        Chart {
            x: "recall",
            y: "precision",
            log_x: false,
            series,
        },
    )?;
    for w in spread(&strengths, PANELS) {
        let series = over_steps(figures, network, w, |cell| {
            (cell.evaluations as f64, cell.metrics.frechet_distance)
        });
        if series.iter().any(|s| s.points.len() > 1) {
            add(
                &format!("evaluations-w{w}"),
                format!("{distance} against network evaluations, w = {w}"),
                "One line per sampler. A guided step takes two evaluations; at w = 0 and w = −1 it takes one.".to_owned(),
                Chart {
                    x: "network evaluations per image (NFE)",
                    y: distance,
                    log_x: true,
                    series,
                },
            )?;
        }
    }
    Ok(plots)
}

/// One line per group, with w at its points. If there is a single w, one line per model and sampler, with T at its
/// points.
fn lines(
    figures: &Figures,
    network: &NetworkFigures,
    place: impl Fn(&CellFigures) -> (f64, f64),
) -> Vec<Series> {
    if let [w] = strengths(network)[..] {
        return over_steps(figures, network, w, place);
    }
    let line = |group: &Group| Series {
        name: group.label(figures, network),
        points: group
            .cells(network)
            .into_iter()
            .map(|(_, cell)| {
                let (x, y) = place(cell);
                Point {
                    x,
                    y,
                    label: cell.guidance.to_string(),
                }
            })
            .collect(),
        scattered: false,
    };
    Group::all(network).iter().map(line).collect()
}

fn unlabelled(mut series: Vec<Series>) -> Vec<Series> {
    let points = series.iter_mut().flat_map(|s| &mut s.points);
    points.for_each(|p| p.label.clear());
    series
}

fn with_floor(mut series: Vec<Series>, network: &NetworkFigures) -> Vec<Series> {
    let all = || series.iter().flat_map(|s| &s.points).map(|p| p.x);
    let ends = [
        all().fold(f64::INFINITY, f64::min),
        all().fold(f64::NEG_INFINITY, f64::max),
    ];
    let y = network.floor.metrics.frechet_distance;
    let points = ends.map(|x| Point {
        x,
        y,
        label: String::new(),
    });
    let mut points = points.to_vec();
    points[0].label = figure(y);
    series.push(Series {
        name: "real".to_owned(),
        points,
        scattered: false,
    });
    series
}

/// One line per model and sampler at one w, from few evaluations to many.
fn over_steps(
    figures: &Figures,
    network: &NetworkFigures,
    w: f64,
    place: impl Fn(&CellFigures) -> (f64, f64),
) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    let mut cells: Vec<&CellFigures> = network.cells.iter().filter(|c| c.guidance == w).collect();
    cells.sort_by_key(|cell| cell.evaluations);
    for cell in cells {
        let model = model_label(figures, cell.model);
        let name = match figures.models.len() {
            1 => cell.sampler.name().to_owned(),
            _ => format!("{model}, {}", cell.sampler.name()),
        };
        let (x, y) = place(cell);
        let label = format!("T {}", cell.steps);
        let point = Point { x, y, label };
        match series.iter_mut().find(|s| s.name == name) {
            Some(line) => line.points.push(point),
            None => series.push(Series {
                name,
                points: vec![point],
                scattered: false,
            }),
        }
    }
    series
}
