//! The effect of a change to a network on fidelity: the Fréchet distances of both networks' images to the same data.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use freeguide::bundle::Model;
use freeguide::denoiser::Denoiser;
use freeguide::sampler::Run;
use serde::Serialize;

use super::inputs::Inputs;
use super::meter::Meter;
use super::metrics::{Moments, frechet_distance};
use super::sweep::{CHUNK, ClassBalance, OnnxInput, Sweep};
use freeguide_native::sample;

/// What the images are compared with.
#[derive(Debug, Clone)]
pub struct Against {
    /// The data set.
    pub data: PathBuf,
    /// The recipe whose `[data]` says how images are prepared.
    pub recipe: Option<PathBuf>,
    /// The names of the feature networks.
    pub features: Vec<String>,
    /// How images are scaled for networks in ONNX.
    pub onnx_input: OnnxInput,
    /// The number of images that each network draws.
    pub samples: usize,
    /// Whether to show no progress.
    pub quiet: bool,
}

/// The Fréchet distances of one feature network.
#[derive(Debug, Clone, Serialize)]
pub struct Fidelity {
    /// The name of the distance, after its feature network.
    pub distance: String,
    /// The number of images drawn on each side.
    pub samples: usize,
    /// The number of real images.
    pub real_images: usize,
    /// The distance before the change.
    pub before: f64,
    /// The distance after the change, with the same noise and classes.
    pub after: f64,
    /// after − before; positive values are worse.
    pub change: f64,
}

/// The seed of the images.
const SEED: u64 = 0;

/// Draws images with `before` and, from the same noise and for the same classes, with `after`. Both use the model's own
/// settings and draw each class as often as it is in the data. Compares both with the data.
///
/// # Errors
///
/// If something cannot be opened, is inconsistent, or fails during the computation.
pub fn fidelity<D: Denoiser + Clone>(
    before: &Model,
    after: &D,
    against: &Against,
) -> Result<Vec<Fidelity>> {
    let config = before.config();
    let sweep = Sweep {
        models: vec![PathBuf::from(&config.name)],
        guides: Vec::new(),
        classifier: None,
        classifier_guidance: Vec::new(),
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
        blur: Vec::new(),
    };
    let device = Device::flex();
    let model = Model::new(config.clone(), before.network().clone(), device.clone());
    let inputs = Inputs::of(vec![model], &sweep, &device)?;
    let data = &inputs.data;
    let real = moments_of(&inputs, data.len(), |range| {
        let len = data.image_len();
        Ok(data.images[range.start * len..range.end * len].to_vec())
    })?;
    let meter = Meter::new(2 * against.samples, 2 * against.samples, against.quiet);
    let shape = config.image.dims();
    let diffusion = &config.diffusion;
    let first = drawn(&inputs, against, &meter, |plan| before.run(plan.clone()))?;
    let second = drawn(&inputs, against, &meter, |plan| {
        let (target, range) = (diffusion.target, diffusion.log_snr);
        Run::new(after.clone(), plan, target, range, shape, &device)
    })?;
    meter.finish();
    let sides = first.iter().zip(&second).zip(&real);
    let networks = inputs.networks.iter().zip(sides);
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

/// The moments of each network's features of the images that `run` draws.
fn drawn<D: Denoiser>(
    inputs: &Inputs,
    against: &Against,
    meter: &Meter,
    run: impl Fn(freeguide::settings::Plan) -> Run<D>,
) -> Result<Vec<Moments>> {
    let (model, cell) = (&inputs.models[0], &inputs.cells[0]);
    let shape = model.config().image.dims();
    moments_of(inputs, against.samples, |range| {
        let since = Instant::now();
        let images = range.len();
        let classes = inputs.classes(cell, range.clone());
        let plan = cell.plan(model, SEED, range.start as u64, &classes)?;
        let drawn = sample::draw_by(shape, &plan, images, &run, &mut |_, _| {})?;
        meter.drawn(images, since.elapsed().as_secs_f64());
        meter.done(images);
        Ok(drawn.pixels)
    })
}

/// The moments of each network's features of `count` images, which arrive in chunks.
fn moments_of(
    inputs: &Inputs,
    count: usize,
    images: impl Fn(Range<usize>) -> Result<Vec<u8>>,
) -> Result<Vec<Moments>> {
    let (size, channels) = (inputs.data.size, inputs.data.channels);
    let empty = |network: &crate::features::FeatureNetwork| Moments::new(network.features());
    let mut moments: Vec<_> = inputs.networks.iter().map(empty).collect();
    for start in (0..count).step_by(CHUNK) {
        let pixels = images(start..(start + CHUNK).min(count))?;
        for (network, moments) in inputs.networks.iter().zip(&mut moments) {
            let extracted = network
                .extract(&pixels, size, channels)
                .with_context(|| network.name().to_owned())?;
            moments.add(&extracted.features)?;
        }
    }
    Ok(moments)
}
