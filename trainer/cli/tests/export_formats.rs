//! `freeguide export` as a process: what it writes for other programs, what changes with the type
//! of the weights, and what it refuses. tests/python reads the files with those other programs.

#[path = "common/process.rs"]
mod process;

use std::fs;
use std::path::Path;

use process::*;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Exports the tiny model with `more` arguments; the answer as JSON.
fn export(out: &Path, more: &[&str]) -> Value {
    let model = tiny_model();
    let mut arguments = vec!["export", "--model", &model, "--out", text(out), "--json"];
    arguments.extend(more);
    serde_json::from_str(&run(&arguments).ok().out).unwrap()
}

/// The largest change of a prediction, relative to the predictions' size.
fn change(answer: &Value) -> f64 {
    let levels = answer["verified"]["predictions"].as_array().unwrap();
    assert_eq!(levels.len(), 7);
    let relative = |row: &Value| row["max"].as_f64().unwrap() / row["rms"].as_f64().unwrap();
    levels.iter().map(relative).fold(0.0, f64::max)
}

fn sampled(model: &Path, out: &Path) -> Vec<u8> {
    let (model, out) = (text(model), text(out));
    run(&[
        "sample", "--model", model, "--out", out, "--count", "6", "--seed", "3",
    ])
    .ok();
    image::open(out).unwrap().to_rgb8().into_raw()
}

#[test]
fn weights_in_fewer_bits_are_smaller_and_draw_nearly_the_same() {
    let place = tempfile::tempdir().unwrap();
    let out = |name: &str| place.path().join(name);
    let [full, half, byte] = ["f32", "f16", "int8"].map(|dtype| {
        let answer = export(&out(dtype), &["--dtype", dtype, "--verify"]);
        let size = fs::metadata(out(dtype).join("model.safetensors"))
            .unwrap()
            .len();
        let picture = sampled(&out(dtype), &out(&format!("{dtype}.png")));
        (answer, size as f64, picture)
    });
    assert_eq!(change(&full.0), 0.0);
    assert_eq!(full.0["verified"]["psnr"], Value::Null);
    assert!((0.45..0.6).contains(&(half.1 / full.1)) && (0.25..0.4).contains(&(byte.1 / full.1)));
    let psnr = |answer: &Value| answer["verified"]["psnr"].as_f64().unwrap();
    assert!((1e-6..0.01).contains(&change(&half.0)), "{}", half.0);
    assert!((1e-4..0.5).contains(&change(&byte.0)), "{}", byte.0);
    assert!(
        psnr(&half.0) > 50.0 && (25.0..60.0).contains(&psnr(&byte.0)),
        "{}",
        byte.0
    );
    let off = |picture: &[u8]| {
        let pairs = full.2.iter().zip(picture);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / full.2.len() as f64
    };
    assert!(off(&half.2) < 0.2, "{}", off(&half.2));
    assert!((0.01..8.0).contains(&off(&byte.2)), "{}", off(&byte.2));
}

#[test]
fn eight_bits_stand_beside_their_scales() {
    let place = tempfile::tempdir().unwrap();
    export(place.path(), &["--dtype", "int8"]);
    let bytes = fs::read(place.path().join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let about = |name: &str| {
        let tensor = tensors.tensor(name).unwrap();
        (tensor.dtype(), tensor.shape().to_vec())
    };
    assert_eq!(about("input.weight"), (Dtype::I8, vec![8, 3, 3, 3]));
    assert_eq!(about("input.weight.scale"), (Dtype::F32, vec![8, 1, 1, 1]));
    let table = "conditioning.class.weight";
    assert_eq!(about(table), (Dtype::I8, vec![4, 32]));
    assert_eq!(about(&format!("{table}.scale")), (Dtype::F32, vec![4, 1]));
    let linear = "conditioning.log_snr_out.weight";
    assert_eq!(about(&format!("{linear}.scale")), (Dtype::F32, vec![1, 32]));
    assert_eq!(about("input.bias"), (Dtype::F32, vec![8]));
    assert_eq!(about("output_norm.weight").0, Dtype::F32);
    run(&["inspect", text(place.path())]).ok();
}

/// Another engine than the one that runs the native network reads the file and agrees.
#[test]
fn an_onnx_file_computes_what_the_network_does() {
    for (dtype, allowed) in [("f32", 2e-4), ("f16", 0.1), ("int8", 0.5)] {
        let place = tempfile::tempdir().unwrap();
        let answer = export(
            place.path(),
            &["--format", "onnx", "--verify", "--dtype", dtype],
        );
        assert!(change(&answer) < allowed, "{dtype}: {answer}");
        assert_eq!(names(place.path()), ["denoiser.onnx", "guided_step.onnx"]);
    }
}

/// A network that sees squares of pixels as one and has its input added to its answer, from its training to every
/// format.
#[test]
fn patches_and_the_input_skip_go_wherever_the_format_has_them() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let both = "network.patch=2 network.input_skip=true";
    let both: Vec<&str> = both.split(' ').flat_map(|set| ["--set", set]).collect();
    train(&at("run"), &both).ok();
    let (run_folder, bundle) = (at("run"), at("bundle"));
    let export = |more: &[&str]| run(&[&["export", "--json"], more].concat());
    export(&["--run", text(&run_folder), "--out", text(&bundle)]).ok();
    let config = |folder: &Path| -> Value {
        serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
    };
    assert_eq!(config(&bundle)["network"]["patch"], 2);
    assert_eq!(config(&bundle)["network"]["input_skip"], true);
    assert_eq!(config(&bundle)["format_version"], 2);

    let from = ["--model", text(&bundle), "--out"];
    let (onnx, torch) = (at("onnx"), at("torch"));
    let onnx = [&from[..], &[text(&onnx), "--format", "onnx", "--verify"]].concat();
    let answer = serde_json::from_str(&export(&onnx).ok().out).unwrap();
    assert!(change(&answer) < 2e-4, "{answer}");

    let torch_format = [&from[..], &[text(&torch), "--format", "safetensors"]].concat();
    export(&torch_format).ok();
    let back = at("back");
    run(&[
        "import",
        "--from",
        "freeguide-torch",
        text(&torch),
        "--out",
        text(&back),
    ])
    .ok();
    assert_eq!(config(&back)["network"], config(&bundle)["network"]);
    let picture = sampled(&bundle, &at("a.png"));
    assert!(picture == sampled(&back, &at("b.png")));

    let diffusers = at("diffusers");
    let diffusers = [&from[..], &[text(&diffusers), "--format", "diffusers"]].concat();
    export(&diffusers).refused(1, &["squares of 2×2"]);

    let (run_folder, bundle, diffusers) = (at("run2"), at("bundle2"), at("diffusers2"));
    train(&run_folder, &["--set", "network.input_skip=true"]).ok();
    export(&["--run", text(&run_folder), "--out", text(&bundle)]).ok();
    let diffusers = [
        "--model",
        text(&bundle),
        "--out",
        text(&diffusers),
        "--format",
        "diffusers",
    ];
    export(&diffusers).refused(1, &["network.input_skip"]);
}

