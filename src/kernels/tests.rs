//! The kernels against burn's own operations in 64-bit floats, for shapes of every kind.

use burn::module::Module;
use burn::tensor::activation::silu;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, Tensor, TensorData, module::conv2d};
use proptest::prelude::*;

use super::{GroupNormOptions, SameConv2d, group_norm};

/// `count` numbers between −1 and 1 that look random, of a seed.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

pub(super) fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let values = numbers(shape.iter().product(), seed);
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Fails where a number differs from the one expected by more than `tolerance` of the largest.
pub(super) fn assert_close<const D: usize>(
    what: &str,
    found: Tensor<D>,
    expected: Tensor<D>,
    tolerance: f64,
) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (values(found), values(expected));
    let largest = expected.iter().fold(1e-3f64, |worst, e| worst.max(e.abs()));
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        let error = (f - e).abs() / largest;
        assert!(error <= tolerance, "{what}[{i}] is {f}, should be {e}");
    }
}

/// A convolution of random numbers.
pub(super) fn convolution(
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    seed: u64,
    device: &Device,
) -> SameConv2d {
    let mut module = SameConv2d::new([inputs, outputs], kernel, device);
    let weight = tensor([outputs, inputs, kernel, kernel], seed, device);
    let bias = tensor([outputs], seed + 1, device);
    if device.is_autodiff() {
        module.weight = module.weight.map(|_| weight.require_grad());
        module.bias = module.bias.map(|_| bias.require_grad());
    } else {
        module.weight = module.weight.map(|_| weight);
        module.bias = module.bias.map(|_| bias);
    }
    module
}

/// The loss whose gradient is a given one.
pub(super) fn against(y: Tensor<4>, gradient: Tensor<4>) -> Tensor<1> {
    (y * gradient).sum()
}

