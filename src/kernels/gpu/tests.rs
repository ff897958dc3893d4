//! The kernels against those of the CPU, on whatever adapter is here; a software driver will do:
//!
//! `cargo test --release --lib -p freeguide -p freeguide-trainer --features freeguide-trainer/wgpu gpu`

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::backend::{convolve, group_norm, normalizes};
use super::super::options::GroupNormOptions;
use super::super::tests::{against, assert_close, convolution, tensor};

/// The system's adapter, opened once.
pub(crate) fn gpu() -> Option<Device> {
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
pub(super) fn check<S: Strategy>(cases: u32, values: S, test: impl Fn(&Device, S::Value)) {
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
