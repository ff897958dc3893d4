//! Does this device compute what it should?
//!
//! A browser's GPU can drop a kernel without an error: what is read back then is stale memory.
//! So every device is put to a test with a known answer before it is trusted: a forward pass of
//! a small U-Net that has every kind of layer, and a guided evaluation of it.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use thiserror::Error;

use crate::guidance::{Guide, Policy};
use crate::network::{UNet, UNetConfig};
use crate::noise::{NoiseStream, Purpose};
use crate::noise_level::LogSnr;
use crate::prediction::Target;
use crate::sampler::Evaluation;

/// Why a device cannot be trusted.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SelfTestError {
    /// The result could not be read back.
    #[error("the device did not return the result of the self-test: {0}")]
    Unreadable(String),
    /// The result is wrong.
    #[error(
        "the device computes wrongly: the self-test is off by {difference} where {allowed} is allowed"
    )]
    Wrong {
        /// The largest difference from the known answer; NaN or infinite where that came back.
        difference: f32,
        /// How large it may be.
        allowed: f32,
    },
}

/// How far a device may be from the known answer, whose values are of the order of 1. Devices
/// differ by their order of addition, some 1e-5 in f32.
pub const TOLERANCE: f32 = 2e-3;

/// As [`TOLERANCE`], of a network that computes in f16, whose values are within 5e-4 of what they
/// stand for.
pub const HALF_TOLERANCE: f32 = 5e-2;

/// Known answer: mean and mean square of the output, then every 37th value of it.
///
/// Computed by the CPU backend in f32; the parity tests hold the same network against PyTorch.
const ANSWER: [f32; 13] = [
    0.094_106_7,
    0.144_994_8,
    0.120_358_45,
    -0.629_099_7,
    -0.223_444_54,
    0.109_675_23,
    0.469_307_93,
    0.116_359_94,
    -0.119_442_08,
    0.266_928_5,
    -0.310_959,
    0.049_052_81,
    0.665_804_1,
];

/// The same of the guided prediction for the same z and classes 0 and 1 at λ = −1.5 with w = 2.
const GUIDED_ANSWER: [f32; 13] = [
    0.032_663_483,
    0.227_239_86,
    0.241_310_72,
    -0.543_671_67,
    -0.074_812_4,
    0.108_207_05,
    0.308_012_4,
    0.174_687_33,
    -0.750_512_9,
    0.484_674_96,
    0.221_584_7,
    0.148_615_18,
    1.117_199_2,
];

/// A small U-Net whose weights come from the counter-based generator.
pub fn network(device: &Device) -> UNet {
    UNetConfig::tiny().init(8, 3, 2, device).map(&mut Fill {
        device: device.clone(),
        index: 0,
    })
}

/// Runs the self-test.
///
/// # Errors
///
/// [`SelfTestError`] where the device must not be used.
pub async fn self_test(device: &Device) -> Result<(), SelfTestError> {
    compare(measure(network(device), device).await?, TOLERANCE)
}

/// Runs the self-test in f16, on a device that supports it.
///
/// # Errors
///
/// [`SelfTestError`] where the device must not be used for f16.
pub async fn self_test_half(device: &Device) -> Result<(), SelfTestError> {
    let half = network(device).map(&mut Halve);
    compare(measure(half, device).await?, HALF_TOLERANCE)
}

fn compare(found: Vec<f32>, allowed: f32) -> Result<(), SelfTestError> {
    let difference = found
        .iter()
        .zip(ANSWER.iter().chain(&GUIDED_ANSWER))
        .map(|(found, answer)| (found - answer).abs())
        // NaN must not lose against a number.
        .fold(0.0f32, |worst, d| if d <= worst { worst } else { d });
    if difference <= allowed {
        Ok(())
    } else {
        Err(SelfTestError::Wrong {
            difference,
            allowed,
        })
    }
}

