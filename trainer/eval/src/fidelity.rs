//! What a change of a network costs in fidelity: the Fréchet distances of both networks' images to the same data.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use freeguide::bundle::Model;
use freeguide::denoiser::Denoiser;
use freeguide::sampler::Run;
use serde::Serialize;

use super::meter::Meter;
use super::metrics::{Moments, frechet_distance};
use super::subjects::Subjects;
use super::sweep::{CHUNK, ClassBalance, OnnxInput, Sweep};
use freeguide_native::sample;

/// What the images are compared with, and how.
#[derive(Debug, Clone)]
pub struct Against {
    /// The data set.
    pub data: PathBuf,
    /// The recipe whose `[data]` says how its images are prepared.
    pub recipe: Option<PathBuf>,
    /// The feature networks, as they were named.
    pub features: Vec<String>,
    /// How images are put to networks in ONNX.
    pub onnx_input: OnnxInput,
    /// Images that each network draws.
    pub samples: usize,
    /// No progress on the terminal.
    pub quiet: bool,
}

/// The Fréchet distances of one feature network.
#[derive(Debug, Clone, Serialize)]
pub struct Fidelity {
    /// The distance's name, after its feature network.
    pub distance: String,
    /// Images on each side that were drawn.
    pub samples: usize,
    /// Real images.
    pub real_images: usize,
    /// The distance of the images of the network before the change.
    pub before: f64,
    /// That of the images after it, of the same noise and classes.
    pub after: f64,
    /// after − before: more is worse.
    pub change: f64,
}

/// The seed of the images.
const SEED: u64 = 0;

/// Draws with `before` and, from the same noise and for the same classes, with `after` in its place, both with the
/// model's own settings and each class as often as in the data, and compares both with the data.
///
/// # Errors
///
/// What cannot be opened, does not fit together, or fails while it computes.
pub fn fidelity<D: Denoiser + Clone>(
    before: &Model,
    after: &D,
    against: &Against,
) -> Result<Vec<Fidelity>> {
    let config = before.config();
    let sweep = Sweep {
        models: vec![PathBuf::from(&config.name)],
        data: against.data.clone(),
        recipe: against.recipe.clone(),
        guidance: vec![config.sampling.guidance],
        steps: Vec::new(),
        samplers: Vec::new(),
        samples: against.samples,
        seed: SEED,
        classes: ClassBalance::Data,
        features: against.features.clone(),
        onnx_input: against.onnx_input,
        splits: 1,
        noise: Vec::new(),
    };
    let device = Device::flex();
    let model = Model::new(config.clone(), before.network().clone(), device.clone());
    let subjects = Subjects::of(vec![model], &sweep, &device)?;
    let data = &subjects.data;
    let real = looked(&subjects, data.len(), |range| {
        let len = data.image_len();
        Ok(data.images[range.start * len..range.end * len].to_vec())
    })?;
    let meter = Meter::new(2 * against.samples, 2 * against.samples, against.quiet);
    let shape = config.image.dims();
    let diffusion = &config.diffusion;
    let first = drawn(&subjects, against, &meter, |plan| before.run(plan.clone()))?;
    let second = drawn(&subjects, against, &meter, |plan| {
        let (target, range) = (diffusion.target, diffusion.log_snr);
        Run::new(after.clone(), plan, target, range, shape, &device)
    })?;
    meter.finish();
    let sides = first.iter().zip(&second).zip(&real);
    let networks = subjects.networks.iter().zip(sides);
    networks
        .map(|(network, ((first, second), real))| {
            let before = frechet_distance(real, first)?;
            let after = frechet_distance(real, second)?;
            Ok(Fidelity {
                distance: network.distance_name(),
                samples: against.samples,
                real_images: data.len(),
                before,
                after,
                change: after - before,
            })
        })
        .collect()
}

/// The moments of every network's features of the images that `run` draws.
fn drawn<D: Denoiser>(
    subjects: &Subjects,
    against: &Against,
    meter: &Meter,
    run: impl Fn(freeguide::settings::Plan) -> Run<D>,
) -> Result<Vec<Moments>> {
    let (model, cell) = (&subjects.models[0], &subjects.cells[0]);
    let shape = model.config().image.dims();
    looked(subjects, against.samples, |range| {
        let since = Instant::now();
        let images = range.len();
        let classes = subjects.classes(cell, range.clone());
        let plan = cell.plan(model, SEED, range.start as u64, &classes)?;
        let drawn = sample::draw_by(shape, &plan, images, &run, &mut |_, _| {})?;
        meter.drew(images, since.elapsed().as_secs_f64());
        meter.done(images);
        Ok(drawn.pixels)
    })
}

/// The moments of every network's features of `count` images, which come in chunks.
fn looked(
    subjects: &Subjects,
    count: usize,
    images: impl Fn(Range<usize>) -> Result<Vec<u8>>,
) -> Result<Vec<Moments>> {
    let (size, channels) = (subjects.data.size, subjects.data.channels);
    let empty = |network: &crate::features::FeatureNetwork| Moments::new(network.features());
    let mut moments: Vec<_> = subjects.networks.iter().map(empty).collect();
    for start in (0..count).step_by(CHUNK) {
        let pixels = images(start..(start + CHUNK).min(count))?;
        for (network, moments) in subjects.networks.iter().zip(&mut moments) {
            let extracted = network
                .extract(&pixels, size, channels)
                .with_context(|| network.name().to_owned())?;
            moments.add(&extracted.features)?;
        }
    }
    Ok(moments)
}
