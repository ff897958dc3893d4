//! `freeguide card`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use freeguide::bundle::{CONFIG_FILE, Config};
use freeguide_eval::figures::{Figures, Metrics, NetworkFigures};
use freeguide_interchange::card::{self, CARD_FILE, Evaluation, Row};
use freeguide_native::files::write_atomic;
use freeguide_native::tell;

/// Write the model card of a bundle, README.md, with the header that the Hugging Face hub reads.
///
/// The header states the library, the task, the licence, the pictures in images/ and, with --report, the
/// evaluation. If there is a card, its text stays as it is, and so do the keys of its header, except for
/// the evaluation and for pictures that were removed.
#[derive(Debug, Args)]
pub struct Card {
    /// The bundle, a folder such as models/emoji16.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// A report of `freeguide eval` on this model.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

pub fn run(arguments: &Card) -> Result<ExitCode> {
    let folder = &arguments.model;
    let path = folder.join(CONFIG_FILE);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let config = Config::parse(&text).with_context(|| folder.display().to_string())?;
    let evaluation = match &arguments.report {
        Some(report) => Some(evaluation(report, &config.name)?),
        None => None,
    };
    let pictures = card::pictures(folder)?;
    let path = folder.join(CARD_FILE);
    let written = match fs::read_to_string(&path) {
        Ok(old) => card::completed(&old, &config, &pictures, evaluation.as_ref()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            card::new(&config, &pictures, evaluation.as_ref())
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    write_atomic(&path, written.as_bytes())?;
    tell!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// The figures of a model in a report.
fn evaluation(report: &Path, name: &str) -> Result<Evaluation> {
    let path = report.join("figures.json");
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}: --report is the folder of a report of `freeguide eval`",
            path.display()
        )
    })?;
    let figures: Figures =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let labels = figures.models.iter().map(|model| model.label.as_str());
    let Some(model) = labels.clone().position(|label| label == name) else {
        bail!(
            "{} is about {}, not about {name}",
            report.display(),
            labels.collect::<Vec<_>>().join(", ")
        );
    };
    let mut rows: Vec<Row> = Vec::new();
    for network in &figures.networks {
        for cell in network.cells.iter().filter(|cell| cell.model == model) {
            let sampler = cell.sampler.name();
            let found = rows.iter().position(|row| {
                (row.guidance, row.steps, row.sampler.as_str())
                    == (cell.guidance, cell.steps, sampler)
            });
            let metrics = metrics(network, &cell.metrics);
            match found {
                Some(at) => rows[at].metrics.extend(metrics),
                None => rows.push(Row {
                    guidance: cell.guidance,
                    steps: cell.steps,
                    sampler: sampler.to_owned(),
                    metrics,
                }),
            }
        }
    }
    Ok(Evaluation {
        data: figures.data,
        samples: figures.samples,
        rows,
    })
}

/// The metrics that a card states, by their names with the feature network, to four decimals.
fn metrics(network: &NetworkFigures, metrics: &Metrics) -> Vec<(String, f64)> {
    let accuracy = metrics.accuracy;
    let all = [
        (network.distance.clone(), Some(metrics.frechet_distance)),
        (network.score.clone(), Some(metrics.inception_score)),
        (format!("recall-{}", network.name), Some(metrics.recall)),
        (format!("accuracy-{}", network.name), accuracy),
    ];
    let stated = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    stated
        .map(|(name, value)| (name, (value * 1e4).round() / 1e4))
        .collect()
}
