//! What the residual blocks are conditioned on: one embedding of λ, of the class or the attributes, of a number and, in
//! students, of w and of the next level.

use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::activation::{sigmoid, silu};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::input_embedding::{InputEmbedding, SCALE};
use super::{Conditions, LogSnrEmbedding, UNetConfig};
use crate::condition::Joint;
use crate::initial::{embedding, linear};
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::noise_level::LogSnr;
use crate::timesteps::TimestepTable;

/// Inputs that not all networks take, `[batch]` each.
#[derive(Debug, Clone, Default)]
pub struct OtherInputs {
    /// w; 0, the conditional model, where it is not given.
    pub guidance: Option<Tensor<1>>,
    /// λ of the level that the step leads to, in nats; λ itself where it is not given.
    pub next_log_snr: Option<Tensor<1>>,
    /// Which attributes each row has, `[batch, classes]`, 1 or 0, in the place of its class; of its class where they are not
    /// given.
    pub attributes: Option<Tensor<2>>,
    /// The number of each row; none where it is not given.
    pub number: Option<GivenNumbers>,
}

/// A number for some rows.
#[derive(Debug, Clone)]
pub struct GivenNumbers {
    /// The number of each row, `[batch]`; any where it has none.
    pub value: Tensor<1>,
    /// 1 where a row has a number and 0 where it has none, `[batch]`.
    pub given: Tensor<1>,
}

impl OtherInputs {
    /// The attributes and numbers of rows, of a network with so many classes.
    pub fn of_joints(rows: &[Joint], classes: usize, device: &Device) -> Self {
        let count = rows.len();
        let column = |of: &dyn Fn(&Joint) -> f64| {
            let values: Vec<f32> = rows.iter().map(|row| of(row) as f32).collect();
            Tensor::<1>::from_data(TensorData::new(values, [count]), device)
        };
        Self {
            attributes: Some(Tensor::from_data(
                TensorData::new(flags(rows, classes), [count, classes]),
                device,
            )),
            number: Some(GivenNumbers {
                value: column(&|row| row.number.unwrap_or_default()),
                given: column(&|row| f64::from(u8::from(row.number.is_some()))),
            }),
            ..Self::default()
        }
    }
}

/// 1 for each of so many classes that a row has, else 0, row after row.
pub(super) fn flags(rows: &[Joint], classes: usize) -> Vec<f32> {
    let mut flags = vec![0.0; rows.len() * classes];
    for (row, joint) in rows.iter().enumerate() {
        for &label in &joint.labels {
            flags[row * classes + label as usize] = 1.0;
        }
    }
    flags
}

/// Which of the [`OtherInputs`] a network takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenInputs {
    /// w.
    pub guidance: bool,
    /// λ of the level that the step leads to.
    pub next_log_snr: bool,
    /// Attributes.
    pub attributes: bool,
    /// A number.
    pub number: bool,
}

/// How the network sees λ.
#[derive(Debug, Clone)]
enum TimeInput {
    Continuous(LogSnrEmbedding),
    Discrete(TimestepTable),
}

/// The embedding of (λ, class): an MLP of the sinusoidal embedding of λ plus an embedding of the
/// class, in which ∅ is the last entry, or the sum of those of all attributes. A network that is conditioned on a number adds
/// its embedding, and students add embeddings of their other inputs.
#[derive(Module, Debug)]
pub struct Conditioning {
    log_snr_in: Linear,
    log_snr_out: Linear,
    class: Embedding,
    guidance: Option<InputEmbedding>,
    next_log_snr: Option<InputEmbedding>,
    number: Option<InputEmbedding>,
    attributes: bool,
    /// The argument of the embedding of w is `slope` · w + `offset`.
    slope: f64,
    offset: f64,
    /// The same of the number.
    number_slope: f64,
    number_offset: f64,
    #[module(skip)]
    time: TimeInput,
    /// s in the frequencies 10000^(−i/(n − s)).
    frequency_shift: f64,
}