/// The input of the self-test: z `[2, 3, 8, 8]`, λ `[2]` and the classes `[2]`, the second of them ∅.
pub fn input(device: &Device) -> (Tensor<4>, Tensor<1>, Tensor<1, Int>) {
    let shape = [2, 3, 8, 8];
    let mut values = vec![0f32; shape.iter().product()];
    NoiseStream::new(Purpose::Sampling, 0, 0, 0).fill_normal(&mut values);
    (
        Tensor::from_data(TensorData::new(values, shape), device),
        Tensor::from_floats([-1.5, 2.0], device),
        Tensor::from_ints([1, 2], device),
    )
}

async fn measure(network: UNet, device: &Device) -> Result<Vec<f32>, SelfTestError> {
    let (z, log_snr, class) = input(device);
    let guided = guided(&network, &z);
    let mut found = summary(network.forward(z, log_snr, class)).await?;
    found.extend(summary(guided).await?);
    Ok(found)
}

/// ε̃ of the guided evaluation.
fn guided(network: &UNet, z: &Tensor<4>) -> Tensor<4> {
    let level = LogSnr(-1.5);
    let mut guide = Guide::new(
        &[Some(0), Some(1)],
        &[2.0, 2.0],
        Policy::default(),
        None,
        2,
        None,
    );
    let rows = guide.rows(level);
    let evaluation = Evaluation {
        z: rows.latents(z),
        level,
        classes: rows.classes().to_vec(),
    };
    let output = evaluation.predict(network);
    guide
        .mix(&output, z, level, Target::Epsilon, false)
        .estimate
        .epsilon
}

/// Mean, mean square and every 37th value.
async fn summary(output: Tensor<4>) -> Result<Vec<f32>, SelfTestError> {
    let data = output
        .into_data_async()
        .await
        .map_err(|e| SelfTestError::Unreadable(format!("{e:?}")))?;
    let values: Vec<f32> = data.iter::<f32>().collect();
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let square = values.iter().map(|v| v * v).sum::<f32>() / count;
    Ok([mean, square]
        .into_iter()
        .chain(values.into_iter().step_by(37))
        .collect())
}

/// Fills parameters with small numbers, each from a stream of its own.
struct Fill {
    device: Device,
    index: u64,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let mut values = vec![0f32; shape.num_elements()];
        self.index += 1;
        NoiseStream::new(Purpose::Sampling, 0, self.index, 0).fill_normal(&mut values);
        values.iter_mut().for_each(|v| *v *= 0.25);
        Param::initialized(
            param.id,
            Tensor::from_data(TensorData::new(values, shape), &self.device),
        )
    }
}

/// Parameters in f16.
struct Halve;

impl ModuleMapper for Halve {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        Param::initialized(param.id, param.val().cast(DType::F16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    #[test]
    fn the_cpu_passes() {
        let device = Device::flex();
        let found = block_on(measure(network(&device), &device)).unwrap();
        assert_eq!(block_on(self_test(&device)), Ok(()), "{found:?}");
    }

    #[test]
    fn the_cpu_passes_in_half_precision_and_not_by_chance() {
        let device = Device::flex();
        assert_eq!(block_on(self_test_half(&device)), Ok(()));
        let half = block_on(measure(network(&device).map(&mut Halve), &device)).unwrap();
        // It did round: what f32 must meet, f16 misses by little.
        let exact = block_on(measure(network(&device), &device)).unwrap();
        let off = half.iter().zip(exact).map(|(h, e)| (h - e).abs());
        let off = off.fold(0.0, f32::max);
        assert!((1e-4..HALF_TOLERANCE / 2.0).contains(&off), "{off}");
    }

    #[test]
    fn the_answer_would_show_a_dropped_kernel() {
        // Stale or zero memory is far from the answer.
        for answer in [ANSWER, GUIDED_ANSWER] {
            let far = answer.iter().fold(0f32, |worst, v| worst.max(v.abs()));
            assert!(far > 100.0 * TOLERANCE);
        }
    }
}
