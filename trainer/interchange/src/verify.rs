//! Measures how an export changes a model: the predictions of the network over the noise levels, and the pictures.

use anyhow::{Context, Result};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Int, Tensor, TensorData};
use freeguide::bundle::{Model, Network};
use freeguide::condition::Joint;
use freeguide::denoiser::Denoiser;
use freeguide::network::{Conditions, GuidanceInput, NumberInput, OtherInputs, UNet, UNetConfig};
use freeguide::noise::sampling_noise;
use freeguide::sampler::Run;
use freeguide::settings::{ClassName, Request};
use half::f16;
use serde::Serialize;

/// The noise levels at which predictions are compared, from clean (0) to noise (1).
const PLACES: [f64; 7] = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95];
/// The largest number of pictures that are drawn for the comparison.
const PICTURES: u64 = 8;
/// The seed of the pictures and of their noise.
const SEED: u64 = 1;

/// The change of the prediction at one noise level.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// λ in nats.
    pub log_snr: f64,
    /// The root mean square of the prediction before the export.
    pub rms: f64,
    /// The mean absolute change.
    pub mean: f64,
    /// The largest absolute change.
    pub max: f64,
}

/// The changes by an export.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The change of the prediction by noise level, for the model's own pictures with added noise, each with its class
    /// and, if the model has it, with ∅.
    pub predictions: Vec<Change>,
    /// The number of pictures drawn with the model's own settings.
    pub pictures: usize,
    /// The peak signal-to-noise ratio in decibels of the pictures after the export against those before, from their
    /// mean squared difference; none if they are identical.
    pub psnr: Option<f64>,
    /// The same for the picture that changes most.
    pub worst_psnr: Option<f64>,
}

/// Compares a model with its export.
///
/// # Errors
///
/// If the device fails.
pub fn verify<D: Denoiser>(before: &Model, after: D) -> Result<Verified> {
    let config = before.config();
    let range = config.diffusion.log_snr;
    let classes = config.classes.len() as u64;
    // Distributed evenly over the classes.
    let names = match classes {
        0 => vec![ClassName::Unconditional; PICTURES as usize],
        _ => {
            let count = classes.min(PICTURES);
            (0..count)
                .map(|i| ClassName::Id(i * classes / count))
                .collect()
        }
    };
    let mut request = Request::new(names);
    request.seed = SEED;
    let plan = before.plan(&request)?;
    let drawn = finished(before.run(plan.clone()));

    let [images, ..] = drawn.dims();
    let device = drawn.device();
    let shape = config.image.dims();
    let keys: Vec<u64> = (0..images as u64).collect();
    let noise = sampling_noise(SEED + 1, &keys, 0, shape, &device);
    // Every picture with its class and, if the model has ∅, once more with ∅.
    let rounds = 1 + usize::from(config.null_class);
    let null = classes as i32;
    let ids = plan
        .classes
        .iter()
        .map(|condition| condition.class().map_or(null, |id| id as i32));
    let ids: Vec<i32> = ids
        .chain(std::iter::repeat_n(null, images))
        .take(rounds * images)
        .collect();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [rounds * images]), &device);
    // Attributes and numbers of all kinds, where the network takes them; the last row has none.
    let joints = match &config.network {
        Network::UNet(network) if network.takes_more_than_a_class() => {
            let joints = varied(network, classes as usize, rounds * images);
            OtherInputs::of_joints(&joints, classes as usize, &device)
        }
        _ => OtherInputs::default(),
    };
    // Spread over the range of a network that takes w.
    let guidance = config
        .guidance_input()
        .map(|GuidanceInput { min, max, .. }| {
            let last = (rounds * images - 1).max(1) as f64;
            let w = (0..rounds * images).map(|i| (min + (max - min) * i as f64 / last) as f32);
            let w: Vec<f32> = w.collect();
            Tensor::<1>::from_data(TensorData::new(w, [rounds * images]), &device)
        });
    let predictions = PLACES
        .into_iter()
        .map(|u| {
            let level = range.log_snr(u);
            let z = drawn.clone() * level.alpha() + noise.clone() * level.sigma();
            let z = z.repeat_dim(0, rounds);
            let log_snr = Tensor::<1>::full([rounds * images], level.0, &device);
            // Half of the way to the clean image.
            let next = config
                .flow_map()
                .map(|_| log_snr.full_like(range.log_snr(u / 2.0).0));
            let others = OtherInputs {
                guidance: guidance.clone(),
                next_log_snr: next,
                ..joints.clone()
            };
            let predicted = |denoiser: &dyn Denoiser| {
                let (z, log_snr) = (z.clone(), log_snr.clone());
                values(denoiser.predict_with(z, log_snr, ids.clone(), others.clone()))
            };
            change(level.0, &predicted(before.network())?, &predicted(&after)?)
        })
        .collect::<Result<_>>()?;

    let target = config.diffusion.target;
    let redrawn = finished(Run::new(after, plan, target, range, shape, &device));
    let (drawn, redrawn) = (values(drawn)?, values(redrawn)?);
    let len = shape.iter().product();
    let each: Vec<f64> = drawn
        .chunks(len)
        .zip(redrawn.chunks(len))
        .map(|(a, b)| mean(a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2))))
        .collect();
    let worst = each.iter().fold(0.0f64, |worst, &e| worst.max(e));
    Ok(Verified {
        predictions,
        pictures: images,
        psnr: decibels(mean(each.iter().copied())),
        worst_psnr: decibels(worst),
    })
}

