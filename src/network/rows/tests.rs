//! Rows against the same network in burn's 64-bit floats.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::denoiser::Denoiser;
use crate::network::{
    CpuUNet, Downsample, LowResolution, MiddleKind, Modulation, OtherInputs, UNet, UNetConfig,
    Upsample,
};

/// Gives every parameter numbers that look random, so that no layer answers zero.
pub(super) struct Randomize(pub u64);

impl ModuleMapper for Randomize {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1;
        let seed = self.0;
        param.map(|t| {
            let shape = t.dims();
            let scale = 1.0 / f64::sqrt(shape.iter().skip(1).product::<usize>() as f64);
            numbers(shape, seed, &t.device()) * scale
        })
    }
}

/// Casts every parameter to 64-bit floats.
struct Widen;

impl ModuleMapper for Widen {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|t| t.cast(DType::F64))
    }
}

pub(super) fn numbers<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A network with every kind of layer that is answered by rows.
pub(super) fn config() -> UNetConfig {
    UNetConfig {
        base_channels: 24,
        channel_multipliers: vec![1, 2],
        residual_blocks: 1,
        attention_resolutions: vec![8],
        head_channels: 12,
        norm_groups: 6,
        ..UNetConfig::tiny()
    }
}

fn network(config: &UNetConfig, size: usize) -> UNet {
    config
        .init(size, 3, 4, &Device::flex())
        .map(&mut Randomize(1))
}

struct Question {
    z: Tensor<4>,
    log_snr: Tensor<1>,
    class: Tensor<1, Int>,
    /// For networks of super-resolution; others ignore it.
    low: LowResolution,
}

impl Question {
    fn new(rows: usize, size: usize) -> Self {
        let device = Device::flex();
        let class: Vec<i32> = (0..rows as i32).map(|i| i % 5).collect();
        Self {
            z: numbers([rows, 3, size, size], 9, &device),
            log_snr: numbers([rows], 10, &device) * 5.0,
            class: Tensor::from_data(TensorData::new(class, [rows]), &device),
            low: LowResolution {
                picture: numbers([rows, 3, size, size], 11, &device),
                level: (numbers([rows], 12, &device) + 1.0) * 0.5,
            },
        }
    }

    fn part(&self, first: usize, count: usize) -> Self {
        Self {
            z: self.z.clone().narrow(0, first, count),
            log_snr: self.log_snr.clone().narrow(0, first, count),
            class: self.class.clone().narrow(0, first, count),
            low: LowResolution {
                picture: self.low.picture.clone().narrow(0, first, count),
                level: self.low.level.clone().narrow(0, first, count),
            },
        }
    }

    fn rows(&self, network: &UNet) -> Option<Tensor<4>> {
        let (log_snr, class) = (self.log_snr.clone(), self.class.clone());
        let z = network.joined(self.z.clone(), &self.others());
        let embedding = network.conditioning.forward(log_snr, class, self.others());
        network.answer_rows(&z, &embedding)
    }

    fn others(&self) -> OtherInputs {
        OtherInputs {
            low_resolution: Some(self.low.clone()),
            ..OtherInputs::default()
        }
    }
}

#[test]
fn rows_are_answered_as_burn_does_in_64_bits() {
    let odd = UNetConfig {
        base_channels: 20,
        head_channels: 20,
        norm_groups: 5,
        ..config()
    };
    let cases = [
        (config(), 16),
        (
            UNetConfig {
                patch: 2,
                input_skip: true,
                ..config()
            },
            32,
        ),
        (
            UNetConfig {
                modulation: Modulation::Add,
                ..config()
            },
            16,
        ),
        (
            UNetConfig {
                upsample: Upsample::Convolution,
                ..config()
            },
            32,
        ),
        (
            UNetConfig {
                middle: MiddleKind::None,
                ..config()
            },
            16,
        ),
        (
            UNetConfig {
                downsample: Downsample::Convolution,
                ..config()
            },
            16,
        ),
        (
            UNetConfig {
                downsample: Downsample::ConvolutionAfter,
                ..config()
            },
            16,
        ),
        (odd, 20),
        (
            UNetConfig {
                low_resolution: Some(4),
                ..config()
            },
            16,
        ),
        (
            UNetConfig {
                low_resolution: Some(8),
                patch: 2,
                input_skip: true,
                ..config()
            },
            32,
        ),
    ];
    for (i, (config, size)) in cases.into_iter().enumerate() {
        let network = network(&config, size);
        let question = Question::new(3, size);
        let found = question.rows(&network).expect("an answer by rows");
        let wide = network.map(&mut Widen);
        let others = question.others();
        let Question {
            z, log_snr, class, ..
        } = question;
        let expected = wide.predict_with(z.cast(DType::F64), log_snr, class, others);
        let found: Vec<f64> = found.into_data().iter::<f64>().collect();
        let expected: Vec<f64> = expected.into_data().iter::<f64>().collect();
        let largest = expected.iter().fold(0.1f64, |worst, e| worst.max(e.abs()));
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(&expected) {
            assert!(
                (f - e).abs() <= 2e-5 * largest,
                "case {i}: {f}, should be {e}"
            );
        }
    }
}

