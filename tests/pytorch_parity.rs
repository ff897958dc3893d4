//! The U-Net, its gradients and the training loss against PyTorch, which computed the fixtures in
//! 64-bit floats: tests/pytorch/README.md says how, and what was measured.
//!
//! `cargo test --release --test pytorch_parity -- --nocapture` prints the errors. On a GPU, or on a driver that plays one:
//! `FREEGUIDE_TEST_DEVICE=wgpu cargo test --release -p freeguide -p freeguide-trainer --features freeguide-trainer/wgpu
//! --target-dir target/wgpu --test pytorch_parity`.

#[path = "common/fixture.rs"]
mod fixture;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use fixture::Fixture;
use freeguide::condition::Joint;
use freeguide::denoiser::Denoiser;
use freeguide::low_resolution::enlarge;
use freeguide::network::{GivenNumbers, LowResolution, OtherInputs, UNet};
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::parameters::{ParameterVisitor, visit_parameters};
use freeguide::prediction::Target;
use freeguide::self_test;
use freeguide::training::{Draw, Levels, LogNormal, Objective, Weighting};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

/// The networks of make_unet_fixture.py.
const NETWORKS: [&str; 5] = ["attention", "heads", "plain", "single", "patch"];

/// How far a loss may be from PyTorch's, relatively.
const LOSS_TOLERANCE: f64 = 1e-5;

fn on_cpu() -> bool {
    !std::env::var("FREEGUIDE_TEST_DEVICE").is_ok_and(|name| name != "cpu")
}

/// How far an output, of the order of 1, may be from PyTorch's.
fn forward_tolerance() -> f64 {
    // 8e-5 has been seen on a GPU.
    if on_cpu() { 2e-5 } else { 5e-4 }
}

/// How far a gradient may be from PyTorch's, of the largest number in the same tensor.
fn gradient_tolerance() -> f64 {
    // A GPU's exponential and division are rougher: 6e-4 has been seen, in a bias whose gradient is a sum of opposites.
    if on_cpu() { 1e-4 } else { 2e-3 }
}

