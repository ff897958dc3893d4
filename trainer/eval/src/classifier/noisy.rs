//! Training a classifier of noisy images, for classifier guidance (Dhariwal & Nichol 2021, section 4).

use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use freeguide::bundle::ImageShape;
use freeguide::classifier::{HeldOut, NoisyClassifier, NoisyDescription};
use freeguide::network::{DropoutMasks, Encoder, UNetConfig};
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::prediction::Target;
use freeguide::training::{Draw, Levels, LogNormal, Objective, Order, Part, Weighting, flips};

use freeguide_data::Dataset;
use freeguide_native::noisy_classifier::{self, Written};
use freeguide_native::tell;

use super::average::{Average, Finished};
use super::network::NamedTensor;
use super::split::split;
use super::{
    LINE_EVERY, REPORT_EVERY, Training, WEIGHT_DECAY, cross_entropy, labels, line, tensor,
};

/// The least λ, in nats, that a classifier is trained on: with less, α is below 0.007 and no class can be seen.
const LEAST_LOG_SNR: f64 = -10.0;
/// Dropout in the residual blocks.
const DROPOUT: f64 = 0.1;
/// The side of the feature maps, in pixels, at which the network ends.
const LAST_SIDE: usize = 4;
/// Channels of an image are normalised in so many groups, of which the width is a multiple.
pub const GROUPS: usize = 8;

/// A trained classifier of noisy images.
pub struct TrainedNoisy {
    /// The weights file, safetensors in 16 bits.
    pub file: Vec<u8>,
    /// Its accuracy on the images that it was not trained on.
    pub held_out: HeldOut,
}

/// The network for images of this size: the image halves until it has 4 pixels a side, with attention at 8 pixels and below.
fn network(size: usize, width: usize) -> UNetConfig {
    let mut multipliers = vec![1];
    while size >> multipliers.len() >= LAST_SIDE {
        multipliers.push(2);
    }
    UNetConfig {
        channel_multipliers: multipliers,
        attention_resolutions: vec![4, 8],
        head_channels: width,
        norm_groups: GROUPS,
        dropout: DROPOUT,
        ..UNetConfig::adm(width, 1)
    }
}

impl Training {
    /// Trains the encoder half of a U-Net on four fifths of the images of each class, at levels within `range`, and tests it
    /// on the rest. `width` is a multiple of [`GROUPS`].
    ///
    /// # Errors
    ///
    /// If the network cannot be built for images of that size, or the device fails.
    pub fn run_noisy(
        &self,
        name: &str,
        data: &Dataset,
        range: LogSnrRange,
        device: &Device,
    ) -> Result<TrainedNoisy> {
        let range = LogSnrRange {
            min: range.min.max(LEAST_LOG_SNR),
            max: range.max,
        };
        let parts = split(&data.labels, data.classes.len(), self.seed);
        let autodiff = device.clone().autodiff();
        autodiff.seed(self.seed);
        let config = network(data.size, self.width);
        let description = NoisyDescription {
            name: name.to_owned(),
            image: ImageShape {
                size: data.size,
                channels: data.channels,
            },
            classes: data.classes.iter().collect(),
            network: config.clone(),
            log_snr: range,
            held_out: None,
        };
        let mut network = config
            .init_encoder(data.size, data.channels, data.classes.len(), &autodiff)?
            .materialize();
        let objective = objective(range);
        let mut average = Average::new(named(&network.valid()));
        let mut optimizer = AdamWConfig::new()
            .with_epsilon(1e-8)
            .with_weight_decay(WEIGHT_DECAY)
            .init();
        let batch = self.batch.min(parts.train.len());
        let steps = self.epochs * (parts.train.len() / batch).max(1) as u64;
        let mut order = Order::new(self.seed, parts.train.len());
        let (begun, mut told) = (Instant::now(), Instant::now());
        for step in 0..steps {
            let images = order.batch(step, batch);
            let images: Vec<usize> = images.iter().map(|&i| parts.train[i]).collect();
            let flips = match self.flip {
                true => flips(self.seed, step as u32, batch),
                false => vec![false; batch],
            };
            let draw = draw(&objective, self.seed, step as u32, data, &images);
            let (z, log_snr) = noisy(data, &images, &flips, &draw, &autodiff);
            let masks = DropoutMasks::new(self.seed, step as u32, 0);
            let logits = network.forward(z, log_snr, Some(&masks));
            let loss = cross_entropy(logits, &labels(data, &images), &autodiff);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(self.rate(step, steps), network, gradients);
            average.add(named(&network.valid()));
            if (step + 1) % REPORT_EVERY == 0 || step + 1 == steps {
                let loss = loss.inner().try_into_data().context("the device failed")?;
                if !self.quiet && (told.elapsed() > LINE_EVERY || step + 1 == steps) {
                    told = Instant::now();
                    let loss = loss.iter::<f32>().sum();
                    tell!("{}", line(step + 1, steps, loss, begun.elapsed()));
                }
            }
        }

        // Test the network as it is in the file.
        let weights = average.finish();
        let trained = NoisyClassifier::read(&file(&weights, &description)?, device)?;
        let held_out = self.held_out(&trained, data, &parts.held_out, device)?;
        let description = NoisyDescription {
            held_out: Some(held_out),
            ..description
        };
        Ok(TrainedNoisy {
            file: file(&weights, &description)?,
            held_out,
        })
    }

