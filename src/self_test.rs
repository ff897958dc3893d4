//! Does this device compute what it should?
//!
//! A browser's GPU can drop a kernel without an error: what is read back then is stale memory.
//! So every device is put to a test with a known answer before it is trusted: a forward pass of
//! a small U-Net that has every kind of layer, and a guided evaluation of it.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use thiserror::Error;

use crate::clip::Clip;
use crate::condition::Condition;
use crate::denoiser::{Denoiser, Rows};
use crate::guidance::{Guide, Policy};
#[cfg(feature = "flex")]
use crate::network::CpuUNet;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::network::KernelUNet;
use crate::network::{UNet, UNetConfig};
use crate::noise::{NoiseStream, Purpose};
use crate::noise_level::LogSnr;
use crate::prediction::Target;
use crate::sampler::Evaluation;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
use crate::sampler::estimate_on_kernels;

/// Why a device cannot be trusted.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SelfTestError {
    /// The result could not be read back.
    #[error("the device did not return the result of the self-test: {0}")]
    Unreadable(String),
    /// There are no kernels for it.
    #[error("there are no kernels for this device and type")]
    NoKernels,
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

/// Side of its images.
const SIZE: usize = 8;
/// λ of its rows.
const LEVELS: [f64; 2] = [-1.5, 2.0];
/// The classes of its rows, of which the second is ∅.
const CLASSES: [u32; 2] = [1, 2];

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
    filled(
        UNetConfig::tiny().init(SIZE, 3, 2, device),
        device,
        DType::F32,
    )
}

/// Runs the self-test.
///
/// # Errors
///
/// [`SelfTestError`] where the device must not be used.
pub async fn self_test(device: &Device) -> Result<(), SelfTestError> {
    compare(measure(&network(device), device).await?, TOLERANCE)
}

/// Runs the self-test in f16, on a device that supports it.
///
/// # Errors
///
/// [`SelfTestError`] where the device must not be used for f16.
pub async fn self_test_half(device: &Device) -> Result<(), SelfTestError> {
    let network = network_of(device, DType::F16);
    compare(measure(&network, device).await?, HALF_TOLERANCE)
}

/// Runs the self-test in f32 or f16 on the kernels that sampling runs on, and compiles them.
///
/// # Errors
///
/// [`SelfTestError`] where the device must not be used for that type.
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub async fn kernel_self_test(device: &Device, dtype: DType) -> Result<(), SelfTestError> {
    let allowed = match dtype {
        DType::F16 => HALF_TOLERANCE,
        _ => TOLERANCE,
    };
    let network = KernelUNet::new(&network_of(device, dtype), SIZE);
    let network = network.ok_or(SelfTestError::NoKernels)?;
    compare(measure(&network, device).await?, allowed)
}

/// Runs the self-test by rows, as sampling on a CPU does.
///
/// # Errors
///
/// [`SelfTestError`] where the device must not be used, or is no CPU.
#[cfg(feature = "flex")]
pub async fn cpu_self_test(device: &Device) -> Result<(), SelfTestError> {
    let network = CpuUNet::new(network(device)).ok_or(SelfTestError::NoKernels)?;
    compare(measure(&network, device).await?, TOLERANCE)
}

/// [`network`] in another type.
fn network_of(device: &Device, dtype: DType) -> UNet {
    filled(UNetConfig::tiny().init(SIZE, 3, 2, device), device, dtype)
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
    let shape = [2, 3, SIZE, SIZE];
    let mut values = vec![0f32; shape.iter().product()];
    NoiseStream::new(Purpose::Sampling, 0, 0, 0).fill_normal(&mut values);
    (
        Tensor::from_data(TensorData::new(values, shape), device),
        Tensor::from_floats(LEVELS, device),
        Tensor::from_ints(CLASSES, device),
    )
}

