//! The report as Markdown.

use std::fmt::Write;

use super::layout::{
    Group, PaperTable, distance, evaluations, figure, model_label, sampling, worse_floors,
};
use super::pictures::Picture;
use super::plots::Plot;
use crate::figures::{Figures, Metrics, NetworkFigures};

/// The columns of the table of all metrics.
pub const METRICS: [&str; 9] = [
    "precision",
    "recall",
    "density",
    "coverage",
    "accuracy",
    "authenticity",
    "kernel distance",
    "NFE",
    "images/s",
];

/// The fields of these columns except the last two.
pub fn fields(metrics: &Metrics) -> [String; 7] {
    [
        figure(metrics.precision),
        figure(metrics.recall),
        figure(metrics.density),
        figure(metrics.coverage),
        metrics
            .accuracy
            .map_or_else(|| "–".to_owned(), |a| format!("{:.1} %", 100.0 * a)),
        figure(metrics.authenticity),
        format!(
            "{} ± {}",
            figure(metrics.kernel_distance),
            figure(metrics.kernel_distance_deviation)
        ),
    ]
}

/// Writes the report. Its plots and pictures are in the folder `plots/` beside it.
pub fn markdown(figures: &Figures, plots: &[Vec<Plot>], pictures: &[Picture]) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line("# Evaluation\n");
    for paragraph in introduction(figures) {
        line(&format!("{paragraph}\n"));
    }
    line(&format!("```sh\n{}\n```\n", figures.command));
    for (network, plots) in figures.networks.iter().zip(plots) {
        line(&format!("## {}\n", network.name));
        line(&format!("{}\n", about(network)));
        for table in PaperTable::all(network) {
            line(&paper_table(figures, network, &table));
        }
        line(&all_metrics(figures, network));
        for plot in plots {
            line(&format!("**{}.** {}\n", plot.title, plot.caption));
            line(&format!("![{}](plots/{})\n", plot.title, plot.file));
        }
    }
    if !pictures.is_empty() {
        line("## Pictures\n");
    }
    for picture in pictures {
        let columns = match picture.columns.as_slice() {
            [] => String::new(),
            columns => format!(" From left to right w = {}.", columns.join(", ")),
        };
        line(&format!(
            "**{}.** {}{columns}\n",
            picture.title, picture.caption
        ));
        line(&format!("![{}](plots/{})\n", picture.title, picture.file));
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

/// The introduction of every report.
pub fn introduction(figures: &Figures) -> Vec<String> {
    vec![
        format!(
            "{} generated images per cell (seed {}) against {} real images of `{}`. Each image has its own seed, so each cell can be reproduced on its own.",
            figures.samples, figures.seed, figures.real_images, figures.data
        ),
        format!(
            "A metric is named after its feature network. Compare it only with values of the same network and the same number of images. Fewer images give larger Fréchet distances; the floor, real images against other real images, shows what a perfect model would reach. Measured by {} on {}.",
            figures.written_by, figures.machine
        ),
    ]
}

/// A paragraph about a network, with the floor.
pub fn about(network: &NetworkFigures) -> String {
    let accuracy = network.held_out_accuracy.map_or_else(String::new, |a| {
        format!(
            ", {:.1} % accurate on images that it was not trained on",
            100.0 * a
        )
    });
    let no_accuracy = network.no_accuracy.as_ref();
    let no_accuracy = no_accuracy.map_or_else(String::new, |why| format!(" {why}"));
    format!(
        "{} features of {}×{} pixels{accuracy}; {:.0} images a second. Floor, {} real images against the {} others: {} {}, {} {}.{no_accuracy}",
        network.features,
        network.input,
        network.input,
        network.images_per_second,
        network.floor.images,
        network.floor.against,
        network.distance,
        figure(network.floor.metrics.frechet_distance),
        network.score,
        figure(network.floor.metrics.inception_score),
    )
}

fn paper_table(figures: &Figures, network: &NetworkFigures, table: &PaperTable) -> String {
    let mut out = format!(
        "{} / {}, {}:\n\n| w |",
        network.distance,
        network.score,
        sampling(table.sampler, table.steps)
    );
    for &model in &table.models {
        let _ = write!(out, " {} |", model_label(figures, model));
    }
    let _ = write!(out, "\n|---|{}\n", "---|".repeat(table.models.len()));
    let mark = |(value, best): (f64, bool)| match best {
        true => format!("**{}**", figure(value)),
        false => figure(value),
    };
    for (w, fields) in &table.rows {
        let _ = write!(out, "| {w} |");
        for field in fields {
            let _ = match field {
                Some(field) => write!(out, " {} / {} |", mark(field.distance), mark(field.score)),
                None => write!(out, " |"),
            };
        }
        out.push('\n');
    }
    out
}

fn all_metrics(figures: &Figures, network: &NetworkFigures) -> String {
    let mut out = format!(
        "| | w | {} | {} | {} |\n",
        network.distance,
        network.score,
        METRICS.join(" | ")
    );
    let _ = writeln!(out, "|---|{}", "---|".repeat(METRICS.len() + 3));
    let row = |metrics: &Metrics| {
        format!(
            "{} | {} ± {} | {}",
            distance(metrics),
            figure(metrics.inception_score),
            figure(metrics.inception_score_deviation),
            fields(metrics).join(" | ")
        )
    };
    let _ = writeln!(
        out,
        "| real ({} against {}) | | {} | | |",
        network.floor.images,
        network.floor.against,
        row(&network.floor.metrics)
    );
    for (label, metrics) in worse_floors(network) {
        let _ = writeln!(out, "| {label} | | {} | | |", row(metrics));
    }
    for group in Group::all(network) {
        for (_, cell) in group.cells(network) {
            let _ = writeln!(
                out,
                "| {}, {} | {} | {} | {} | {:.1} |",
                model_label(figures, cell.model),
                sampling(cell.sampler, cell.steps),
                cell.guidance,
                row(&cell.metrics),
                evaluations(cell),
                cell.images_per_second,
            );
        }
    }
    out
}