impl Conditioning {
    pub(super) fn new(config: &UNetConfig, classes: usize, device: &Device) -> Self {
        let (sinusoids, width) = (config.sinusoids(), config.embedding());
        let argument = config.guidance.map(|guidance| guidance.argument());
        let (slope, offset) = argument.unwrap_or_default();
        let of_number = config.number.as_ref().map(|number| number.argument());
        let (number_slope, number_offset) = of_number.unwrap_or_default();
        Self {
            log_snr_in: linear(sinusoids, width, device),
            log_snr_out: linear(width, width, device),
            class: embedding(classes + 1, width, device),
            guidance: config.guidance.map(|_| InputEmbedding::new(config, device)),
            next_log_snr: config.flow_map.map(|_| InputEmbedding::new(config, device)),
            number: of_number.map(|_| InputEmbedding::optional(config, device)),
            attributes: config.conditions == Conditions::Attributes,
            slope,
            offset,
            number_slope,
            number_offset,
            time: match &config.timesteps {
                Some(timesteps) => TimeInput::Discrete(timesteps.table()),
                None => TimeInput::Continuous(config.log_snr_embedding),
            },
            frequency_shift: config.frequency_shift,
        }
    }

    /// The sinusoidal embeddings of one level, of w, of the next level and of the number, as far as the network takes them,
    /// one after the other. They are computed here: what GPUs make of the sine of a large number differs.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn sinusoids_of(
        &self,
        level: LogSnr,
        w: f64,
        next: Option<LogSnr>,
        number: Option<f64>,
    ) -> Vec<f32> {
        let t = match &self.time {
            TimeInput::Continuous(embedding) => embedding.time_at(level.0),
            TimeInput::Discrete(table) => table.timestep_at(level.0),
        };
        let mut values = sinusoids_at(t, self.channels(), self.frequency_shift);
        if self.guidance.is_some() {
            let argument = w * self.slope + self.offset;
            values.extend(sinusoids_at(argument, self.channels(), 0.0));
        }
        if self.next_log_snr.is_some() {
            let argument = SCALE * libm::pow(next.unwrap_or(level).sigma(), 2.0);
            values.extend(sinusoids_at(argument, self.channels(), 0.0));
        }
        if self.number.is_some() {
            values.extend(match number {
                Some(number) => {
                    let argument = number * self.number_slope + self.number_offset;
                    sinusoids_at(argument, self.channels(), 0.0)
                }
                None => vec![0.0; self.channels()],
            });
        }
        values
    }

    /// The same of each row, on its device, `[batch, channels of all]`.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn all_sinusoids(&self, log_snr: Tensor<1>, others: OtherInputs) -> Tensor<2> {
        let mut parts = vec![self.sinusoids(log_snr.clone())];
        if self.guidance.is_some() {
            let w = others.guidance.unwrap_or_else(|| log_snr.zeros_like());
            let argument = w * self.slope + self.offset;
            parts.push(sinusoids(argument, self.channels(), 0.0));
        }
        if self.next_log_snr.is_some() {
            let next = others.next_log_snr.unwrap_or_else(|| log_snr.clone());
            parts.push(sinusoids(sigmoid(next.neg()) * SCALE, self.channels(), 0.0));
        }
        if self.number.is_some() {
            parts.push(match others.number {
                Some(GivenNumbers { value, given }) => {
                    let argument = value * self.number_slope + self.number_offset;
                    sinusoids(argument, self.channels(), 0.0) * given.unsqueeze_dim::<2>(1)
                }
                None => parts[0].zeros_like(),
            });
        }
        match parts.len() {
            1 => parts.remove(0),
            _ => Tensor::cat(parts, 1),
        }
    }

    /// The layers of the sinusoidal embeddings of the inputs, of which SiLU follows the first of each.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn layers(&self) -> Vec<[&Linear; 2]> {
        let others = [&self.guidance, &self.next_log_snr, &self.number];
        let others = others.into_iter().flatten().map(InputEmbedding::layers);
        let mut layers = vec![[&self.log_snr_in, &self.log_snr_out]];
        layers.extend(others);
        layers
    }

    /// The embeddings of the classes, `[classes + 1, width]`.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn classes(&self) -> Tensor<2> {
        self.class.weight.val()
    }

    /// Channels of the sinusoidal embedding.
    fn channels(&self) -> usize {
        let [channels, _] = self.log_snr_in.weight.dims();
        channels
    }

    /// The sinusoidal embedding of λ.
    ///
    /// # Shapes
    ///
    /// `log_snr`: `[batch]`; result: `[batch, channels]`, for an even number of channels.
    pub(super) fn sinusoids(&self, log_snr: Tensor<1>) -> Tensor<2> {
        let t = match &self.time {
            TimeInput::Continuous(embedding) => embedding.time(log_snr),
            TimeInput::Discrete(table) => table.timestep(log_snr),
        };
        sinusoids(t, self.channels(), self.frequency_shift)
    }

    /// Which of the other inputs the network takes.
    pub fn takes(&self) -> TakenInputs {
        TakenInputs {
            guidance: self.guidance.is_some(),
            next_log_snr: self.next_log_snr.is_some(),
            attributes: self.attributes,
            number: self.number.is_some(),
        }
    }

    /// SiLU of the embedding, which is how every block uses it. Networks ignore other inputs than theirs.
    ///
    /// # Shapes
    ///
    /// `log_snr`, `class`, `others`: `[batch]`; result: `[max(batch, 2), width]`. There are never fewer than
    /// two rows, because products of a single row run on other kernels: on wgpu one that may use
    /// subgroups where the browser has none (cubek #654), on a CPU one that adds up in another
    /// order, so that an image would depend on its batch. A row that was added is a copy.
    pub fn forward(
        &self,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<2> {
        let [batch] = log_snr.dims();
        let rows = |values: Tensor<1>| match batch {
            1 => values.repeat_dim(0, 2),
            _ => values,
        };
        let class = match batch {
            1 => class.repeat_dim(0, 2),
            _ => class,
        };
        let guidance = rows(others.guidance.unwrap_or_else(|| log_snr.zeros_like()));
        let next = rows(others.next_log_snr.unwrap_or_else(|| log_snr.clone()));
        let log_snr = rows(log_snr);
        // λ and its embedding need more digits than 16 bits have; the layers have their own type.
        let time = self.sinusoids(log_snr);
        let time = time.cast(self.log_snr_in.weight.dtype());
        let time = self
            .log_snr_out
            .forward(silu(self.log_snr_in.forward(time)));
        let class = match others.attributes.filter(|_| self.attributes) {
            Some(attributes) => self.sum_of_attributes(match batch {
                1 => attributes.repeat_dim(0, 2),
                _ => attributes,
            }),
            None => self
                .class
                .forward(class.unsqueeze_dim::<2>(1))
                .squeeze_dim::<2>(1),
        };
        let mut sum = time + class;
        if let Some(embedding) = &self.guidance {
            sum = sum + embedding.forward(guidance * self.slope + self.offset);
        }
        if let Some(embedding) = &self.next_log_snr {
            // 100 σ² of the next level.
            sum = sum + embedding.forward(sigmoid(next.neg()) * SCALE);
        }
        if let (Some(embedding), Some(GivenNumbers { value, given })) =
            (&self.number, others.number)
        {
            let argument = rows(value) * self.number_slope + self.number_offset;
            sum = sum + embedding.forward_given(argument, rows(given));
        }
        silu(sum)
    }

    /// The sum of the embeddings of the attributes that each row has, or that of ∅ where it has none.
    ///
    /// # Shapes
    ///
    /// `attributes`: `[rows, classes]`; result: `[rows, width]`.
    fn sum_of_attributes(&self, attributes: Tensor<2>) -> Tensor<2> {
        let table = self.class.weight.val();
        let attributes = attributes.cast(table.dtype());
        let count = attributes.clone().sum_dim(1);
        let none = (count.neg() + 1.0).clamp_min(0.0);
        Tensor::cat(vec![attributes, none], 1).matmul(table)
    }
}