/// What the network makes of both evaluations.
async fn measure(network: &impl Denoiser, device: &Device) -> Result<Vec<f32>, SelfTestError> {
    let (z, _, _) = input(device);
    // Each row at its own level.
    let mut output = Vec::new();
    for (image, (level, class)) in LEVELS.into_iter().zip(CLASSES).enumerate() {
        output.extend(read(answer(network, &z, &[image as u32], level, &[class])).await?);
    }
    let mut found = summary(&output);
    let guided = read(guided(network, &z)).await?;
    found.extend(summary(&guided));
    Ok(found)
}

/// The network's answer to rows of one level.
fn answer(
    network: &impl Denoiser,
    z: &Tensor<4>,
    images: &[u32],
    level: f64,
    classes: &[u32],
) -> Tensor<4> {
    let rows = Rows {
        z,
        images,
        level: LogSnr(level),
        classes,
        joints: None,
        guidance: None,
        next: None,
    };
    let whole = network.predict_rows(&rows);
    whole.unwrap_or_else(|| {
        let evaluation = Evaluation {
            z: Tensor::cat(
                images
                    .iter()
                    .map(|&i| z.clone().narrow(0, i as usize, 1))
                    .collect(),
                0,
            ),
            level: LogSnr(level),
            classes: classes.to_vec(),
            joints: None,
            guidance: None,
            next: None,
        };
        evaluation.predict(network)
    })
}

/// ε̃ of a guided evaluation.
fn guided(network: &impl Denoiser, z: &Tensor<4>) -> Tensor<4> {
    let mut guide = Guide::new(
        &[Condition::Class(Some(0)), Condition::Class(Some(1))],
        &[2.0, 2.0],
        Policy::default(),
        None,
        2,
        None,
    );
    let level = LogSnr(LEVELS[0]);
    let rows = guide.rows(level).clone();
    let output = answer(network, z, &rows.images(), level.0, rows.classes());
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    if let Some(estimate) = estimate_on_kernels(&output, z, &rows, level, Target::Epsilon) {
        return estimate.epsilon;
    }
    let guided = guide.mix(&output, z, level, Target::Epsilon, Clip::Off);
    guided.estimate.epsilon
}

/// What a tensor holds.
async fn read(tensor: Tensor<4>) -> Result<Vec<f32>, SelfTestError> {
    let data = tensor
        .into_data_async()
        .await
        .map_err(|e| SelfTestError::Unreadable(format!("{e:?}")))?;
    Ok(data.iter::<f32>().collect())
}

/// Mean, mean square and every 37th value.
fn summary(values: &[f32]) -> Vec<f32> {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let square = values.iter().map(|v| v * v).sum::<f32>() / count;
    let some = values.iter().copied().step_by(37);
    [mean, square].into_iter().chain(some).collect()
}

/// `network` with weights that come from the counter-based generator.
pub(crate) fn filled(network: UNet, device: &Device, dtype: DType) -> UNet {
    network.map(&mut Fill {
        device: device.clone(),
        dtype,
        index: 0,
    })
}

/// Fills parameters with small numbers, each from a stream of its own.
struct Fill {
    device: Device,
    dtype: DType,
    index: u64,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let mut values = vec![0f32; shape.num_elements()];
        self.index += 1;
        NoiseStream::new(Purpose::Sampling, 0, self.index, 0).fill_normal(&mut values);
        values.iter_mut().for_each(|v| *v *= 0.25);
        let options = (&self.device, self.dtype);
        let tensor = Tensor::from_data(TensorData::new(values, shape), options);
        Param::initialized(param.id, tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    #[test]
    fn the_cpu_passes() {
        let device = Device::flex();
        let found = block_on(measure(&network(&device), &device)).unwrap();
        assert_eq!(block_on(self_test(&device)), Ok(()), "{found:?}");
    }

    #[test]
    fn the_cpu_passes_in_half_precision_and_not_by_chance() {
        let device = Device::flex();
        assert_eq!(block_on(self_test_half(&device)), Ok(()));
        let half = block_on(measure(&network_of(&device, DType::F16), &device)).unwrap();
        // It did round: what f32 must meet, f16 misses by little.
        let exact = block_on(measure(&network(&device), &device)).unwrap();
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
