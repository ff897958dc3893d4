//! The command on a Vulkan device against the CPU. `cargo xtask test --vulkan` runs it on a driver that needs no GPU.

#[path = "common/process.rs"]
mod process;

use std::fs;
use std::path::Path;

use process::*;
use serde_json::Value;

/// Allows a software driver.
const SOFTWARE_ALLOWED: &str = "FREEGUIDE_SOFTWARE_VULKAN";

/// What `freeguide devices` says of Vulkan.
fn listed() -> Value {
    let listed: Value = serde_json::from_str(&run(&["devices", "--json"]).ok().out).unwrap();
    let devices = listed.as_array().unwrap();
    let vulkan = devices.iter().find(|device| device["name"] == "vulkan");
    vulkan.expect("an entry for Vulkan").clone()
}

#[test]
fn a_software_driver_is_refused_unless_it_is_allowed() {
    let device = listed();
    println!("{device}");
    assert_eq!(device["unavailable"], Value::Null, "{device}");
    if !device["description"].as_str().unwrap().contains("software") {
        println!("a GPU: nothing to refuse");
        return;
    }
    for value in [None, Some("0")] {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("x.png");
        let mut command = command(&sampling("vulkan", text(&out)));
        match value {
            Some(value) => command.env(SOFTWARE_ALLOWED, value),
            None => command.env_remove(SOFTWARE_ALLOWED),
        };
        finished(command.output().unwrap())
            .refused(1, &["--device vulkan", "--features wgpu", SOFTWARE_ALLOWED]);
        assert!(!out.exists());
    }
}

fn sampling<'a>(device: &'a str, out: &'a str) -> [&'a str; 15] {
    const MODEL: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/tiny-model"
    );
    [
        "sample",
        "--model",
        MODEL,
        "--device",
        device,
        "--out",
        out,
        "--class",
        "disc",
        "--guidance",
        "2",
        "--steps",
        "8",
        "--seed",
        "3",
    ]
}

/// The device must pass the self-test before it draws.
#[test]
fn a_picture_is_the_cpus() {
    let place = tempfile::tempdir().unwrap();
    let [on_gpu, on_cpu] = ["vulkan", "cpu"].map(|device| {
        let out = place.path().join(device).with_extension("png");
        run(&sampling(device, text(&out))).ok();
        image::open(out).unwrap().to_rgb8()
    });
    let apart = on_gpu.iter().zip(on_cpu.iter());
    let apart = apart.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    println!("a picture is {apart} of 255 off");
    assert_eq!(on_gpu.dimensions(), on_cpu.dimensions());
    assert!(apart <= 2, "{apart}");
}

/// Trains for three steps and returns the loss and the gradient's norm at each.
fn trained(out: &Path, device: &str, precision: &str) -> Result<Vec<[f64; 2]>, String> {
    let recipe = recipe();
    let precision = format!("train.precision={precision}");
    let settings = [
        "train.steps=3",
        "train.batch=4",
        "train.warmup=1",
        // Each of these steps writes a line of metrics.
        "train.checkpoint_every=1",
        "train.sample_every=3",
        "sampling.steps=2",
        "network.dropout=0.2",
        "data.flip=true",
        "train.ema_decay=0.9",
        &precision,
    ];
    let mut arguments = vec![
        "train",
        "--recipe",
        &recipe,
        "--data",
        data(),
        "--out",
        text(out),
    ];
    arguments.extend(["--device", device]);
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let ran = run(&arguments);
    if ran.code != Some(0) {
        return Err(ran.err);
    }
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        ["loss", "gradient_norm"].map(|name| line[name].as_f64().unwrap_or(f64::NAN))
    });
    Ok(lines.collect())
}

#[test]
fn training_steps_are_the_cpus() {
    for precision in ["f32", "bf16", "f16"] {
        let place = tempfile::tempdir().unwrap();
        let [gpu, cpu] = ["vulkan", "cpu"].map(|d| trained(&place.path().join(d), d, precision));
        println!("{precision}:\n vulkan {gpu:?}\n cpu {cpu:?}");
    }
}
