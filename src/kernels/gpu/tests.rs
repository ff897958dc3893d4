//! The kernels against those of the CPU, on whatever adapter is here; a software driver will do:
//!
//! `cargo test --release --lib -p freeguide -p freeguide-trainer --features freeguide-trainer/wgpu gpu`

use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::backend::{convolve, group_norm, normalizes};
use super::super::options::GroupNormOptions;
use super::super::tests::{against, assert_close, convolution, tensor};
use super::sampling;

/// The system's adapter, opened once.
fn gpu() -> Option<Device> {
    static GPU: std::sync::OnceLock<Option<Device>> = std::sync::OnceLock::new();
    let open = || match Device::wgpu_options().init_with_setup() {
        Ok((device, _)) => Some(device),
        Err(reason) => {
            println!("not tested: no adapter ({reason})");
            None
        }
    };
    GPU.get_or_init(open).clone()
}

/// Runs a test for some random values.
fn check<S: Strategy>(cases: u32, values: S, test: impl Fn(&Device, S::Value)) {
    let Some(gpu) = gpu() else { return };
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    runner
        .run(&values, |value| {
            test(&gpu, value);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_convolution_on_a_gpu_is_the_cpus() {
    let small = (
        1usize..6,
        [1usize..70, 1usize..70],
        [1usize..20, 1usize..20],
    );
    // Enough of everything for the large tile.
    let large = (
        3usize..5,
        [16usize..40, 65usize..140],
        [40usize..50, 40usize..50],
    );
    let shapes = prop_oneof![3 => small, 1 => large];
    let kernels = prop::sample::select(vec![1usize, 3, 5]);
    check(
        24,
        (shapes, kernels, 0u64..1000),
        |gpu, ((batch, channels, size), kernel, seed)| {
            let [found, expected] = [gpu.clone(), Device::flex()].map(|device| {
                let module = convolution(channels, kernel, seed, &device);
                let x = tensor([batch, channels[0], size[0], size[1]], seed + 2, &device);
                convolve(x, module.weight.val(), module.bias.val(), None)
            });
            let found = Tensor::from_data(found.into_data(), &expected.device());
            assert_close("y", found, expected, 1e-5);
        },
    );
}

#[test]
fn a_group_norm_on_a_gpu_is_the_cpus_and_so_are_its_gradients() {
    let shapes = (1usize..4, 1usize..5, 1usize..7, [1usize..40, 1usize..40]);
    check(
        16,
        (shapes, prop::bool::ANY, prop::bool::ANY, 0u64..1000),
        |gpu, (shape, silu, shared, seed)| {
            let (batch, groups, members, [height, width]) = shape;
            let channels = groups * members;
            let options = GroupNormOptions {
                groups,
                epsilon: 1e-5,
                silu,
            };
            let [found, expected] = [gpu.clone(), Device::flex()].map(|device| {
                let device = device.autodiff();
                let images = [batch, channels, height, width];
                let x = (tensor(images, seed, &device) * 3.0 + 5.0)
                    .detach()
                    .require_grad();
                assert!(normalizes(&x));
                let rows = if shared { 1 } else { batch };
                let [scale, shift] =
                    [1, 2].map(|i| tensor([rows, channels], seed + i, &device).require_grad());
                let [all_scale, all_shift] =
                    [&scale, &shift].map(|t| t.clone().expand([batch, channels]));
                let y = group_norm(x.clone(), all_scale, all_shift, options);
                let grads = against(y.clone(), tensor(images, seed + 3, &device)).backward();
                let affine = [scale, shift].map(|t| t.grad(&grads).expect("a gradient"));
                (y.inner(), x.grad(&grads).expect("a gradient"), affine)
            });
            let cpu = Device::flex();
            let close4 = |what, found: Tensor<4>, expected, tolerance| {
                assert_close(
                    what,
                    Tensor::from_data(found.into_data(), &cpu),
                    expected,
                    tolerance,
                );
            };
            close4("y", found.0, expected.0, 2e-5);
            // A group of one value has no gradient but rounding.
            if members * height * width < 4 {
                return;
            }
            close4("∂x", found.1, expected.1, 2e-4);
            for (found, expected) in found.2.into_iter().zip(expected.2) {
                assert_close(
                    "∂affine",
                    Tensor::from_data(found.into_data(), &cpu),
                    expected,
                    2e-5,
                );
            }
        },
    );
}

/// A linear layer with a bias, of random numbers.
fn layer([inputs, outputs]: [usize; 2], seed: u64, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    layer.weight = layer
        .weight
        .map(|_| tensor([inputs, outputs], seed, device));
    layer.bias = layer
        .bias
        .map(|bias| bias.map(|_| tensor([outputs], seed + 1, device)));
    layer
}

/// What a kernel on the GPU makes, beside what burn's operations make of the same on the CPU.
fn compare<const D: usize>(
    what: &str,
    gpu: &Device,
    tolerance: f64,
    kernel: impl Fn(&Device) -> Tensor<D>,
    burn: impl Fn(&Device) -> Tensor<D>,
) {
    let cpu = Device::flex();
    let found = Tensor::from_data(kernel(gpu).into_data(), &cpu);
    assert_close(what, found, burn(&cpu), tolerance);
}

#[test]
fn self_attention_is_burns() {
    let shapes = (
        1usize..4,
        1usize..4,
        prop::sample::select(vec![4usize, 12, 32, 64]),
        [1usize..9, 1usize..9],
    );
    check(
        12,
        (shapes, 0u64..1000),
        |gpu, ((batch, heads, depth, [height, width]), seed)| {
            let channels = heads * depth;
            let (images, pixels) = ([batch, channels, height, width], height * width);
            let layers = |device: &Device| {
                [
                    layer([channels, 3 * channels], seed, device),
                    layer([channels, channels], seed + 2, device),
                ]
            };
            let [x, normalized] =
                [4, 5].map(|i| move |device: &Device| tensor(images, seed + i, device));
            compare(
                "attention",
                gpu,
                2e-5,
                |device| {
                    let [qkv, output] = layers(device);
                    sampling::attention(x(device), normalized(device), &qkv, &output, heads)
                        .expect("a kernel")
                },
                |device| {
                    let [qkv, output] = layers(device);
                    let tokens = normalized(device)
                        .reshape([batch, channels, pixels])
                        .swap_dims(1, 2);
                    let qkv = qkv
                        .forward(tokens)
                        .reshape([batch, pixels, 3 * heads, depth])
                        .swap_dims(1, 2);
                    let part = |i: usize| qkv.clone().narrow(1, i * heads, heads);
                    let scores = part(0).matmul(part(1).swap_dims(2, 3)) / (depth as f64).sqrt();
                    let mixed = softmax(scores, 3).matmul(part(2)).swap_dims(1, 2);
                    let y = output
                        .forward(mixed.reshape([batch, pixels, channels]))
                        .swap_dims(1, 2);
                    x(device) + y.reshape(images)
                },
            );
        },
    );
}

#[test]
fn parts_of_a_residual_block_are_burns() {
    let shapes = (1usize..5, 1usize..5, 1usize..7, [1usize..10, 1usize..10]);
    check(
        12,
        (shapes, 0u64..1000),
        |gpu, ((batch, groups, members, [height, width]), seed)| {
            let channels = groups * members;
            let images = [batch, channels, height, width];
            let x = |device: &Device| tensor(images, seed, device);
            let embedding = |device: &Device| tensor([batch + 1, 50], seed + 1, device);
            let modulation = |device: &Device| layer([50, 2 * channels], seed + 2, device);
            compare(
                "a linear layer",
                gpu,
                1e-5,
                |device| {
                    sampling::linear_rows(&modulation(device), &embedding(device)).expect("a bias")
                },
                |device| modulation(device).forward(embedding(device)),
            );
            let options = GroupNormOptions {
                groups,
                epsilon: 1e-5,
                silu: true,
            };
            let learned = |device: &Device| [4, 5].map(|i| tensor([channels], seed + i, device));
            let rows = |device: &Device| tensor([batch + 1, 2 * channels], seed + 6, device);
            compare(
                "a modulated group norm",
                gpu,
                2e-5,
                |device| {
                    let [weight, bias] = learned(device);
                    sampling::modulated_group_norm(x(device), weight, bias, rows(device), options)
                },
                |device| {
                    let [weight, bias] = learned(device).map(|t| t.reshape([1, channels]));
                    let [scale, shift] = [0, channels]
                        .map(|from| rows(device).narrow(0, 0, batch).narrow(1, from, channels));
                    let (scale, shift) =
                        (weight * (scale.clone() + 1.0), bias * (scale + 1.0) + shift);
                    let plain = GroupNormOptions {
                        silu: false,
                        ..options
                    };
                    silu(group_norm(x(device), scale, shift, plain))
                },
            );
            let module = |device: &Device| convolution([channels, 5], 3, seed + 7, device);
            let rest = |device: &Device| tensor([batch, 5, height, width], seed + 9, device);
            compare(
                "a convolution and a sum",
                gpu,
                1e-5,
                |device| {
                    let module = module(device);
                    let (weight, bias) = (module.weight.val(), module.bias.val());
                    sampling::same_convolution_add(x(device), weight, bias, rest(device))
                },
                |device| rest(device) + module(device).forward(x(device)),
            );
        },
    );
}

#[test]
fn resampling_is_burns() {
    use crate::network::Resample;
    check(
        8,
        ([1usize..4, 1usize..5, 1usize..9, 1usize..9], 0u64..1000),
        |gpu, ([batch, channels, height, width], seed)| {
            let x =
                |device: &Device| tensor([batch, channels, 2 * height, 2 * width], seed, device);
            compare(
                "a halved image",
                gpu,
                1e-6,
                |d| sampling::halve(x(d)),
                |d| Resample::Down.apply(x(d)),
            );
            compare(
                "a doubled image",
                gpu,
                0.0,
                |d| sampling::double(x(d)),
                |d| Resample::Up.apply(x(d)),
            );
        },
    );
}