/// Compares a convolution and the gradients of everything in it with burn's.
fn check_convolution(
    batch: usize,
    channels: [usize; 2],
    [height, width]: [usize; 2],
    kernel: usize,
    seed: u64,
) {
    let device = Device::flex().autodiff();
    let module = convolution(channels, kernel, seed, &device);
    let [inputs, outputs] = channels;
    let x = tensor([batch, inputs, height, width], seed + 2, &device).require_grad();
    let grad = tensor([batch, outputs, height, width], seed + 3, &device);
    let y = module.forward(x.clone());

    let exact = |t: Tensor<4>| t.inner().cast(DType::F64);
    let lift = |t: Tensor<4>| Tensor::from_inner(exact(t)).require_grad();
    let (x64, weight64) = (lift(x.clone()), lift(module.weight.val()));
    let bias = module.bias.val();
    let bias64 = Tensor::<1>::from_inner(bias.clone().inner().cast(DType::F64)).require_grad();
    let padding = [kernel / 2; 2];
    let options = ConvOptions::new([1, 1], padding, [1, 1], 1);
    let y64 = conv2d(x64.clone(), weight64.clone(), Some(bias64.clone()), options);
    assert_close("y", y.clone().inner(), y64.clone().inner(), 1e-5);

    let grads = against(y, grad.clone()).backward();
    let grads64 = against(y64, Tensor::from_inner(exact(grad))).backward();
    let pairs = [(&x, &x64), (&module.weight.val(), &weight64)];
    for (what, (found, expected)) in ["∂x", "∂weight"].into_iter().zip(pairs) {
        let found = found.grad(&grads).expect("a gradient");
        let expected = expected.grad(&grads64).expect("a gradient");
        assert_close(what, found, expected, 1e-5);
    }
    let found = bias.grad(&grads).expect("a gradient");
    let expected = bias64.grad(&grads64).expect("a gradient");
    assert_close("∂bias", found, expected, 1e-5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_convolution_and_its_gradients_are_burns(
        batch in 1usize..6,
        channels in [1usize..40, 1usize..60],
        size in [1usize..20, 1usize..36],
        kernel in prop::sample::select(vec![1usize, 3, 5]),
        seed in 0u64..1000,
    ) {
        check_convolution(batch, channels, size, kernel, seed);
    }

    /// Of the shapes that go Winograd's way.
    #[test]
    fn so_is_one_by_minimal_filtering(
        batch in 1usize..6,
        channels in [16usize..40, 16usize..60],
        size in [4usize..12, 4usize..18],
        seed in 0u64..1000,
    ) {
        check_convolution(batch, channels, size.map(|half| 2 * half), 3, seed);
    }

    #[test]
    fn a_group_norm_and_its_gradients_are_burns(
        batch in 1usize..5,
        groups in 1usize..5,
        channels in 1usize..7,
        size in [1usize..20, 1usize..36],
        silu: bool,
        shared: bool,
        seed in 0u64..1000,
    ) {
        let device = Device::flex().autodiff();
        let channels = groups * channels;
        let [height, width] = size;
        let options = GroupNormOptions { groups, epsilon: 1e-5, silu };
        let rows = if shared { 1 } else { batch };
        // Far from zero on average, as the sum of a variance must stand.
        let x = (tensor([batch, channels, height, width], seed, &device) * 3.0 + 5.0).detach().require_grad();
        let scale = tensor([rows, channels], seed + 1, &device).require_grad();
        let shift = tensor([rows, channels], seed + 2, &device).require_grad();
        let grad = tensor([batch, channels, height, width], seed + 3, &device);
        let y = group_norm(&x, &scale, &shift, options).expect("a kernel");

        let lift4 = |t: &Tensor<4>| Tensor::<4>::from_inner(t.clone().inner().cast(DType::F64)).require_grad();
        let lift2 = |t: &Tensor<2>| Tensor::<2>::from_inner(t.clone().inner().cast(DType::F64)).require_grad();
        let (x64, scale64, shift64) = (lift4(&x), lift2(&scale), lift2(&shift));
        let y64 = plain_group_norm(x64.clone(), scale64.clone(), shift64.clone(), options);
        assert_close("y", y.clone().inner(), y64.clone().inner(), 2e-5);

        // A group of one value has no gradient but rounding.
        if channels / groups * height * width < 4 {
            return Ok(());
        }
        let grads = against(y, grad.clone()).backward();
        let grads64 = against(y64, lift4(&grad)).backward();
        assert_close("∂x", x.grad(&grads).expect("a gradient"), x64.grad(&grads64).expect("a gradient"), 2e-4);
        for (what, (found, expected)) in [("∂scale", (&scale, &scale64)), ("∂shift", (&shift, &shift64))] {
            let found = found.grad(&grads).expect("a gradient");
            // Sums over all pixels, whose terms may cancel.
            assert_close(what, found, expected.grad(&grads64).expect("a gradient"), 2e-4);
        }
    }
}

fn plain_group_norm(
    x: Tensor<4>,
    scale: Tensor<2>,
    shift: Tensor<2>,
    options: GroupNormOptions,
) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let grouped = x.reshape([
        batch,
        options.groups,
        channels / options.groups * height * width,
    ]);
    let centred = grouped.clone() - grouped.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let normalized = centred / (variance + options.epsilon).sqrt();
    let [rows, _] = scale.dims();
    let y = normalized.reshape([batch, channels, height, width])
        * scale.reshape([rows, channels, 1, 1])
        + shift.reshape([rows, channels, 1, 1]);
    if options.silu { silu(y) } else { y }
}

/// The bits of everything that the kernels compute for a small layer, gradients included.
fn everything(batch: usize, size: usize) -> Vec<u32> {
    let device = Device::flex().autodiff();
    let module = convolution([20, 50], 3, 1, &device);
    let x = tensor([batch, 20, size, size], 2, &device).require_grad();
    let scale = tensor([batch, 50], 3, &device).require_grad();
    let options = GroupNormOptions {
        groups: 10,
        epsilon: 1e-5,
        silu: true,
    };
    let y = module.forward(x.clone());
    let y = group_norm(&y, &scale, &scale, options).expect("a kernel");
    let grads = y.clone().sum().backward();
    let mut all: Vec<f32> = y.into_data().iter().collect();
    all.extend(
        x.grad(&grads)
            .expect("a gradient")
            .into_data()
            .iter::<f32>(),
    );
    all.extend(
        scale
            .grad(&grads)
            .expect("a gradient")
            .into_data()
            .iter::<f32>(),
    );
    let weight = module.weight.val().grad(&grads).expect("a gradient");
    all.extend(weight.into_data().iter::<f32>());
    all.into_iter().map(f32::to_bits).collect()
}

