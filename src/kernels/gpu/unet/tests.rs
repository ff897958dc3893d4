//! Whole networks on these kernels against the CPU, on whatever adapter is here; a software driver will do:
//!
//! `cargo test --release --lib -p freeguide --features wgpu,burn/wgpu gpu`

use burn::tensor::{DType, Device, Tensor};

use super::super::tests::gpu;
use crate::denoiser::{Denoiser, Rows};
use crate::kernels::tests::{assert_close, tensor};
use crate::network::{
    Downsample, FlowMap, GuidanceInput, KernelUNet, MiddleKind, Modulation, UNetConfig, Upsample,
};
use crate::noise_level::LogSnr;
use crate::sampler::Evaluation;
use crate::self_test::filled;

/// The largest difference between a network's answers on the GPU and on the CPU, relative to the largest value.
fn difference(config: &UNetConfig, size: usize, dtype: DType, w: [f64; 3]) -> Option<f32> {
    let gpu = gpu()?;
    let (images, classes, level) = ([0, 1, 0], [1, 0, 2], LogSnr(-1.0));
    let network = |device: &Device, dtype| filled(config.init(size, 3, 2, device), device, dtype);
    let z = |device: &Device| tensor([2, 3, size, size], 5, device);
    let on_gpu = KernelUNet::new(&network(&gpu, dtype), size).expect("kernels");
    let rows = Rows {
        z: &z(&gpu),
        images: &images,
        level,
        classes: &classes,
        joints: None,
        guidance: Some(&w),
        next: Some(LogSnr(2.0)),
    };
    let found = on_gpu.predict_rows(&rows).expect("an answer").into_data();
    let cpu = Device::flex();
    let z = z(&cpu);
    let rows = images.map(|image| z.clone().narrow(0, image as usize, 1));
    let evaluation = Evaluation {
        z: Tensor::cat(rows.to_vec(), 0),
        level,
        classes: classes.to_vec(),
        joints: None,
        guidance: config.guidance.map(|_| w.to_vec()),
        next: config.flow_map.map(|_| LogSnr(2.0)),
    };
    let wanted = evaluation.predict(&network(&cpu, DType::F32)).into_data();
    let largest = wanted
        .iter::<f32>()
        .fold(0.0, |most: f32, v| most.max(v.abs()));
    let pairs = found.iter::<f32>().zip(wanted.iter::<f32>());
    let off = pairs.map(|(a, b)| (a - b).abs());
    // NaN must not lose against a number.
    let worst = off.fold(0.0f32, |worst, d| if d <= worst { worst } else { d });
    Some(worst / largest)
}

fn assert_like_the_cpu(what: &str, config: &UNetConfig, size: usize) {
    config.validate(size).expect("a valid configuration");
    for (dtype, allowed) in [(DType::F32, 2e-4), (DType::F16, 5e-2)] {
        for w in [[3.0; 3], [3.0, -1.0, 0.5]] {
            if let Some(off) = difference(config, size, dtype, w) {
                println!("{what}, {dtype:?}: {off:e}");
                assert!(off <= allowed, "{what}, {dtype:?}: {off}");
            }
        }
    }
}

#[test]
fn a_small_network_on_a_gpu_is_the_cpus() {
    assert_like_the_cpu("tiny", &UNetConfig::tiny(), 8);
}

#[test]
fn every_option_on_a_gpu_is_the_cpus() {
    let base = UNetConfig {
        // Widths, groups and sides that fill no vector, no cube and no tile.
        base_channels: 12,
        channel_multipliers: vec![1, 2, 3],
        attention_resolutions: vec![6],
        head_channels: 6,
        norm_groups: 6,
        ..UNetConfig::tiny()
    };
    assert_like_the_cpu("odd sizes", &base, 12);
    let relatives = UNetConfig {
        modulation: Modulation::Add,
        downsample: Downsample::Convolution,
        upsample: Upsample::Convolution,
        middle_norm_groups: Some(0),
        heads: Some(1),
        frequency_shift: 1.0,
        norm_epsilon: 1e-3,
        ..base.clone()
    };
    assert_like_the_cpu("a relative", &relatives, 12);
    let after = UNetConfig {
        downsample: Downsample::ConvolutionAfter,
        middle: MiddleKind::Residual,
        attention_resolutions: vec![8],
        ..relatives.clone()
    };
    assert_like_the_cpu("padding after", &after, 16);
    let without = UNetConfig {
        middle: MiddleKind::None,
        ..relatives
    };
    assert_like_the_cpu("no middle", &without, 12);
    let patches = UNetConfig {
        patch: 2,
        input_skip: true,
        residual_blocks: 2,
        ..base
    };
    assert_like_the_cpu("patches", &patches, 24);
}

