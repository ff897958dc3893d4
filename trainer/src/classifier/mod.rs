//! Training a small classifier on a data set that no feature network knows, so that it can be evaluated.

mod network;
mod split;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use freeguide::noise::{NoiseStream, Purpose};
use freeguide::training::{Order, flips};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::data::Dataset;
use crate::features::{CLASSIFIER, Description};
use crate::output::tell;
use network::ResNet;
use split::{Split, split};

/// How a classifier is trained.
#[derive(Debug, Clone)]
pub struct Training {
    /// Passes over the data.
    pub epochs: u64,
    /// Images a step.
    pub batch: usize,
    /// The highest learning rate of AdamW.
    pub learning_rate: f64,
    /// Residual blocks in each of the three stages.
    pub blocks: usize,
    /// Channels of the first stage.
    pub width: usize,
    /// Mirror half of the images.
    pub flip: bool,
    /// The seed of everything random.
    pub seed: u64,
    /// No progress on the terminal.
    pub quiet: bool,
}

/// A classifier that was trained.
pub struct Trained {
    /// The weights file, safetensors.
    pub file: Vec<u8>,
    /// Its accuracy on the images that it was not trained on.
    pub accuracy: f64,
    /// How many those were.
    pub held_out: usize,
    /// What always answering with the most frequent class would get.
    pub baseline: f64,
}

/// The share of the steps over which the learning rate rises.
const WARMUP: f64 = 0.1;
/// AdamW's decoupled weight decay.
const WEIGHT_DECAY: f32 = 0.05;
/// Images are moved by up to this share of their size.
const SHIFT: usize = 8;
/// The stream of [`Purpose::Training`] that moves images, out of the way of those of the library.
const SHIFT_STREAM: u64 = 1 << 32;
/// Time between two lines of progress.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Steps between two readings of the loss.
const REPORT_EVERY: u64 = 10;

impl Training {
    /// Trains on four fifths of the images of each class and examines on the rest. `data` is RGB.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn run(&self, name: &str, data: &Dataset, device: &Device) -> Result<Trained> {
        let parts = split(&data.labels, data.classes.len(), self.seed);
        let autodiff = device.clone().autodiff();
        autodiff.seed(self.seed);
        let mut network =
            ResNet::new(self.blocks, self.width, data.classes.len(), &autodiff).materialize();
        let mut optimizer = AdamWConfig::new()
            .with_epsilon(1e-8)
            .with_weight_decay(WEIGHT_DECAY)
            .init();
        let batch = self.batch.min(parts.train.len());
        let steps = self.epochs * (parts.train.len() / batch).max(1) as u64;
        let mut order = Order::new(self.seed, parts.train.len());
        let begun = Instant::now();
        let mut told = begun;
        for step in 0..steps {
            let images: Vec<usize> = order.batch(step, batch);
            let images: Vec<usize> = images.iter().map(|&i| parts.train[i]).collect();
            let x = self.images(data, &images, step as u32, &autodiff);
            let loss = cross_entropy(network.forward(x), &labels(data, &images), &autodiff);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            let rate = self.rate(step, steps);
            network = optimizer.step(rate, network, gradients);
            if (step + 1) % REPORT_EVERY == 0 || step + 1 == steps {
                let loss = loss.inner().try_into_data().context("the device failed")?;
                let loss = loss.iter::<f32>().sum();
                if !self.quiet && (told.elapsed() > LINE_EVERY || step + 1 == steps) {
                    told = Instant::now();
                    tell!("{}", line(step + 1, steps, loss, begun.elapsed()));
                }
            }
        }