#[test]
#[cfg(feature = "rayon")]
fn the_number_of_threads_changes_no_bit() {
    for (batch, size) in [(1, 24), (3, 5), (9, 4), (4, 40)] {
        let [one, many] = [1, 7].map(|threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool of threads")
                .install(|| everything(batch, size))
        });
        assert!(one == many, "a batch of {batch} at {size}×{size}");
    }
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let device = Device::flex().autodiff();
    for size in [1, 2, 3, 4, 5, 8, 16, 33, 36] {
        let module = convolution([20, 30], 3, 1, &device);
        let x = tensor([11, 20, size, size], 2, &device);
        let affine = tensor([11, 30], 3, &device);
        let options = GroupNormOptions {
            groups: 5,
            epsilon: 1e-5,
            silu: true,
        };
        let run = |first: usize, count: usize| {
            let part = affine.clone().narrow(0, first, count);
            let y = module.forward(x.clone().narrow(0, first, count));
            let y = group_norm(&y, &part, &part, options).expect("a kernel");
            y.into_data()
        };
        let whole = Tensor::<4>::from_data(run(0, 11), &device);
        for (first, count) in [(0, 1), (3, 1), (10, 1), (2, 5), (4, 7)] {
            let expected = whole.clone().narrow(0, first, count).into_data();
            run(first, count).assert_eq(&expected, true);
        }
    }
}

#[test]
fn what_has_no_kernel_is_burns() {
    let device = Device::flex();
    let x = tensor([2, 3, 9, 9], 1, &device);
    let wide = x.cast(DType::F64);
    let mut module = convolution([3, 4], 3, 2, &device);
    module.weight = module.weight.map(|weight| weight.cast(DType::F64));
    module.bias = module.bias.map(|bias| bias.cast(DType::F64));
    let burns = |x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>| {
        conv2d(
            x,
            weight,
            Some(bias),
            ConvOptions::new([1, 1], [1, 1], [1, 1], 1),
        )
    };
    let expected = burns(wide.clone(), module.weight.val(), module.bias.val()).into_data();
    module
        .forward(wide.clone())
        .into_data()
        .assert_eq(&expected, true);
    let affine = Tensor::<2>::ones([1, 3], &device).cast(DType::F64);
    let options = GroupNormOptions {
        groups: 1,
        epsilon: 1e-5,
        silu: false,
    };
    assert!(group_norm(&wide, &affine, &affine, options).is_none());
}

/// Layers of every kind: Winograd's, direct, of 1×1.
const LAYERS: [([usize; 2], usize, usize); 3] =
    [([20, 50], 3, 8), ([20, 50], 3, 4), ([70, 30], 1, 8)];

/// Where a layer's packed weights are in memory.
fn packed(module: &SameConv2d) -> Option<usize> {
    module.cached_weights().map(|(address, _)| address)
}

#[test]
fn weights_that_are_kept_change_no_bit() {
    let device = Device::flex();
    for (channels, kernel, size) in LAYERS {
        let x = tensor([2, channels[0], size, size], 1, &device);
        let module = convolution(channels, kernel, 2, &device);
        let expected = convolution(channels, kernel, 2, &device)
            .forward(x.clone())
            .into_data();
        let mut kept = None;
        for _ in 0..3 {
            module
                .forward(x.clone())
                .into_data()
                .assert_eq(&expected, true);
            let now = packed(&module);
            assert!(now.is_some(), "they are kept");
            assert!(kept.is_none() || kept == now, "the first are used again");
            kept = now;
        }
        let copy = module.clone();
        copy.forward(x.clone())
            .into_data()
            .assert_eq(&expected, true);
        assert!(
            packed(&copy).is_some() && packed(&copy) == kept,
            "a copy shares them"
        );
    }
}

