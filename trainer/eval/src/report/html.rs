//! The report as one HTML page that needs no other file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::layout::{
    Group, PaperTable, distance, evaluations, figure, model_label, sampling, worse_floors,
};
use super::markdown::{METRICS, about, fields, introduction};
use super::pictures::Picture;
use super::plots::Plot;
use crate::figures::{Figures, Metrics, NetworkFigures};

/// The style sheet of the page.
const STYLE: &str = include_str!("report.css");

/// Writes the HTML page.
pub fn html(figures: &Figures, plots: &[Vec<Plot>], pictures: &[Picture]) -> String {
    let names: Vec<&str> = figures.models.iter().map(|m| m.label.as_str()).collect();
    let title = format!("Evaluation of {}", names.join(", "));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.over { "freeguide eval" }
                    h1 { (title) }
                    @for paragraph in introduction(figures) { p { (code_spans(&paragraph)) } }
                    (cards(figures))
                }
                @for (network, plots) in figures.networks.iter().zip(plots) {
                    section { (network_section(figures, network, plots)) }
                }
                @if !pictures.is_empty() {
                    section {
                        h2 { "Pictures" }
                        @for picture in pictures { (figure_of(picture)) }
                    }
                }
                footer {
                    p { "Made by" }
                    pre { code { (figures.command) } }
                }
            }
        }
    };
    page.into_string()
}

/// The key figures: the best Fréchet distance for each network, and the floor.
fn cards(figures: &Figures) -> Markup {
    html! {
        div.cards {
            @for network in &figures.networks {
                @if let Some(best) = network.cells.iter().min_by(|a, b| {
                    a.metrics.frechet_distance.total_cmp(&b.metrics.frechet_distance)
                }) {
                    div.card {
                        p.over { "least " (network.distance) }
                        p.big { (figure(best.metrics.frechet_distance)) }
                        p { (figures.models[best.model].label) " at w = " (best.guidance) }
                        p.floor { "floor " (figure(network.floor.metrics.frechet_distance)) }
                    }
                }
                @if let Some(best) = network.cells.iter().max_by(|a, b| {
                    a.metrics.inception_score.total_cmp(&b.metrics.inception_score)
                }) {
                    div.card {
                        p.over { "highest " (network.score) }
                        p.big { (figure(best.metrics.inception_score)) }
                        p { (figures.models[best.model].label) " at w = " (best.guidance) }
                        p.floor { "real " (figure(network.floor.metrics.inception_score)) }
                    }
                }
            }
        }
    }
}

fn network_section(figures: &Figures, network: &NetworkFigures, plots: &[Plot]) -> Markup {
    html! {
        h2 { (network.name) }
        p { (about(network)) }
        div.tables {
            @for table in PaperTable::all(network) { (paper_table(figures, network, &table)) }
        }
        div.plots {
            @for plot in plots {
                figure {
                    h3 { (plot.title) }
                    (PreEscaped(themed(&plot.svg)))
                    figcaption { (plot.caption) }
                }
            }
        }
        h3 { "All metrics" }
        (all_metrics(figures, network))
    }
}

fn paper_table(figures: &Figures, network: &NetworkFigures, table: &PaperTable) -> Markup {
    let mark = |(value, best): (f64, bool)| html! { span.best[best] { (figure(value)) } };
    html! {
        table.paper {
            caption {
                (network.distance) " / " (network.score) ", " (sampling(table.sampler, table.steps))
            }
            thead {
                tr {
                    th scope="col" { "w" }
                    @for &model in &table.models { th scope="col" { (model_label(figures, model)) } }
                }
            }
            tbody {
                @for (w, row) in &table.rows {
                    tr {
                        th scope="row" { (w) }
                        @for field in row {
                            td {
                                @if let Some(field) = field {
                                    (mark(field.distance)) " / " (mark(field.score))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn all_metrics(figures: &Figures, network: &NetworkFigures) -> Markup {
    let row = |metrics: &Metrics| {
        html! {
            td { (distance(metrics)) }
            td { (figure(metrics.inception_score)) " ± " (figure(metrics.inception_score_deviation)) }
            @for field in fields(metrics) { td { (field) } }
        }
    };
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th scope="col" { "cell" }
                        th scope="col" { "w" }
                        th scope="col" { (network.distance) }
                        th scope="col" { (network.score) }
                        @for name in METRICS { th scope="col" { (name) } }
                    }
                }
                tbody {
                    tr.real {
                        th scope="row" { "real, " (network.floor.images) " against " (network.floor.against) }
                        td {}
                        (row(&network.floor.metrics))
                        td {}
                        td {}
                    }
                    @for (label, metrics) in worse_floors(network) {
                        tr.real {
                            th scope="row" { (label) }
                            td {}
                            (row(metrics))
                            td {}
                            td {}
                        }
                    }
                    @for group in Group::all(network) {
                        @for (_, cell) in group.cells(network) {
                            tr {
                                th scope="row" {
                                    (model_label(figures, cell.model)) ", "
                                    (sampling(cell.sampler, cell.steps))
                                }
                                td { (cell.guidance) }
                                (row(&cell.metrics))
                                td { (evaluations(cell)) }
                                td { (format!("{:.1}", cell.images_per_second)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn figure_of(picture: &Picture) -> Markup {
    let data = format!("data:image/png;base64,{}", STANDARD.encode(&picture.png));
    let count = picture.columns.len();
    html! {
        figure.picture {
            h3 { (picture.title) }
            div.sheet {
                @if count > 0 {
                    div.columns style=(format!("grid-template-columns: repeat({count}, 1fr)")) {
                        @for column in &picture.columns { span { "w = " (column) } }
                    }
                }
                img src=(data) alt=(picture.title);
            }
            figcaption { (picture.caption) }
        }
    }
}

/// Text with code between backticks.
fn code_spans(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A drawing in the text colour of the page, so that it is also legible on a dark page.
fn themed(svg: &str) -> String {
    svg.replace("#262A33", "currentColor")
        .replace("#E2E5EB", "var(--line)")
}