        let network = network.valid();
        let accuracy = examine(&network, data, &parts.held_out, device)?;
        let largest = data.class_counts().into_iter().max().unwrap_or(0);
        Ok(Trained {
            file: self.file(&network, name, data, accuracy, &parts)?,
            accuracy,
            held_out: parts.held_out.len(),
            baseline: largest as f64 / data.len() as f64,
        })
    }

    /// A linear warm-up, then half a cosine down to 0.
    fn rate(&self, step: u64, steps: u64) -> f64 {
        let at = (step as f64 + 1.0) / steps as f64;
        let factor = match at < WARMUP {
            true => at / WARMUP,
            false => 0.5 * (1.0 + (std::f64::consts::PI * (at - WARMUP) / (1.0 - WARMUP)).cos()),
        };
        self.learning_rate * factor
    }

    /// A batch, moved and mirrored at random.
    fn images(&self, data: &Dataset, images: &[usize], step: u32, device: &Device) -> Tensor<4> {
        let flips = match self.flip {
            true => flips(self.seed, step, images.len()),
            false => vec![false; images.len()],
        };
        let mut values = Vec::new();
        data.fill_batch(images, &flips, &mut values);
        let reach = (data.size / SHIFT) as u32;
        let mut stream = NoiseStream::new(Purpose::Training, self.seed, SHIFT_STREAM, step);
        for image in values.chunks_exact_mut(data.image_len()) {
            let mut by = || stream.below(2 * reach + 1) as isize - reach as isize;
            let (x, y) = (by(), by());
            shift(image, data.size, x, y);
        }
        tensor(values, data, images.len(), device)
    }

    fn file(
        &self,
        network: &ResNet,
        name: &str,
        data: &Dataset,
        accuracy: f64,
        parts: &Split,
    ) -> Result<Vec<u8>> {
        let tensors = network.tensors();
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|t| t.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let views = tensors
            .iter()
            .zip(&bytes)
            .map(|(t, bytes)| {
                let view = TensorView::new(Dtype::F32, t.shape.clone(), bytes)?;
                Ok((t.name.clone(), view))
            })
            .collect::<Result<Vec<_>>>()?;
        let says = Description {
            name: name.to_owned(),
            size: data.size,
            classes: data.classes.clone(),
            held_out_accuracy: accuracy,
            held_out_images: parts.held_out.len(),
            data_fingerprint: data.fingerprint(),
        };
        // One entry, so that the same training writes the same bytes: the order of several is not fixed.
        let metadata = HashMap::from([(CLASSIFIER.to_owned(), serde_json::to_string(&says)?)]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }
}

/// A line of progress: how far, and the time left.
fn line(step: u64, steps: u64, loss: f32, elapsed: Duration) -> String {
    let left = elapsed.as_secs_f64() / step as f64 * (steps - step) as f64;
    format!("step {step}/{steps}  loss {loss:.3}  {left:.0} s left")
}

/// Moves an image `[channels, size, size]`, and repeats its edge where nothing is known.
fn shift(image: &mut [f32], size: usize, x: isize, y: isize) {
    let last = size as isize - 1;
    for plane in image.chunks_exact_mut(size * size) {
        let source = plane.to_vec();
        for (row, out) in plane.chunks_exact_mut(size).enumerate() {
            let from = (row as isize - y).clamp(0, last) as usize * size;
            for (column, value) in out.iter_mut().enumerate() {
                *value = source[from + (column as isize - x).clamp(0, last) as usize];
            }
        }
    }
}

fn tensor(values: Vec<f32>, data: &Dataset, count: usize, device: &Device) -> Tensor<4> {
    let shape = [count, data.channels, data.size, data.size];
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn labels(data: &Dataset, images: &[usize]) -> Vec<i32> {
    images.iter().map(|&i| data.labels[i] as i32).collect()
}

/// The mean of −log p(label).
fn cross_entropy(logits: Tensor<2>, labels: &[i32], device: &Device) -> Tensor<1> {
    let data = TensorData::new(labels.to_vec(), [labels.len(), 1]);
    let labels = Tensor::<2, Int>::from_data(data, device);
    -log_softmax(logits, 1).gather(1, labels).mean()
}

/// The share of images that are classified rightly.
fn examine(network: &ResNet, data: &Dataset, images: &[usize], device: &Device) -> Result<f64> {
    let (mut right, mut values) = (0, Vec::new());
    for part in images.chunks(64) {
        data.fill_batch(part, &vec![false; part.len()], &mut values);
        let x = tensor(values.clone(), data, part.len(), device);
        let answers = network.forward(x).argmax(1).try_into_data();
        let answers = answers.context("the device failed")?;
        let answers = answers.iter::<i64>();
        let labels = labels(data, part);
        right += answers
            .zip(labels)
            .filter(|(a, l)| *a == i64::from(*l))
            .count();
    }
    Ok(right as f64 / images.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_image_repeats_its_edge() {
        let mut image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        shift(&mut image, 3, 1, -1);
        assert_eq!(image, [4.0, 4.0, 5.0, 7.0, 7.0, 8.0, 7.0, 7.0, 8.0]);
    }
}
