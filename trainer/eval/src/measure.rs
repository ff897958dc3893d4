//! Computes the figures from features.

use anyhow::{Context, Result};
use freeguide::bundle::WRITTEN_BY;

use super::damage::Damage;
use super::figures::{CellFigures, Figures, Floor, Metrics, ModelInfo, NetworkFigures, WorseFloor};
use super::metrics::{
    Comparison, Manifold, Moments, Reference, SUBSET_SIZE, SUBSETS, accuracy, inception_score,
    kernel_distance,
};
use super::work::{Source, Work};
use crate::features::{Extracted, FeatureNetwork};
use freeguide_native::machine;

/// The nearest real image of a generated one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The index of the generated image.
    pub generated: usize,
    /// The index of the real image.
    pub real: usize,
    /// Their distance.
    pub distance: f64,
}

/// The figures, and what the pictures of a report need besides.
pub struct Measured {
    /// The figures.
    pub figures: Figures,
    /// For each network and cell, the generated images that are nearest to real ones, nearest first.
    pub nearest: Vec<Vec<Vec<Neighbour>>>,
}

/// The number of pairs that are kept per cell.
const PAIRS: usize = 12;

/// The real images of a comparison.
struct Side {
    reference: Reference,
    manifold: Manifold,
}

impl Side {
    fn new(extracted: Extracted) -> Result<Self> {
        Ok(Self {
            reference: Reference::new(&Moments::of(&extracted.features)?)?,
            manifold: Manifold::new(extracted.features)?,
        })
    }
}

/// Computes all figures from the store.
///
/// # Errors
///
/// If there are too few images for a metric, or a chunk is missing.
pub fn measure(work: &Work, command: String) -> Result<Measured> {
    let (inputs, sweep) = (work.inputs, work.sweep);
    let models = inputs.models.iter().zip(&inputs.labels);
    let mut measured = Measured {
        figures: Figures {
            written_by: WRITTEN_BY.to_owned(),
            machine: machine::description(),
            command,
            data: sweep.data.display().to_string(),
            real_images: inputs.data.len(),
            samples: sweep.samples,
            seed: sweep.seed,
            models: models
                .map(|(model, label)| {
                    let origin = &model.config().provenance;
                    ModelInfo {
                        label: label.clone(),
                        p_uncond: origin.p_uncond,
                        images_seen: origin.images_seen,
                        parameters: origin.parameters,
                        guide: model.guide().map(|guide| guide.name.clone()),
                        classifier_guidance: model.classifier().map(|of| of.strength),
                    }
                })
                .collect(),
            networks: Vec::new(),
        },
        nearest: Vec::new(),
    };
    for network in &inputs.networks {
        let (figures, nearest) =
            of_network(work, network).with_context(|| network.name().to_owned())?;
        measured.figures.networks.push(figures);
        measured.nearest.push(nearest);
    }
    Ok(measured)
}

fn of_network(
    work: &Work,
    network: &FeatureNetwork,
) -> Result<(NetworkFigures, Vec<Vec<Neighbour>>)> {
    let (inputs, sweep) = (work.inputs, work.sweep);
    let known = inputs.network_classes(network);
    let no_accuracy = known.as_ref().err().cloned();
    let known = known.ok();
    let real = work.read(network, Source::Data)?;
    let (mut images, mut seconds) = (inputs.data.len(), real.seconds);
    let (floor, worse) = floor(work, network, &real.extracted, known.as_deref())?;
    let real = Side::new(real.extracted).context("the data set")?;

    let asked: Option<Vec<u32>> = known.map(|ids| {
        let classes = inputs.sequence.iter();
        classes.map(|&class| ids[class as usize]).collect()
    });
    let (mut cells, mut nearest) = (Vec::new(), Vec::new());
    for (index, cell) in inputs.cells.iter().enumerate() {
        let stored = work.read(network, Source::Cell(index))?;
        images += sweep.samples;
        seconds += stored.seconds;
        let (metrics, comparison) =
            compare(&real, stored.extracted, asked.as_deref(), sweep.splits)
                .context("--samples")?;
        nearest.push(pairs(&comparison));
        let model = &inputs.models[cell.model];
        let run = model.run(cell.plan(model, sweep.seed, 0, &[0])?);
        cells.push(CellFigures {
            model: cell.model,
            sampler: cell.sampler,
            steps: cell.steps,
            guidance: cell.guidance,
            evaluations: run.evaluations(0),
            gradient_evaluations: run.gradient_evaluations(0),
            images_per_second: work.drawn_per_second(index),
            metrics,
        });
    }
    let figures = NetworkFigures {
        name: network.name().to_owned(),
        sha256: network.sha256().to_owned(),
        input: network.input(),
        features: network.features(),
        distance: network.distance_name(),
        score: network.score_name(),
        kernel: network.kernel_name(),
        held_out_accuracy: network.accuracy(),
        no_accuracy,
        images_per_second: images as f64 / seconds.max(1e-9),
        floor,
        noise: of_kind(&worse, |damage| match damage {
            Damage::Noise(deviation) => Some(deviation),
            Damage::Blur(_) => None,
        }),
        blur: of_kind(&worse, |damage| match damage {
            Damage::Blur(deviation) => Some(deviation),
            Damage::Noise(_) => None,
        }),
        cells,
    };
    Ok((figures, nearest))
}