#[test]
fn an_answer_depends_on_neither_its_batch_nor_the_number_of_threads() {
    let enlarges = UNetConfig {
        low_resolution: Some(8),
        input_skip: true,
        ..config()
    };
    for config in [config(), enlarges] {
        depends_on_itself_alone(&network(&config, 16));
    }
}

fn depends_on_itself_alone(network: &UNet) {
    let question = Question::new(11, 16);
    let whole = question.rows(network).expect("an answer");
    for (first, count) in [(0, 1), (4, 1), (10, 1), (3, 2), (2, 5), (1, 9)] {
        let part = question
            .part(first, count)
            .rows(network)
            .expect("an answer");
        let expected = whole.clone().narrow(0, first, count).into_data();
        part.into_data().assert_eq(&expected, true);
    }
    #[cfg(feature = "rayon")]
    for threads in [1, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let answer = pool
            .expect("a pool of threads")
            .install(|| question.rows(network));
        let answer = answer.expect("an answer").into_data();
        answer.assert_eq(&whole.clone().into_data(), true);
    }
}

#[test]
fn what_is_not_answered_by_rows() {
    let question = Question::new(2, 16);
    let config = config();
    let training = config.init(16, 3, 4, &Device::flex().autodiff());
    assert!(question.rows(&training).is_none());
    let wide = network(&config, 16).map(&mut Widen);
    assert!(question.rows(&wide).is_none());
}

#[test]
fn a_network_by_rows_alone_is_the_network() {
    let question = Question::new(3, 16);
    let network = network(&config(), 16);
    let expected = question.rows(&network).expect("an answer").into_data();
    let training = config().init(16, 3, 4, &Device::flex().autodiff());
    assert!(CpuUNet::new(training).is_none());
    assert!(CpuUNet::new(network.clone().map(&mut Widen)).is_none());
    let alone = CpuUNet::new(network).expect("a network in 32-bit floats on the CPU");
    let Question {
        z, log_snr, class, ..
    } = question;
    let answer = alone.predict(z, log_snr, class).into_data();
    answer.assert_eq(&expected, true);
}

#[test]
fn weights_that_changed_are_seen() {
    let question = Question::new(2, 16);
    let mut network = network(&config(), 16);
    let before = question.rows(&network).expect("an answer").into_data();
    network = network.map(&mut Randomize(77));
    let after = question.rows(&network).expect("an answer");
    assert_ne!(before, after.clone().into_data());
    let mut fresh = config().init(16, 3, 4, &Device::flex());
    fresh = fresh.map(&mut Randomize(77));
    let expected = question.rows(&fresh).expect("an answer").into_data();
    after.into_data().assert_eq(&expected, true);
}

#[test]
fn training_gives_back_what_rows_keep() {
    let question = Question::new(2, 16);
    let network = network(&config(), 16);
    let trained = network.clone().train();
    for (network_in_training, device) in [
        (network.clone(), Device::flex()),
        (trained, Device::flex().autodiff()),
    ] {
        assert!(!network.input.keeps_rows());
        question.rows(&network).expect("an answer");
        assert!(network.input.keeps_rows());
        let z = question.z.clone().into_data();
        let log_snr = question.log_snr.clone().into_data();
        let class = question.class.clone().into_data();
        network_in_training.with_dropout(1, 2, 0).predict(
            Tensor::from_data(z, &device),
            Tensor::from_data(log_snr, &device),
            Tensor::from_data(class, &device),
        );
        assert!(!network.input.keeps_rows());
    }
}
