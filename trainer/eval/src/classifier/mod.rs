//! Training a small classifier on a data set that no feature network knows, so that it can be evaluated.

mod augment;
mod average;
mod network;
mod noisy;
mod pretrained;
mod split;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use freeguide::classifier::{DESCRIPTION_KEY, Description, Normalisation, ResNet as Evaluated};
use freeguide::noise::{NoiseStream, Purpose};
use freeguide::training::{Order, flips};
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use freeguide_data::Dataset;
use freeguide_native::tell;
pub use noisy::{GROUPS, TrainedNoisy};
pub use pretrained::pretrained;

use augment::Change;
use average::{Average, Finished};
use network::ResNet;
use split::split;

/// How a classifier is trained.
#[derive(Debug, Clone)]
pub struct Training {
    /// The number of passes over the data.
    pub epochs: u64,
    /// The number of images per step.
    pub batch: usize,
    /// The highest learning rate of AdamW.
    pub learning_rate: f64,
    /// The number of residual blocks in each of the three stages.
    pub blocks: usize,
    /// The number of channels of the first stage.
    pub width: usize,
    /// Whether to mirror half of the images.
    pub flip: bool,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Whether to show no progress.
    pub quiet: bool,
}

/// A trained classifier.
pub struct Trained {
    /// The weights file, safetensors in 16 bits.
    pub file: Vec<u8>,
    /// Its accuracy on the images that it was not trained on.
    pub held_out: Accuracy,
    /// The accuracy of always choosing the most frequent class.
    pub baseline: f64,
}

/// The share of the steps over which the learning rate rises.
const WARMUP: f64 = 0.1;
/// AdamW's decoupled weight decay.
const WEIGHT_DECAY: f32 = 0.05;
/// The dropout rate of the features (Srivastava et al. 2014).
const DROPOUT: f64 = 0.1;
/// The share of label smoothing (Szegedy et al. 2015).
const SMOOTHING: f32 = 0.1;
/// The stream of [`Purpose::Training`] for augmentation, distinct from those of the library.
const AUGMENTATION: u64 = 1 << 32;
/// The stream for dropout.
const MASKS: u64 = 2 << 32;
/// The time between two lines of progress.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The number of steps between two readings of the loss.
const REPORT_EVERY: u64 = 10;

impl Training {
    /// Trains on four fifths of the images of each class and tests on the rest. `data` is RGB.
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
        let mut average = Average::new(network.valid().tensors());
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
            let mask = self.mask(batch, network.features(), step as u32, &autodiff);
            let logits = network.forward(x, mask);
            let loss = cross_entropy(logits, &labels(data, &images), &autodiff);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            let rate = self.rate(step, steps);
            network = optimizer.step(rate, network, gradients);
            average.add(network.valid().tensors());
            if (step + 1) % REPORT_EVERY == 0 || step + 1 == steps {
                let loss = loss.inner().try_into_data().context("the device failed")?;
                let loss = loss.iter::<f32>().sum();
                if !self.quiet && (told.elapsed() > LINE_EVERY || step + 1 == steps) {
                    told = Instant::now();
                    tell!("{}", line(step + 1, steps, loss, begun.elapsed()));
                }
            }
        }

        // Test the network as it is in the file and as evaluations run it.
        let weights = average.finish();
        let network = Evaluated::load(&weights, device)?;
        let normalisation = Normalisation::SYMMETRIC;
        let held_out = Accuracy::new(&network, normalisation, data, &parts.held_out, device)?;
        let largest = data.class_counts().into_iter().max().unwrap_or(0);
        Ok(Trained {
            file: file(&weights, name, normalisation, data, &held_out)?,
            held_out,
            baseline: largest as f64 / data.len() as f64,
        })
    }

    /// The learning rate: a linear warm-up, then half a cosine down to 0.
    fn rate(&self, step: u64, steps: u64) -> f64 {
        let at = (step as f64 + 1.0) / steps as f64;
        let factor = match at < WARMUP {
            true => at / WARMUP,
            false => 0.5 * (1.0 + (std::f64::consts::PI * (at - WARMUP) / (1.0 - WARMUP)).cos()),
        };
        self.learning_rate * factor
    }

    /// A batch with random augmentation.
    fn images(&self, data: &Dataset, images: &[usize], step: u32, device: &Device) -> Tensor<4> {
        let flips = match self.flip {
            true => flips(self.seed, step, images.len()),
            false => vec![false; images.len()],
        };
        let mut values = Vec::new();
        data.fill_batch(images, &flips, &mut values);
        let mut stream = NoiseStream::new(Purpose::Training, self.seed, AUGMENTATION, step);
        for image in values.chunks_exact_mut(data.image_len()) {
            Change::draw(data.size, &mut stream).apply(image, data.size);
        }
        tensor(values, data, images.len(), device)
    }

    /// The dropout mask: 0 for dropped features, and a scale for the rest.
    fn mask(&self, batch: usize, features: usize, step: u32, device: &Device) -> Tensor<2> {
        let mut stream = NoiseStream::new(Purpose::Training, self.seed, MASKS, step);
        let kept = (1.0 / (1.0 - DROPOUT)) as f32;
        let mut draw = |_| {
            if stream.uniform() < DROPOUT {
                0.0
            } else {
                kept
            }
        };
        let values: Vec<f32> = (0..batch * features).map(&mut draw).collect();
        Tensor::from_data(TensorData::new(values, [batch, features]), device)
    }
}