#[test]
fn a_state_dict_has_pytorchs_names_and_its_module() {
    let place = tempfile::tempdir().unwrap();
    export(place.path(), &["--format", "safetensors", "--dtype", "f16"]);
    let bytes = fs::read(place.path().join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| tensors.tensor(name).unwrap().shape().to_vec();
    assert_eq!(shape("conditioning.class_.weight"), [4, 32]);
    // [out, in], as torch.nn.Linear has it.
    assert_eq!(shape("conditioning.log_snr_in.weight"), [32, 8]);
    assert_eq!(tensors.tensor("input.weight").unwrap().dtype(), Dtype::F16);
    let module = fs::read_to_string(place.path().join("freeguide_unet.py")).unwrap();
    assert!(module.contains("class UNet(nn.Module)"));
    let config = fs::read(place.path().join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["classes"][2], "triangle");
}

#[test]
fn a_folder_for_diffusers_is_one() {
    let place = tempfile::tempdir().unwrap();
    export(place.path(), &["--format", "diffusers", "--verify"]);
    let json = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(place.path().join(name)).unwrap()).unwrap()
    };
    let unet = json("unet/config.json");
    assert_eq!(unet["_class_name"], "UNet2DModel");
    assert_eq!(unet["num_class_embeds"], 4);
    let scheduler = json("scheduler/scheduler_config.json");
    // λ from 20 to −15 of the −20 that is t = 1000.
    assert_eq!(scheduler["num_train_timesteps"], 876);
    assert!(
        place
            .path()
            .join("unet/diffusion_pytorch_model.safetensors")
            .is_file()
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let place = tempfile::tempdir().unwrap();
    let (model, out) = (tiny_model(), place.path().join("out"));
    let out = text(&out);
    let refused = |more: &[&str], words: &[&str]| {
        let arguments = [&["export"], more].concat();
        run(&arguments).refused(2, words);
        assert!(!Path::new(out).exists());
    };
    let int8 = [
        "--model", &model, "--out", out, "--dtype", "int8", "--format",
    ];
    for format in ["safetensors", "diffusers"] {
        refused(&[&int8[..], &[format]].concat(), &["int8", "ONNX"]);
    }
    refused(&["--model", &model, "--out", &model], &["--out", "--model"]);
    refused(
        &["--run", "a", "--model", "b", "--out", out],
        &["--run", "--model"],
    );
    let neither = run(&["export", "--out", out]);
    assert_eq!(neither.code, Some(2));
    assert!(neither.err.contains("--run"), "{}", neither.err);
    let missing = ["export", "--model", "no/such", "--out", out];
    run(&missing).refused(1, &["no/such", "config.json is missing"]);
}

#[test]
fn other_formats_leave_a_bundle_beside_them_alone() {
    let place = tempfile::tempdir().unwrap();
    export(place.path(), &[]);
    let before = contents(place.path());
    let model = text(place.path());
    run(&[
        "export", "--model", model, "--out", model, "--format", "onnx",
    ])
    .ok();
    let mut after = contents(place.path());
    after.retain(|path, _| !path.to_string_lossy().ends_with(".onnx"));
    assert_eq!(before, after);
}
