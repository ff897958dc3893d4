//! A new class for a trained model, from few pictures.
//!
//! The class embedding gets one more row, and the network is trained with the joint objective (Ho & Salimans 2022, Algorithm
//! 1) on batches of which every other image is a picture of the new class. The rest are the model's own samples of its old
//! classes, so that it keeps them (generative replay, Shin et al. 2017). [`Phase`] says what is trained when.
//!
//! [`Teaching`] is a value: each call of [`advance`](Teaching::advance) draws some samples or takes a step, and
//! [`taught`](Teaching::taught) is the model of the steps so far. Every random number is a function of (seed, image, step).

mod refusal;
mod schedule;
mod weights;

pub use refusal::Refusal;
pub use schedule::{Phase, learning_rate};

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};

use crate::bundle::{Config, Model, Network, WRITTEN_BY, WeightKind};
use crate::class_names::{MAX_CLASS_NAME, MAX_CLASSES};
use crate::network::{UNet, UNetConfig};
use crate::pixels::from_interleaved;
use crate::prediction::Target;
use crate::settings::{ClassName, PerImage, Request, RequestError};
use crate::training::{
    Ema, Levels, LogNormal, Objective, Order, Part, Weighting, clip_global_norm, flips,
};

/// The fewest pictures of a class.
pub const LEAST_PICTURES: usize = 10;
/// The most pictures of a class.
pub const MOST_PICTURES: usize = 1000;
/// Samples of each old class.
const REPLAYED: usize = 24;
/// The most samples of all old classes.
const MOST_REPLAYED: usize = 1024;
/// Samples that are drawn at a time.
const DRAWN: usize = 24;
/// The most steps of a sample.
const SAMPLE_STEPS: usize = 16;
/// The largest norm of a gradient.
const CLIP_NORM: f64 = 1.0;
/// The decay of the averaged weights.
const EMA_DECAY: f64 = 0.98;
/// p_uncond of a model that does not say its own.
const P_UNCOND: f64 = 0.1;

/// How a class is taught.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The number of steps.
    pub steps: u32,
    /// Images of a step, at least 2; half of them are of the new class.
    pub batch: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// w of the samples of the old classes. At 0 they are spread like the model's data; guided samples would make the
    /// conditional model itself a guided one.
    pub replay_guidance: f64,
    /// Whether pictures are mirrored left to right half of the time.
    pub flip: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { steps: 300, batch: 32, seed: 0, replay_guidance: 0.0, flip: false }
    }
}

/// What a call of [`Teaching::advance`] did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Advanced {
    /// Samples of the old classes were drawn.
    Drew {
        /// Their number so far.
        done: usize,
        /// Their number at last.
        total: usize,
    },
    /// A step was taken.
    Stepped {
        /// The number of steps so far.
        step: u32,
        /// The mean loss of the batch before the step.
        loss: f32,
        /// What was trained.
        phase: Phase,
    },
    /// There is nothing more to do.
    Done,
}

/// Why a teaching cannot go on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TeachingError {
    /// The model's own samples cannot be had.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
    /// A loss is not finite. The model of the steps before is intact.
    #[error("the teaching has diverged at step {0}, where the loss is not finite")]
    Diverged(u32),
}

/// A class that is being taught to a model.
pub struct Teaching {
    model: Model,
    name: String,
    settings: Settings,
    structure: UNetConfig,
    objective: Objective,
    device: Device,
    /// `[pictures, channels, size, size]`
    pictures: Vec<f32>,
    /// The same of the samples.
    samples: Vec<f32>,
    labels: Vec<u32>,
    network: UNet,
    average: Ema,
    optimizer: ModuleOptimizer,
    step: u32,
}