/// The sinusoidal embedding (Vaswani et al. 2017, as ADM orders it: cosines, then sines) at the frequencies
/// 10000^(−i/(n − shift)) for i = 0 … n − 1, where n is half of the channels.
///
/// # Shapes
///
/// `t`: `[batch]`; result: `[batch, channels]`, for an even number of channels.
pub(super) fn sinusoids(t: Tensor<1>, channels: usize, shift: f64) -> Tensor<2> {
    let frequencies = frequencies(channels, shift);
    let shape = [1, frequencies.len()];
    let frequencies = Tensor::<2>::from_data(TensorData::new(frequencies, shape), &t.device());
    let angle = t.unsqueeze_dim::<2>(1) * frequencies;
    Tensor::cat(vec![angle.clone().cos(), angle.sin()], 1)
}

/// The sinusoidal embedding of one number.
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
fn sinusoids_at(t: f64, channels: usize, shift: f64) -> Vec<f32> {
    let frequencies = frequencies(channels, shift);
    let of = |part: fn(f64) -> f64| {
        let angles = frequencies
            .iter()
            .map(move |&frequency| t * f64::from(frequency));
        angles.map(move |angle| part(angle) as f32)
    };
    of(libm::cos).chain(of(libm::sin)).collect()
}

fn frequencies(channels: usize, shift: f64) -> Vec<f32> {
    let half = channels / 2;
    let last = half as f64 - shift;
    (0..half)
        .map(|i| libm::exp(-libm::log(10_000.0) * i as f64 / last) as f32)
        .collect()
}