/// Where the tests compute: on the CPU, unless the environment says otherwise.
fn device() -> Device {
    match std::env::var("FREEGUIDE_TEST_DEVICE").as_deref() {
        _ if on_cpu() => Device::flex(),
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => {
            static GPU: std::sync::OnceLock<Device> = std::sync::OnceLock::new();
            let open = || match Device::wgpu_options().init_with_setup() {
                Ok((device, _)) => device,
                Err(reason) => panic!("no GPU: {reason}"),
            };
            GPU.get_or_init(open).clone()
        }
        other => panic!("this build of the tests has no device {other:?}"),
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The largest difference; NaN where there is one.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let differences = found
        .iter()
        .zip(expected)
        .map(|(f, e)| f64::from((f - e).abs()));
    differences.fold(0.0, |worst, d| if d <= worst { worst } else { d })
}

/// The largest difference, of the largest number expected.
fn relative(found: &[f32], expected: &[f32]) -> f64 {
    let largest = expected.iter().fold(0f32, |worst, e| worst.max(e.abs()));
    assert!(largest > 0.0, "a tensor of zeros says nothing");
    difference(found, expected) / f64::from(largest)
}

/// z, λ and the classes.
type Input = (Tensor<4>, Tensor<1>, Tensor<1, Int>);

/// One row of a batch.
fn row((z, log_snr, class): &Input, i: usize) -> Input {
    (
        z.clone().narrow(0, i, 1),
        log_snr.clone().narrow(0, i, 1),
        class.clone().narrow(0, i, 1),
    )
}

#[test]
fn the_output_is_pytorchs() {
    let device = device();
    for name in NETWORKS {
        let fixture = Fixture::open(name);
        let network = fixture.network(&device, |_| {});
        let (z, log_snr, class) = fixture.input(&device);
        let output = values(network.predict(z, log_snr, class));
        let error = difference(&output, &fixture.values("output"));
        println!("{name}: output off by {error:.1e}");
        assert!(error <= forward_tolerance(), "{name}: {error}");
    }
}

/// A single row takes other ways: the conditioning is padded, products have fewer rows.
#[test]
fn the_output_of_every_row_alone_is_pytorchs() {
    let device = device();
    for name in NETWORKS {
        let fixture = Fixture::open(name);
        let network = fixture.network(&device, |_| {});
        let input = fixture.input(&device);
        let expected = fixture.tensor::<4>("output", &device);
        for i in 0..expected.dims()[0] {
            let (z, log_snr, class) = row(&input, i);
            let output = values(network.predict(z, log_snr, class));
            let error = difference(&output, &values(expected.clone().narrow(0, i, 1)));
            println!("{name}: row {i} off by {error:.1e}");
            assert!(error <= forward_tolerance(), "{name}, row {i}: {error}");
        }
    }
}

/// The inputs of students are inputs as any others: output, gradients and rows are PyTorch's, and other values give another
/// output.
#[test]
fn students_are_pytorchs() {
    for name in ["student", "flow_map"] {
        let fixture = Fixture::open(name);
        let device = device();
        let network = fixture.network(&device, |_| {});
        let ask = |network: &UNet, (z, log_snr, class): Input, w: Tensor<1>, next: Tensor<1>| {
            network.predict_jump(z, [log_snr, next], class, w)
        };
        let others = |device: &Device| {
            let next = match name {
                "flow_map" => fixture.tensor("next_log_snr", device),
                _ => fixture.tensor("log_snr", device),
            };
            (fixture.tensor::<1>("guidance", device), next)
        };
        let (w, next) = others(&device);
        let expected = fixture.tensor::<4>("output", &device);
        let input = || fixture.input(&device);
        let off = |output: Tensor<4>| difference(&values(output), &fixture.values("output"));
        let error = off(ask(&network, input(), w.clone(), next.clone()));
        println!("{name}: output off by {error:.1e}");
        assert!(error <= forward_tolerance(), "{name}: {error}");
        let other = off(ask(&network, input(), w.clone() * 0.9, next.clone()));
        assert!(other > 20.0 * forward_tolerance(), "{name}: {other}");
        if name == "flow_map" {
            let other = off(ask(&network, input(), w.clone(), next.clone() - 0.5));
            assert!(other > 20.0 * forward_tolerance(), "{name}: {other}");
        }
        for i in 0..3 {
            let [w, next] = [&w, &next].map(|of| of.clone().narrow(0, i, 1));
            let alone = values(ask(&network, row(&input(), i), w, next));
            let error = difference(&alone, &values(expected.clone().narrow(0, i, 1)));
            assert!(error <= forward_tolerance(), "{name}, row {i}: {error}");
        }

        let device = device.autodiff();
        let network = fixture.network(&device, |_| {}).map(&mut Track);
        let (z, log_snr, class) = fixture.input(&device);
        let z = z.require_grad();
        let (w, next) = others(&device);
        let output = ask(&network, (z.clone(), log_snr, class), w, next);
        let gradients = (output * fixture.tensor("cotangent", &device))
            .sum()
            .backward();
        let found = Gradient {
            parameters: of_parameters(&network, &gradients),
            z: values(z.grad(&gradients).expect("z has no gradient")),
        };
        let embedding = "conditioning.guidance.output.weight";
        assert!(found.parameters.contains_key(embedding));
        check_gradients(&fixture, &found);
    }
}

/// Attributes and a number are inputs as any others: output, gradients and rows are PyTorch's, and others give another output.
#[test]
fn attributes_and_a_number_are_pytorchs() {
    let fixture = Fixture::open("attributes");
    let others = |device: &Device| OtherInputs {
        attributes: Some(fixture.tensor("attributes", device)),
        number: Some(GivenNumbers {
            value: fixture.tensor("number", device),
            given: fixture.tensor("has_number", device),
        }),
        ..OtherInputs::default()
    };
    let ask = |network: &UNet, (z, log_snr, class): Input, others: OtherInputs| {
        network.predict_with(z, log_snr, class, others)
    };
    let device = device();
    let network = fixture.network(&device, |_| {});
    let off = |output: Tensor<4>| difference(&values(output), &fixture.values("output"));
    let error = off(ask(&network, fixture.input(&device), others(&device)));
    println!("attributes: output off by {error:.1e}");
    assert!(error <= forward_tolerance(), "{error}");
    // As rows of an evaluation, one alone and all together.
    let flags = fixture.values("attributes");
    let [numbers, given] = ["number", "has_number"].map(|name| fixture.values(name));
    let joints: Vec<Joint> = (0..4)
        .map(|row| Joint {
            labels: (0..3)
                .filter(|k| flags[3 * row + k] == 1.0)
                .map(|k| k as u32)
                .collect(),
            number: (given[row] == 1.0).then(|| f64::from(numbers[row])),
        })
        .collect();
    let expected = fixture.tensor::<4>("output", &device);
    for i in 0..4 {
        let alone = OtherInputs::of_joints(&joints[i..=i], 3, &device);
        let output = values(ask(&network, row(&fixture.input(&device), i), alone));
        let error = difference(&output, &values(expected.clone().narrow(0, i, 1)));
        assert!(error <= forward_tolerance(), "row {i}: {error}");
    }
    for change in [
        |joints: &mut Vec<Joint>| joints[0].labels.truncate(1),
        |joints: &mut Vec<Joint>| joints[0].number = None,
        |joints: &mut Vec<Joint>| joints[2].number = Some(0.0),
        |joints: &mut Vec<Joint>| joints[3].number = Some(-9.0),
    ] {
        let mut joints = joints.clone();
        change(&mut joints);
        let others = OtherInputs::of_joints(&joints, 3, &device);
        let other = off(ask(&network, fixture.input(&device), others));
        assert!(other > 20.0 * forward_tolerance(), "{joints:?}: {other}");
    }
    // A single attribute is what a class is, by whichever way it comes, to the bit.
    let one = |others: OtherInputs| {
        let (z, log_snr, _) = fixture.input(&device);
        let class = Tensor::from_ints([0, 1, 3, 2], &device);
        values(network.predict_with(z, log_snr, class, others))
    };
    let classes = [Some(0), Some(1), None, Some(2)].map(Joint::class);
    let flags = OtherInputs::of_joints(&classes, 3, &device);
    assert_eq!(one(flags), one(OtherInputs::default()));

    let device = device.autodiff();
    let network = fixture.network(&device, |_| {}).map(&mut Track);
    let (z, log_snr, class) = fixture.input(&device);
    let z = z.require_grad();
    let output = ask(&network, (z.clone(), log_snr, class), others(&device));
    let gradients = (output * fixture.tensor("cotangent", &device))
        .sum()
        .backward();
    let found = Gradient {
        parameters: of_parameters(&network, &gradients),
        z: values(z.grad(&gradients).expect("z has no gradient")),
    };
    assert!(
        found
            .parameters
            .contains_key("conditioning.number.output.weight")
    );
    check_gradients(&fixture, &found);
}

/// The small picture and its level are inputs as any others, the enlargement included; others give another output.
#[test]
fn super_resolution_is_pytorchs() {
    let fixture = Fixture::open("super_resolution");
    let small = fixture.values("small");
    let others = |small: &[f32], level: f64, device: &Device| OtherInputs {
        low_resolution: Some(LowResolution {
            picture: Tensor::from_data(TensorData::new(enlarge(small, 4, 8), [3, 3, 8, 8]), device),
            level: fixture.tensor::<1>("level", device) + level,
        }),
        ..OtherInputs::default()
    };
    let ask = |network: &UNet, (z, log_snr, class): Input, others: OtherInputs| {
        network.predict_with(z, log_snr, class, others)
    };
    let device = device();
    let network = fixture.network(&device, |_| {});
    let off = |others: OtherInputs| {
        let output = ask(&network, fixture.input(&device), others);
        difference(&values(output), &fixture.values("output"))
    };
    let error = off(others(&small, 0.0, &device));
    println!("super-resolution: output off by {error:.1e}");
    assert!(error <= forward_tolerance(), "{error}");
    let mut other = small.clone();
    other[5] += 0.5;
    for others in [
        others(&other, 0.0, &device),
        others(&small, 0.01, &device),
        OtherInputs::default(),
    ] {
        let other = off(others);
        assert!(other > 20.0 * forward_tolerance(), "{other}");
    }

    let device = device.autodiff();
    let network = fixture.network(&device, |_| {}).map(&mut Track);
    let (z, log_snr, class) = fixture.input(&device);
    let z = z.require_grad();
    let input = (z.clone(), log_snr, class);
    let output = ask(&network, input, others(&small, 0.0, &device));
    let gradients = (output * fixture.tensor("cotangent", &device))
        .sum()
        .backward();
    let found = Gradient {
        parameters: of_parameters(&network, &gradients),
        z: values(z.grad(&gradients).expect("z has no gradient")),
    };
    let embedding = "conditioning.augmentation.output.weight";
    assert!(found.parameters.contains_key(embedding));
    check_gradients(&fixture, &found);
}

/// PyTorch evaluates without dropout, and so must a network that has been loaded.
#[test]
fn dropout_rests_outside_of_training() {
    let device = device();
    let fixture = Fixture::open("attention");
    let network = fixture.network(&device, |config| config["dropout"] = 0.5.into());
    let (z, log_snr, class) = fixture.input(&device);
    let output = values(network.predict(z, log_snr, class));
    let error = difference(&output, &fixture.values("output"));
    assert!(error <= forward_tolerance(), "{error}");
}

/// The comparison sees what does not show in the shapes of the parameters.
#[test]
fn another_network_is_told_apart() {
    let device = device();
    let fixture = Fixture::open("heads");
    let changes: [(&str, Value); 4] = [
        ("head_channels", 2.into()),
        ("norm_groups", 4.into()),
        (
            "log_snr_embedding",
            json!({ "min": -15.0, "max": 12.0, "scale": 61.0 }),
        ),
        (
            "log_snr_embedding",
            json!({ "min": -15.0, "max": 12.1, "scale": 60.0 }),
        ),
    ];
    for (field, value) in changes {
        let network = fixture.network(&device, |config| config[field] = value.clone());
        let (z, log_snr, class) = fixture.input(&device);
        let output = values(network.predict(z, log_snr, class));
        let error = difference(&output, &fixture.values("output"));
        println!("{field} = {value}: output off by {error:.1e}");
        assert!(
            error > 20.0 * forward_tolerance(),
            "{field} = {value}: {error}"
        );
    }
}

/// Makes every parameter one that gradients are kept for.
struct Track;

impl ModuleMapper for Track {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.set_require_grad(true)
    }
}