#[test]
fn a_student_on_a_gpu_is_the_cpus() {
    let one_pass = UNetConfig {
        guidance: Some(GuidanceInput::new(-1.0, 8.0)),
        ..UNetConfig::tiny()
    };
    assert_like_the_cpu("a student of one pass", &one_pass, 8);
    let few_steps = UNetConfig {
        flow_map: Some(FlowMap { max_steps: 4 }),
        ..one_pass
    };
    assert_like_the_cpu("a student of few steps", &few_steps, 8);
    // Both inputs have an effect.
    let Some(gpu) = gpu() else { return };
    let network = filled(few_steps.init(8, 3, 2, &gpu), &gpu, DType::F32);
    let network = KernelUNet::new(&network, 8).expect("kernels");
    let z = tensor([1, 3, 8, 8], 5, &gpu);
    let answer = |w: f64, next: f64| -> Vec<f32> {
        let rows = Rows {
            z: &z,
            images: &[0],
            level: LogSnr(-1.0),
            classes: &[1],
            joints: None,
            guidance: Some(&[w]),
            next: Some(LogSnr(next)),
        };
        let answer = network.predict_rows(&rows).expect("an answer");
        // The same by way of tensors.
        let one = |value: f64| Tensor::<1>::full([1], value, &gpu);
        let class = Tensor::from_ints([1], &gpu);
        let by_tensors = network.predict_jump(z.clone(), [one(-1.0), one(next)], class, one(w));
        assert_close("by tensors", by_tensors, answer.clone(), 1e-4);
        answer.into_data().iter::<f32>().collect()
    };
    let apart = |a: &[f32], b: &[f32]| {
        let off = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        off.fold(0.0, f32::max)
    };
    let base = answer(1.0, 2.0);
    assert!(apart(&base, &answer(4.0, 2.0)) > 1e-3);
    assert!(apart(&base, &answer(1.0, -0.5)) > 1e-3);
}

#[test]
fn a_network_that_the_kernels_cannot_compute_is_refused() {
    let Some(gpu) = gpu() else { return };
    let wide = UNetConfig {
        base_channels: 1600,
        channel_multipliers: vec![1],
        attention_resolutions: vec![],
        middle: MiddleKind::None,
        ..UNetConfig::tiny()
    };
    assert!(KernelUNet::new(&wide.init(4, 3, 2, &gpu), 4).is_none());
    assert!(KernelUNet::new(&UNetConfig::tiny().init(8, 3, 2, &Device::flex()), 8).is_none());
}

#[test]
fn rows_of_different_levels_are_those_of_each_alone() {
    let Some(gpu) = gpu() else { return };
    let network = filled(UNetConfig::tiny().init(8, 3, 2, &gpu), &gpu, DType::F32);
    let network = KernelUNet::new(&network, 8).expect("kernels");
    let z = tensor([2, 3, 8, 8], 5, &gpu);
    let levels = [-3.0, 4.0];
    let both = network.predict(
        z.clone(),
        Tensor::from_floats(levels, &gpu),
        Tensor::from_ints([1, 2], &gpu),
    );
    for (image, level) in levels.into_iter().enumerate() {
        let rows = Rows {
            z: &z,
            images: &[image as u32],
            level: LogSnr(level),
            classes: &[1 + image as u32],
            joints: None,
            guidance: None,
            next: None,
        };
        let alone = network.predict_rows(&rows).expect("an answer");
        let of_both = both.clone().narrow(0, image, 1);
        assert_close("a row", of_both, alone, 1e-4);
    }
}