#[test]
fn weights_that_changed_are_seen() {
    let device = Device::flex();
    for (channels, kernel, size) in LAYERS {
        let x = tensor([2, channels[0], size, size], 1, &device);
        let mut module = convolution(channels, kernel, 2, &device);
        let fresh = |weight: Tensor<4>| {
            let mut fresh = convolution(channels, kernel, 2, &device);
            // Other memory, so that nothing can be kept of it.
            let weight = Tensor::from_data(weight.into_data(), &device);
            fresh.weight = fresh.weight.map(|_| weight);
            fresh.forward(x.clone()).into_data()
        };
        let before = module.forward(x.clone()).into_data();
        // In place, as nobody else has the tensor.
        module.weight = module.weight.map(|weight| weight * 3.0);
        let after = module.forward(x.clone()).into_data();
        after.assert_eq(&fresh(module.weight.val()), true);
        assert_ne!(before, after);
        // By a slice of it, and by another tensor.
        module.weight = module.weight.map(|weight| {
            let first = weight.clone().narrow(0, 0, 1);
            weight.slice_assign([0..1, 0..channels[0], 0..kernel, 0..kernel], first * -2.0)
        });
        module
            .forward(x.clone())
            .into_data()
            .assert_eq(&fresh(module.weight.val()), true);
        let shape = module.weight.dims();
        module.weight = module.weight.map(|_| tensor(shape, 77, &device));
        module
            .forward(x.clone())
            .into_data()
            .assert_eq(&fresh(module.weight.val()), true);
        // Of a view that shares its memory with another layer's weights.
        let both = Tensor::cat(vec![module.weight.val(), module.weight.val() * 5.0], 0);
        for half in 0..2 {
            let part = both.clone().narrow(0, half * shape[0], shape[0]);
            module.weight = module.weight.map(|_| part);
            module
                .forward(x.clone())
                .into_data()
                .assert_eq(&fresh(module.weight.val()), true);
        }
        // For images of another kind.
        let large = tensor([1, channels[0], 16, 16], 3, &device);
        let expected = module.clone().forward(large.clone()).into_data();
        module.forward(large).into_data().assert_eq(&expected, true);
    }
}

#[test]
fn nothing_is_kept_in_training_nor_of_a_large_layer() {
    let device = Device::flex().autodiff();
    let module = convolution([20, 50], 3, 2, &device);
    let x = tensor([1, 20, 8, 8], 1, &device);
    module.forward(x.clone());
    assert!(packed(&module).is_none());
    // What a network kept that was sampled in between is given back.
    module.valid().forward(x.clone().inner());
    assert!(packed(&module.valid()).is_some());
    module.forward(x);
    assert!(packed(&module.valid()).is_none());
    let device = Device::flex();
    let module = SameConv2d::new([300, 300], 3, &device);
    module.forward(tensor([1, 300, 8, 8], 1, &device));
    assert!(packed(&module).is_none());
}

#[test]
fn no_layer_keeps_more_than_was_estimated() {
    let device = Device::flex();
    for (channels, kernel, size) in LAYERS
        .into_iter()
        .chain([([250, 250], 3, 8), ([1, 1], 3, 8)])
    {
        let module = convolution(channels, kernel, 2, &device);
        module.forward(tensor([1, channels[0], size, size], 1, &device));
        let estimate = super::cached_weight_bytes([&module.weight.dims().to_vec()], &device);
        let (_, found) = module.cached_weights().expect("they are cached");
        assert!(
            (1..=estimate).contains(&found),
            "{found} bytes, {estimate} estimated"
        );
    }
    assert_eq!(
        super::cached_weight_bytes([&vec![400, 400, 3, 3], &vec![400, 400]], &device),
        0
    );
}