/// The gradient of every parameter, by its name in a bundle.
struct Collect<'a> {
    gradients: &'a Gradients,
    found: BTreeMap<String, Vec<f32>>,
}

impl ParameterVisitor for Collect<'_> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        match param.val().grad(self.gradients) {
            Some(gradient) => self.found.insert(name.to_owned(), values(gradient)),
            None => panic!("{name} has no gradient"),
        };
    }
}

fn of_parameters(network: &UNet, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    let mut collect = Collect {
        gradients,
        found: BTreeMap::new(),
    };
    visit_parameters(network, &mut collect);
    collect.found
}

/// The gradients of one loss.
struct Gradient {
    parameters: BTreeMap<String, Vec<f32>>,
    z: Vec<f32>,
}

/// Σ cotangent · output, and its gradients.
fn backward(network: &UNet, (z, log_snr, class): Input, cotangent: Tensor<4>) -> (f64, Gradient) {
    let z = z.require_grad();
    let loss = (network.predict(z.clone(), log_snr, class) * cotangent).sum();
    let found = loss.backward();
    let of_z = values(z.grad(&found).expect("z has no gradient"));
    let gradient = Gradient {
        parameters: of_parameters(network, &found),
        z: of_z,
    };
    (f64::from(loss.into_scalar::<f32>()), gradient)
}

