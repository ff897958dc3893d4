//! What the residual blocks are conditioned on: one embedding of λ and of the class.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData, activation::silu};

use super::{LogSnrEmbedding, UNetConfig};
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::noise_level::LogSnr;
use crate::timesteps::TimestepTable;

/// How the network sees λ.
#[derive(Debug, Clone)]
enum TimeInput {
    Continuous(LogSnrEmbedding),
    Discrete(TimestepTable),
}

/// The embedding of (λ, class): an MLP of the sinusoidal embedding of λ plus an embedding of the
/// class, in which ∅ is the last entry.
#[derive(Module, Debug)]
pub struct Conditioning {
    log_snr_in: Linear,
    log_snr_out: Linear,
    class: Embedding,
    #[module(skip)]
    time: TimeInput,
    /// s in the frequencies 10000^(−i/(n − s)).
    frequency_shift: f64,
}

impl Conditioning {
    pub(super) fn new(config: &UNetConfig, classes: usize, device: &Device) -> Self {
        let (sinusoids, width) = (config.sinusoids(), config.embedding());
        Self {
            log_snr_in: LinearConfig::new(sinusoids, width).init(device),
            log_snr_out: LinearConfig::new(width, width).init(device),
            class: EmbeddingConfig::new(classes + 1, width).init(device),
            time: match &config.timesteps {
                Some(timesteps) => TimeInput::Discrete(timesteps.table()),
                None => TimeInput::Continuous(config.log_snr_embedding),
            },
            frequency_shift: config.frequency_shift,
        }
    }

    /// Those of the sinusoidal embedding.
    fn frequencies(&self) -> Vec<f32> {
        let [channels, _] = self.log_snr_in.weight.dims();
        let half = channels / 2;
        let last = half as f64 - self.frequency_shift;
        (0..half)
            .map(|i| libm::exp(-libm::log(10_000.0) * i as f64 / last) as f32)
            .collect()
    }

    /// The sinusoidal embedding of one level, computed here: what GPUs make of the sine of a large number differs.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn sinusoids_of(&self, level: LogSnr) -> Vec<f32> {
        let t = match &self.time {
            TimeInput::Continuous(embedding) => embedding.time_at(level.0),
            TimeInput::Discrete(table) => table.timestep_at(level.0),
        };
        let frequencies = self.frequencies();
        let of = |part: fn(f64) -> f64| {
            let angles = frequencies
                .iter()
                .map(move |&frequency| t * f64::from(frequency));
            angles.map(move |angle| part(angle) as f32)
        };
        of(libm::cos).chain(of(libm::sin)).collect()
    }

    /// The layers of the sinusoidal embedding, of which SiLU follows the first.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn layers(&self) -> [&Linear; 2] {
        [&self.log_snr_in, &self.log_snr_out]
    }

    /// The embeddings of the classes, `[classes + 1, width]`.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn classes(&self) -> Tensor<2> {
        self.class.weight.val()
    }

    /// The sinusoidal embedding (Vaswani et al. 2017, as ADM orders it: cosines, then sines).
    ///
    /// # Shapes
    ///
    /// `log_snr`: `[batch]`; result: `[batch, channels]`, for an even number of channels.
    pub(super) fn sinusoids(&self, log_snr: Tensor<1>) -> Tensor<2> {
        let frequencies = self.frequencies();
        let shape = [1, frequencies.len()];
        let frequencies =
            Tensor::<2>::from_data(TensorData::new(frequencies, shape), &log_snr.device());
        let t = match &self.time {
            TimeInput::Continuous(embedding) => embedding.time(log_snr),
            TimeInput::Discrete(table) => table.timestep(log_snr),
        };
        let angle = t.unsqueeze_dim::<2>(1) * frequencies;
        Tensor::cat(vec![angle.clone().cos(), angle.sin()], 1)
    }

    /// SiLU of the embedding, which is how every block uses it.
    ///
    /// # Shapes
    ///
    /// `log_snr`, `class`: `[batch]`; result: `[max(batch, 2), width]`. There are never fewer than
    /// two rows, because products of a single row run on other kernels: on wgpu one that may use
    /// subgroups where the browser has none (cubek #654), on a CPU one that adds up in another
    /// order, so that an image would depend on its batch. A row that was added is a copy.
    pub fn forward(&self, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<2> {
        let [batch] = log_snr.dims();
        let (log_snr, class) = if batch == 1 {
            (log_snr.repeat_dim(0, 2), class.repeat_dim(0, 2))
        } else {
            (log_snr, class)
        };
        // λ and its embedding need more digits than 16 bits have; the layers have their own type.
        let time = self.sinusoids(log_snr);
        let time = time.cast(self.log_snr_in.weight.dtype());
        let time = self
            .log_snr_out
            .forward(silu(self.log_snr_in.forward(time)));
        let class = self
            .class
            .forward(class.unsqueeze_dim::<2>(1))
            .squeeze_dim::<2>(1);
        silu(time + class)
    }
}
