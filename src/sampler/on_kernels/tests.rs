//! Runs on a GPU against those on the CPU, on whatever adapter is here.

use burn::tensor::{DType, Device, Tensor};

use crate::bundle::{Loader, Model};
use crate::denoiser::Denoiser;
use crate::guidance::{Policy, Projection};
use crate::kernels::test_gpu;
use crate::network::{KernelUNet, UNetConfig};
use crate::noise_level::LogSnrRange;
use crate::prediction::Target;
use crate::sampler::{Plan, Run, Solver};
use crate::self_test::filled;

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The network on a GPU's kernels, or on the CPU.
fn network(device: &Device) -> Box<dyn Denoiser> {
    let network = filled(UNetConfig::tiny().init(8, 3, 2, device), device, DType::F32);
    match KernelUNet::new(&network, 8) {
        Some(network) => Box::new(network),
        None => Box::new(network),
    }
}

/// x̃ after every step of a run.
fn run(plan: &Plan, target: Target, device: &Device) -> Vec<Vec<f32>> {
    let range = LogSnrRange::PAPER;
    let mut run = Run::new(
        network(device),
        plan.clone(),
        target,
        range,
        [3, 8, 8],
        device,
    );
    let mut steps = Vec::new();
    while run.advance() {
        steps.push(values(run.denoised()));
    }
    steps
}

fn assert_like_the_cpu(what: &str, plan: &Plan, target: Target) {
    let Some(gpu) = test_gpu() else { return };
    let (found, wanted) = (run(plan, target, &gpu), run(plan, target, &Device::flex()));
    assert_eq!(found.len(), wanted.len());
    for (step, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        let off = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
        let worst = off.fold(0.0f32, |worst, d| if d <= worst { worst } else { d });
        assert!(worst < 2e-3, "{what}: {worst} off in step {step}");
    }
}

fn plan() -> Plan {
    let mut plan = Plan::new(vec![Some(0), None, Some(1), Some(1)], 4).with_seed(7);
    plan.guidance = vec![1.5, 2.0, 0.0, -1.0];
    plan
}

#[test]
fn every_solver_on_a_gpu_draws_the_cpus_pictures() {
    for solver in Solver::ALL {
        for (target, clip) in [
            (Target::V, true),
            (Target::V, false),
            (Target::Epsilon, true),
        ] {
            let plan = plan().with_sampler(solver).with_clip(clip);
            assert_like_the_cpu(&format!("{solver:?} {target:?} {clip}"), &plan, target);
        }
    }
}

#[test]
fn every_policy_on_a_gpu_draws_the_cpus_pictures() {
    let apg = Projection {
        norm_threshold: Some(5.0),
        ..Projection::default()
    };
    let policies = [
        Policy::Cfg { rescale: 0.7 },
        Policy::Apg(apg),
        Policy::CfgPlusPlus,
    ];
    for policy in policies {
        for solver in Solver::ALL {
            let mut plan = plan().with_policy(policy).with_sampler(solver);
            if policy == Policy::CfgPlusPlus {
                plan.guidance = vec![-0.4, -0.2, 0.0, -1.0];
            }
            assert_like_the_cpu(&format!("{policy:?} {solver:?}"), &plan, Target::V);
        }
    }
    let interval = LogSnrRange {
        min: -2.0,
        max: 3.0,
    };
    let plan = plan().with_guidance_interval(interval);
    assert_like_the_cpu("an interval", &plan, Target::V);
}

/// A model that ships, on a device, in 16 bits where it is asked for.
fn shipped(name: &str, device: &Device, half: bool) -> Model {
    let folder = format!("{}/models/{name}", env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read(format!("{folder}/{file}")).expect("a file that ships");
    let config = String::from_utf8(read("config.json")).expect("text");
    let loader = Loader::new(&config, device).expect("a configuration");
    let mut loader = if half { loader.keep_half() } else { loader };
    for file in loader.files().to_vec() {
        loader.begin(&file.file).expect("the file that is due");
        loader.push(&read(&file.file)).expect("weights");
        loader.end().expect("a whole file");
    }
    loader.finish().expect("a whole model")
}

#[test]
fn a_model_that_ships_draws_the_cpus_pictures_in_either_precision() {
    let Some(gpu) = test_gpu() else { return };
    let plan = || Plan::new(vec![Some(0)], 3).with_guidance(2.0).with_seed(7);
    let mut on_cpu = shipped("emoji16", &Device::flex(), false).run(plan());
    while on_cpu.advance() {}
    let wanted = values(on_cpu.denoised());
    // Of values from −1 to 1.
    for (half, allowed) in [(false, 2.0 / 127.5), (true, 8.0 / 127.5)] {
        let model = shipped("emoji16", &gpu, half);
        let size = model.config().image.size;
        let model = model.with_network(|network, _| KernelUNet::new(&network, size));
        let mut on_gpu = model.expect("kernels").run(plan());
        while on_gpu.advance() {}
        let off = values(on_gpu.denoised());
        let off = off.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
        let worst = off.fold(0.0f32, |worst, d| if d <= worst { worst } else { d });
        println!("in 16 bits: {half}: {worst} off");
        assert!(worst <= allowed, "in 16 bits: {half}: {worst} off");
    }
}