/// Rows of one attribute, of two and of all, each with and without a number; the last of nothing.
fn varied(network: &UNetConfig, classes: usize, rows: usize) -> Vec<Joint> {
    let attributes = network.conditions == Conditions::Attributes;
    let row = |row: usize| {
        let most = match row % 3 {
            _ if !attributes => 1,
            0 => 1,
            1 => 2,
            _ => classes,
        };
        let mut labels: Vec<u32> = (0..most.min(classes))
            .map(|k| ((row + k) % classes) as u32)
            .collect();
        labels.sort_unstable();
        let of_range = |n: &NumberInput| n.min + (n.max - n.min) * row as f64 / rows as f64;
        let number = network.number.as_ref().filter(|_| row.is_multiple_of(2));
        Joint {
            labels,
            number: number.map(of_range),
        }
    };
    let all = (0..rows).map(|k| {
        if k + 1 == rows {
            Joint::default()
        } else {
            row(k)
        }
    });
    all.collect()
}

fn finished<D: Denoiser>(mut run: Run<D>) -> Tensor<4> {
    while run.advance() {}
    run.denoised()
}

fn values(tensor: Tensor<4>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().context("the device failed")?;
    Ok(data.iter::<f32>().collect())
}

fn change(log_snr: f64, before: &[f32], after: &[f32]) -> Result<Change> {
    let differences = before
        .iter()
        .zip(after)
        .map(|(a, b)| f64::from((a - b).abs()));
    Ok(Change {
        log_snr,
        rms: mean(before.iter().map(|&v| f64::from(v).powi(2))).sqrt(),
        mean: mean(differences.clone()),
        // NaN must win against a number.
        max: differences.fold(0.0, |worst, d| if d <= worst { worst } else { d }),
    })
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
    sum / f64::from(count.max(1))
}

/// The PSNR for a mean squared error of values from −1 to 1.
fn decibels(error: f64) -> Option<f64> {
    (error > 0.0).then(|| 10.0 * (4.0 / error).log10())
}

/// The network with its weights rounded to 16 bits.
pub fn rounded(network: &UNet) -> UNet {
    network.clone().map(&mut Round)
}

struct Round;

impl ModuleMapper for Round {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let tensor = param.val();
        let (device, data) = (tensor.device(), tensor.into_data());
        let shape = data.shape().to_vec();
        let halves = data.iter::<f32>().map(|v| f16::from_f32(v).to_f32());
        let data = TensorData::new(halves.collect::<Vec<_>>(), shape);
        Param::initialized(param.id, Tensor::from_data(data, &device))
    }
}