impl Teaching {
    /// Checks everything and gives the network one more class. `pictures`: `[pictures, size, size, channels]`, as bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal`], before anything is computed.
    pub fn new(model: Model, name: &str, pictures: &[u8], settings: Settings) -> Result<Self, Refusal> {
        let structure = check(&model, name, pictures, &settings)?;
        let config = model.config();
        let shape = config.image.dims();
        let device = model.network().device().autodiff();
        let network = weights::with_new_class(model.network(), &structure, config, &device);
        let size = shape.iter().product::<usize>();
        let values = pictures.chunks_exact(size).flat_map(|p| from_interleaved(p, shape)).collect();
        let edm = config.diffusion.target == Target::Edm;
        let origin = &config.provenance;
        let objective = Objective {
            target: config.diffusion.target,
            log_snr: config.diffusion.log_snr,
            p_uncond: if origin.p_uncond > 0.0 { origin.p_uncond } else { P_UNCOND },
            p_drop: None,
            levels: if edm { Levels::LogNormal } else { Levels::Stratified },
            log_normal: LogNormal::default(),
            weighting: Weighting::Uniform,
            guidance: None,
            jumps: None,
        };
        let optimizer = AdamWConfig::new()
            .with_beta_1(0.9)
            .with_beta_2(0.999)
            .with_epsilon(1e-8)
            .with_weight_decay(0.0)
            .init();
        Ok(Self {
            average: Ema::new(&network, EMA_DECAY),
            name: name.to_owned(),
            pictures: values,
            samples: Vec::new(),
            labels: Vec::new(),
            step: 0,
            model, settings, structure, objective, device, network, optimizer,
        })
    }

    /// The number of steps so far.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// Draws the next samples of the old classes or, when there are enough, takes a step.
    ///
    /// # Errors
    ///
    /// [`TeachingError`]; the model of the steps so far stays.
    pub fn advance(&mut self) -> Result<Advanced, TeachingError> {
        let classes = self.model.config().classes.len();
        let total = (REPLAYED * classes).min(MOST_REPLAYED.max(classes));
        match () {
            () if self.labels.len() < total => self.draw(total),
            () if self.step < self.settings.steps => self.learn(),
            () => Ok(Advanced::Done),
        }
    }

    fn draw(&mut self, total: usize) -> Result<Advanced, TeachingError> {
        let config = self.model.config();
        let (first, classes) = (self.labels.len(), config.classes.len());
        let labels: Vec<u32> = (first..total.min(first + DRAWN)).map(|i| (i % classes) as u32).collect();
        let mut request = Request::new(labels.iter().map(|&id| ClassName::Id(id.into())).collect());
        request.guidance = Some(PerImage::All(self.settings.replay_guidance));
        request.steps = Some(config.sampling.steps.min(SAMPLE_STEPS));
        (request.seed, request.first_image) = (self.settings.seed, first as u64);
        let mut run = self.model.run(self.model.plan(&request)?);
        while run.advance() {}
        self.samples.extend(read(run.denoised())?);
        self.labels.extend(labels);
        Ok(Advanced::Drew { done: self.labels.len(), total })
    }

    fn learn(&mut self) -> Result<Advanced, TeachingError> {
        let Settings { steps, batch, seed, flip, .. } = self.settings;
        let [channels, side, _] = self.model.config().image.dims();
        let size = channels * side * side;
        let new = self.model.config().classes.len() as u32;
        // Places take turns, because stratified levels follow the place in the batch.
        let pictures = Order::new(seed, self.pictures.len() / size).batch(self.step.into(), batch.div_ceil(2));
        let samples = Order::new(seed, self.labels.len()).batch(self.step.into(), batch / 2);
        let mirrored = if flip { flips(seed, self.step, batch) } else { vec![false; batch] };
        let (mut values, mut labels) = (Vec::with_capacity(batch * size), Vec::with_capacity(batch));
        for place in 0..batch {
            let (from, index, label) = match place % 2 {
                0 => (&self.pictures, pictures[place / 2], new),
                _ => (&self.samples, samples[place / 2], self.labels[samples[place / 2]]),
            };
            let at = values.len();
            values.extend_from_slice(&from[index * size..][..size]);
            if label == new && mirrored[place] {
                values[at..].chunks_exact_mut(side).for_each(<[f32]>::reverse);
            }
            labels.push(label);
        }
        let draw = self.objective.draw(&Part::whole(seed, self.step, batch), &labels, new + 1, size);
        let x = Tensor::from_data(TensorData::new(values, [batch, channels, side, side]), &self.device);
        let denoiser = self.network.with_dropout(seed, self.step, 0);
        let loss = self.objective.loss(&denoiser, x, draw);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        let loss = read(loss.inner())?.into_iter().sum::<f32>();
        if !loss.is_finite() {
            return Err(TeachingError::Diverged(self.step));
        }
        let phase = Phase::of(self.step, steps);
        let stages = self.structure.channel_multipliers.len();
        let gradients = weights::of_phase(&self.network, gradients, phase, stages);
        let (gradients, _) = clip_global_norm(&self.network, gradients, CLIP_NORM);
        let rate = learning_rate(self.step, steps);
        self.network = self.optimizer.step(rate, self.network.clone(), gradients);
        self.step += 1;
        self.average.update(&self.network, self.step.into());
        Ok(Advanced::Stepped { step: self.step, loss, phase })
    }