/// The comparisons with one kind of damage.
fn of_kind(
    worse: &[(Damage, Metrics)],
    deviation: impl Fn(Damage) -> Option<f64>,
) -> Vec<WorseFloor> {
    let worse = worse.iter().filter_map(|(damage, metrics)| {
        Some(WorseFloor {
            deviation: deviation(*damage)?,
            metrics: metrics.clone(),
        })
    });
    worse.collect()
}

/// Two disjoint parts of the data set: as many images as are drawn, in place of generated images, and all others. Both
/// sides are about as large as those of a cell, so a small number of images has the same effect on both.
fn floor(
    work: &Work,
    network: &FeatureNetwork,
    real: &Extracted,
    known: Option<&[u32]>,
) -> Result<(Floor, Vec<(Damage, Metrics)>)> {
    let (data, sweep) = (&work.inputs.data, work.sweep);
    let images = work.inputs.held_out(sweep);
    let part = |indices: &[usize]| Extracted {
        features: real.features.select(indices),
        probabilities: real.probabilities.select(indices),
    };
    let (held_out, others) = work.inputs.order.split_at(images);
    let asked: Option<Vec<u32>> = known.map(|ids| {
        let labels = held_out.iter().map(|&i| data.labels[i]);
        labels.map(|class| ids[class as usize]).collect()
    });
    let context = "the floor, real images against real images";
    let others = Side::new(part(others)).context(context)?;
    let against = |images| {
        let compared = compare(&others, images, asked.as_deref(), sweep.splits);
        compared.map(|(metrics, _)| metrics).context(context)
    };
    let floor = Floor {
        images,
        against: data.len() - images,
        metrics: against(part(held_out))?,
    };
    let worse = sweep.damages().into_iter().map(|damage| {
        let stored = work.read(network, Source::Damaged(damage))?;
        Ok((damage, against(stored.extracted)?))
    });
    Ok((floor, worse.collect::<Result<_>>()?))
}

fn compare(
    real: &Side,
    generated: Extracted,
    asked: Option<&[u32]>,
    splits: usize,
) -> Result<(Metrics, Comparison)> {
    let score = inception_score(&generated.probabilities, splits)?;
    let accuracy = asked.map(|asked| accuracy(&generated.probabilities, asked));
    let distance = real
        .reference
        .distance(&Moments::of(&generated.features)?)?;
    let deviation = real.reference.deviation(&generated.features)?;
    let generated = Manifold::new(generated.features)?;
    let kernel = kernel_distance(real.manifold.rows(), generated.rows(), SUBSETS, SUBSET_SIZE)?;
    let comparison = Comparison::of(&real.manifold, &generated);
    let mut distances: Vec<f64> = comparison.nearest.iter().map(|n| n.1).collect();
    distances.sort_by(f64::total_cmp);
    let metrics = Metrics {
        frechet_distance: distance,
        frechet_distance_deviation: Some(deviation),
        inception_score: score.mean,
        inception_score_deviation: score.deviation,
        kernel_distance: kernel.mean,
        kernel_distance_deviation: kernel.deviation,
        precision: comparison.precision,
        recall: comparison.recall,
        density: comparison.density,
        coverage: comparison.coverage,
        accuracy,
        authenticity: comparison.authenticity,
        nearest_distance: distances[distances.len() / 2],
    };
    Ok((metrics, comparison))
}

/// The generated images that are nearest to real ones.
fn pairs(comparison: &Comparison) -> Vec<Neighbour> {
    let mut pairs: Vec<Neighbour> = comparison
        .nearest
        .iter()
        .enumerate()
        .map(|(generated, &(real, distance))| Neighbour {
            generated,
            real,
            distance,
        })
        .collect();
    pairs.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    pairs.truncate(PAIRS);
    pairs
}
