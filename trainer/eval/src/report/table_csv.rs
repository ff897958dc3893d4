//! All figures as CSV, a row for each network and cell.

use anyhow::Result;

use super::layout::worse_floors;
use crate::figures::{Figures, Metrics};

/// Writes the table. The floor of each network is a row whose model is `real`, and so are real images with noise or blur.
///
/// # Errors
///
/// None in practice, because it writes into memory.
pub fn csv(figures: &Figures) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "network",
        "model",
        "p_uncond",
        "sampler",
        "steps",
        "guidance",
        "images",
        "evaluations",
        "images_per_second",
        "frechet_distance",
        "frechet_distance_deviation",
        "inception_score",
        "inception_score_deviation",
        "kernel_distance",
        "kernel_distance_deviation",
        "precision",
        "recall",
        "density",
        "coverage",
        "accuracy",
        "authenticity",
        "nearest_distance",
    ])?;
    for network in &figures.networks {
        let nothing = String::new;
        let floor = [nothing(), nothing(), nothing(), nothing()];
        let images = network.floor.images.to_string();
        let end = [images, nothing(), nothing()];
        let floors = std::iter::once(("real".to_owned(), &network.floor.metrics));
        for (label, metrics) in floors.chain(worse_floors(network)) {
            let head = [network.name.clone(), label];
            let metrics = numbers(metrics);
            out.write_record(head.iter().chain(&floor).chain(&end).chain(&metrics))?;
        }
        for cell in &network.cells {
            let model = &figures.models[cell.model];
            let head = [
                network.name.clone(),
                model.label.clone(),
                model.p_uncond.to_string(),
                cell.sampler.name().to_owned(),
                cell.steps.to_string(),
                cell.guidance.to_string(),
                figures.samples.to_string(),
                cell.evaluations.to_string(),
                format!("{:.2}", cell.images_per_second),
            ];
            out.write_record(head.iter().chain(&numbers(&cell.metrics)))?;
        }
    }
    Ok(out.into_inner().map_err(|e| e.into_error())?)
}

fn numbers(metrics: &Metrics) -> [String; 13] {
    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    [
        metrics.frechet_distance.to_string(),
        optional(metrics.frechet_distance_deviation),
        metrics.inception_score.to_string(),
        metrics.inception_score_deviation.to_string(),
        metrics.kernel_distance.to_string(),
        metrics.kernel_distance_deviation.to_string(),
        metrics.precision.to_string(),
        metrics.recall.to_string(),
        metrics.density.to_string(),
        metrics.coverage.to_string(),
        optional(metrics.accuracy),
        metrics.authenticity.to_string(),
        metrics.nearest_distance.to_string(),
    ]
}