    fn held_out(
        &self,
        classifier: &NoisyClassifier,
        data: &Dataset,
        images: &[usize],
        device: &Device,
    ) -> Result<HeldOut> {
        let range = classifier.description().log_snr;
        let objective = objective(range);
        let (mut clean, mut noised) = (0, 0);
        for (step, part) in images.chunks(64).enumerate() {
            // A seed of its own: these numbers are no training's.
            let drawn = draw(&objective, self.seed + 1, step as u32, data, part);
            let cleanest = Draw {
                log_snr: vec![LogSnr(range.max); part.len()],
                ..drawn.clone()
            };
            for (right, draw) in [(&mut clean, cleanest), (&mut noised, drawn)] {
                let (z, log_snr) = noisy(data, part, &vec![false; part.len()], &draw, device);
                let logits = classifier.network().forward(z, log_snr, None);
                let answers = logits.argmax(1).try_into_data();
                let answers = answers.context("the device failed")?;
                let both = answers.iter::<i64>().zip(labels(data, part));
                *right += both.filter(|&(a, label)| a == i64::from(label)).count();
            }
        }
        let share = |right: usize| right as f64 / images.len().max(1) as f64;
        Ok(HeldOut {
            images: images.len(),
            clean_accuracy: share(clean),
            noisy_accuracy: share(noised),
        })
    }
}

fn objective(range: LogSnrRange) -> Objective {
    Objective {
        target: Target::V,
        log_snr: range,
        p_uncond: 0.0,
        p_drop: None,
        levels: Levels::Stratified,
        log_normal: LogNormal::default(),
        weighting: Weighting::Uniform,
        guidance: None,
        jumps: None,
    }
}

fn draw(objective: &Objective, seed: u64, step: u32, data: &Dataset, images: &[usize]) -> Draw {
    let part = Part::whole(seed, step, images.len());
    let classes = vec![0; images.len()];
    objective.draw(&part, &classes, 0, data.image_len())
}

/// z of these images and λ of each.
fn noisy(
    data: &Dataset,
    images: &[usize],
    flips: &[bool],
    draw: &Draw,
    device: &Device,
) -> (Tensor<4>, Tensor<1>) {
    let mut values = Vec::new();
    data.fill_batch(images, flips, &mut values);
    draw.noisy(tensor(values, data, images.len(), device))
}

/// The parameters of a network by name.
fn named(network: &Encoder) -> Vec<NamedTensor> {
    let tensors = noisy_classifier::tensors(network).into_iter();
    tensors
        .map(|of| NamedTensor {
            name: of.name,
            shape: of.shape,
            values: of.values,
        })
        .collect()
}

/// The file of a classifier.
fn file(weights: &Finished, description: &NoisyDescription) -> Result<Vec<u8>> {
    let tensors: Vec<Written> = weights
        .0
        .iter()
        .map(|of| Written {
            name: of.name.clone(),
            shape: of.shape.clone(),
            values: of.values.clone(),
        })
        .collect();
    noisy_classifier::to_bytes(description, &tensors)
}