/// Compares every gradient with PyTorch's; returns the largest error and whose it is.
fn check_gradients(fixture: &Fixture, found: &Gradient) -> (f64, String) {
    let names = fixture.parameters();
    assert!(names.len() > 50);
    assert_eq!(names.len(), found.parameters.len());
    let mut worst = (
        relative(&found.z, &fixture.values("gradient.z")),
        "z".to_owned(),
    );
    for name in names {
        let expected = fixture.values(&format!("gradient.weight.{name}"));
        let error = relative(&found.parameters[&name], &expected);
        assert!(error <= gradient_tolerance(), "{name}: {error}");
        if error > worst.0 {
            worst = (error, name);
        }
    }
    assert!(worst.0 <= gradient_tolerance(), "{worst:?}");
    worst
}

#[test]
fn the_gradients_are_pytorchs() {
    let device = device().autodiff();
    for name in NETWORKS {
        let fixture = Fixture::open(name);
        let network = fixture.network(&device, |_| {}).map(&mut Track);
        let cotangent = fixture.tensor("cotangent", &device);
        let (loss, found) = backward(&network, fixture.input(&device), cotangent);
        let expected = f64::from(fixture.values("loss")[0]);
        let error = (loss - expected).abs() / expected.abs().max(1.0);
        assert!(
            error <= gradient_tolerance(),
            "{name}: {loss}, not {expected}"
        );
        let (error, of) = check_gradients(&fixture, &found);
        println!("{name}: gradients off by {error:.1e} of the largest, at worst ({of})");
    }
}