/// The safetensors file of a classifier.
fn file(
    weights: &Finished,
    name: &str,
    normalisation: Normalisation,
    data: &Dataset,
    held_out: &Accuracy,
) -> Result<Vec<u8>> {
    let half = |v: &f32| f16::from_f32(*v).to_le_bytes();
    let tensors = &weights.0;
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|t| t.values.iter().flat_map(half).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|(t, bytes)| {
            let view = TensorView::new(Dtype::F16, t.shape.clone(), bytes)?;
            Ok((t.name.clone(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    let says = Description {
        name: name.to_owned(),
        size: data.size,
        classes: data.classes.iter().collect(),
        held_out_accuracy: held_out.accuracy(),
        held_out_class_accuracies: held_out.class_accuracies(),
        held_out_images: held_out.images(),
        data_fingerprint: data.fingerprint(),
        normalisation,
    };
    // A single entry, so that the same training writes the same bytes: the order of several is not fixed.
    let metadata = HashMap::from([(DESCRIPTION_KEY.to_owned(), serde_json::to_string(&says)?)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

/// A line of progress, with the time left.
fn line(step: u64, steps: u64, loss: f32, elapsed: Duration) -> String {
    let left = elapsed.as_secs_f64() / step as f64 * (steps - step) as f64;
    format!("step {step}/{steps}  loss {loss:.3}  {left:.0} s left")
}

fn tensor(values: Vec<f32>, data: &Dataset, count: usize, device: &Device) -> Tensor<4> {
    let shape = [count, data.channels, data.size, data.size];
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn labels(data: &Dataset, images: &[usize]) -> Vec<i32> {
    images.iter().map(|&i| data.labels[i] as i32).collect()
}

/// The cross-entropy with label smoothing.
fn cross_entropy(logits: Tensor<2>, labels: &[i32], device: &Device) -> Tensor<1> {
    let data = TensorData::new(labels.to_vec(), [labels.len(), 1]);
    let labels = Tensor::<2, Int>::from_data(data, device);
    let log = log_softmax(logits, 1);
    let right = log.clone().gather(1, labels).mean();
    -(right * (1.0 - SMOOTHING) + log.mean() * SMOOTHING)
}

/// The results of a classifier on images that it was not trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accuracy {
    /// For each class, the number of correct predictions and of images.
    classes: Vec<(usize, usize)>,
}

impl Accuracy {
    fn new(
        network: &Evaluated,
        normalisation: Normalisation,
        data: &Dataset,
        images: &[usize],
        device: &Device,
    ) -> Result<Self> {
        let mut classes = vec![(0, 0); data.classes.len()];
        let mut values = Vec::new();
        for part in images.chunks(64) {
            data.fill_batch(part, &vec![false; part.len()], &mut values);
            values.iter_mut().for_each(|v| *v = (*v + 1.0) * 127.5);
            normalisation.apply(&mut values, data.size * data.size);
            let x = tensor(values.clone(), data, part.len(), device);
            let answers = network.forward(x).1.argmax(1).try_into_data();
            let answers = answers.context("the device failed")?;
            for (answer, label) in answers.iter::<i64>().zip(labels(data, part)) {
                let class = &mut classes[label as usize];
                class.0 += usize::from(answer == i64::from(label));
                class.1 += 1;
            }
        }
        Ok(Self { classes })
    }

    /// The number of images.
    pub fn images(&self) -> usize {
        self.classes.iter().map(|class| class.1).sum()
    }

    /// The share of correct predictions.
    pub fn accuracy(&self) -> f64 {
        let right: usize = self.classes.iter().map(|class| class.0).sum();
        right as f64 / self.images().max(1) as f64
    }

    /// The same for each class; none if there was no image of it.
    pub fn class_accuracies(&self) -> Vec<Option<f64>> {
        let share = |&(right, of): &(usize, usize)| (of > 0).then(|| right as f64 / of as f64);
        self.classes.iter().map(share).collect()
    }
}