    /// The model of the steps so far, with averaged weights. Its configuration says what it was taught; it lists no weights
    /// files and no metrics, which were the old model's.
    pub fn taught(&self) -> Model {
        let mut config: Config = self.model.config().clone();
        let size: usize = config.image.dims().iter().product();
        let count = self.pictures.len() / size;
        let width = self.structure.embedding() as u64;
        let names: Vec<&str> = config.classes.iter().chain([self.name.as_str()]).collect();
        let classes = names.iter().collect();
        let origin = &mut config.provenance;
        origin.dataset = format!("{}; taught {:?} from {count} pictures, in {} steps with seed {}",
            origin.dataset, self.name, self.step, self.settings.seed);
        origin.steps += u64::from(self.step);
        origin.images_seen += u64::from(self.step) * self.settings.batch as u64;
        origin.p_uncond = self.objective.p_uncond;
        origin.ema_decay = EMA_DECAY;
        origin.parameters += width;
        origin.metrics.clear();
        config.name = format!("{}-{}", config.name, self.name);
        config.classes = classes;
        config.written_by = WRITTEN_BY.to_owned();
        config.weights.clear();
        config.format_version = config.least_version(WeightKind::Floats);
        Model::new(config, self.average.network.clone(), self.device.clone().inner())
    }
}

/// The structure of a network that can be taught these pictures under this name.
fn check(model: &Model, name: &str, pictures: &[u8], settings: &Settings) -> Result<UNetConfig, Refusal> {
    let config = model.config();
    let of = || config.name.clone();
    let Network::UNet(network) = &config.network else {
        return Err(Refusal::Compiled(of()));
    };
    if network.guidance.is_some() || network.flow_map.is_some() {
        return Err(Refusal::Student(of()));
    }
    if network.takes_more_than_a_class() {
        return Err(Refusal::Attributes(of()));
    }
    if config.classes.is_empty() || !config.null_class {
        return Err(Refusal::NoClasses(of()));
    }
    if !(1..=MAX_CLASS_NAME).contains(&name.len()) {
        return Err(Refusal::Name);
    }
    if config.classes.id(name).is_some() {
        return Err(Refusal::NameTaken { model: of(), name: name.to_owned() });
    }
    if config.classes.len() >= MAX_CLASSES {
        return Err(Refusal::TooManyClasses);
    }
    if settings.steps == 0 {
        return Err(Refusal::NoSteps);
    }
    let size: usize = config.image.dims().iter().product();
    if pictures.len() % size != 0 {
        return Err(Refusal::Shape(pictures.len()));
    }
    match pictures.len() / size {
        few if few < LEAST_PICTURES => return Err(Refusal::TooFew(few)),
        many if many > MOST_PICTURES => return Err(Refusal::TooMany(many)),
        _ => {}
    }
    let mut each = pictures.chunks_exact(size);
    let first = each.next();
    if each.all(|picture| Some(picture) == first) {
        return Err(Refusal::AllTheSame);
    }
    Ok(network.clone())
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TeachingError> {
    let data = tensor.try_into_data().map_err(|e| TeachingError::Device(format!("{e:?}")))?;
    Ok(data.iter::<f32>().collect())
}