/// The loss is a sum over rows, so the gradients of the rows alone add up to those of the batch.
#[test]
fn the_gradients_of_every_row_alone_are_pytorchs() {
    let device = device().autodiff();
    for name in NETWORKS {
        let fixture = Fixture::open(name);
        let network = fixture.network(&device, |_| {}).map(&mut Track);
        let input = fixture.input(&device);
        let cotangent = fixture.tensor::<4>("cotangent", &device);
        let mut total = Gradient {
            parameters: BTreeMap::new(),
            z: Vec::new(),
        };
        for i in 0..cotangent.dims()[0] {
            let of_row = cotangent.clone().narrow(0, i, 1);
            let (_, found) = backward(&network, row(&input, i), of_row);
            total.z.extend(found.z);
            for (name, gradient) in found.parameters {
                let sum = total
                    .parameters
                    .entry(name)
                    .or_insert_with(|| vec![0.0; gradient.len()]);
                sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
            }
        }
        let (error, of) = check_gradients(&fixture, &total);
        println!("{name}: gradients of rows off by {error:.1e} of the largest, at worst ({of})");
    }
}

#[test]
fn the_training_losses_are_pytorchs() {
    let device = device().autodiff();
    let kinds = [
        ("epsilon.uniform", Target::Epsilon, Weighting::Uniform),
        ("epsilon.min-snr", Target::Epsilon, Weighting::MinSnr),
        ("v.uniform", Target::V, Weighting::Uniform),
        ("v.min-snr", Target::V, Weighting::MinSnr),
    ];
    for name in NETWORKS {
        let fixture = Fixture::open(name);
        let network = fixture.network(&device, |_| {}).map(&mut Track);
        for (kind, target, weighting) in kinds {
            let objective = Objective {
                target,
                log_snr: LogSnrRange::PAPER,
                p_uncond: 0.1,
                p_drop: None,
                levels: Levels::Stratified,
                log_normal: LogNormal::default(),
                weighting,
                guidance: None,
                jumps: None,
            };
            let levels = fixture.values("log_snr");
            let draw = Draw {
                log_snr: levels.into_iter().map(|l| LogSnr(f64::from(l))).collect(),
                classes: fixture.classes(),
                joints: Vec::new(),
                noise: fixture.values("training.noise"),
                guidance: Vec::new(),
                jumps: Vec::new(),
            };
            let loss = objective.loss(&network, fixture.tensor("training.x", &device), draw);
            let found = of_parameters(&network, &loss.backward());
            let expected = |what| fixture.values(&format!("training.{kind}.{what}"));
            let error = relative(&values(loss), &expected("loss"));
            let of_class = relative(&found["conditioning.class.weight"], &expected("gradient"));
            println!("{name}: {kind} loss off by {error:.1e}, its gradient by {of_class:.1e}");
            assert!(error <= LOSS_TOLERANCE, "{name}, {kind}: {error}");
            assert!(
                of_class <= gradient_tolerance(),
                "{name}, {kind}: {of_class}"
            );
        }
    }
}

#[test]
fn the_self_tests_network_is_pytorchs() {
    let device = device();
    let fixture = Fixture::open("self_test");
    let (z, log_snr, class) = self_test::input(&device);
    let stale = "the self-test has changed: make its fixture again (tests/pytorch/README.md)";
    assert_eq!(values(z.clone()), fixture.values("z"), "{stale}");
    assert_eq!(
        values(log_snr.clone()),
        fixture.values("log_snr"),
        "{stale}"
    );
    assert_eq!(
        class.to_data().iter::<u32>().collect::<Vec<_>>(),
        fixture.classes(),
        "{stale}"
    );
    let output = values(self_test::network(&device).predict(z, log_snr, class));
    let expected = fixture.values("output");
    let error = difference(&output, &expected);
    println!("self-test: output off by {error:.1e}");
    assert!(error <= 1e-5, "{error}; or {stale}");
}

/// Every parameter as the bytes of a tensor.
#[derive(Default)]
struct Write {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Write {
    fn push<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) {
        let shape = tensor.dims().to_vec();
        let bytes = values(tensor)
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        self.tensors
            .push((name.to_owned(), Dtype::F32, shape, bytes));
    }
}

impl ParameterVisitor for Write {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let name = format!("weight.{name}");
        self.push(&name, param.val());
    }
}

/// Writes what PyTorch needs to compute the self-test's fixture.
#[test]
#[ignore = "writes a file: see tests/pytorch/README.md"]
fn write_the_self_tests_network() {
    let device = device();
    let (z, log_snr, class) = self_test::input(&device);
    let size = z.dims()[2];
    let mut write = Write::default();
    visit_parameters(&self_test::network(&device), &mut write);
    write.push("z", z);
    write.push("log_snr", log_snr);
    let classes: Vec<u8> = class
        .to_data()
        .iter::<i32>()
        .flat_map(i32::to_le_bytes)
        .collect();
    write.tensors.push((
        "class".to_owned(),
        Dtype::I32,
        class.dims().to_vec(),
        classes,
    ));
    let views = write.tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let mut network = serde_json::to_value(freeguide::network::UNetConfig::tiny()).unwrap();
    network["kind"] = "unet".into();
    let config = json!({
        "image": { "size": size, "channels": 3 },
        "classes": 2,
        "network": network,
    });
    let metadata = [("config".to_owned(), config.to_string())].into();
    let file = safetensors::serialize(views, Some(metadata)).unwrap();
    let path = concat!(
        env!("CARGO_TARGET_TMPDIR"),
        "/self_test_network.safetensors"
    );
    std::fs::write(path, file).unwrap();
    println!("{path}");
}
