//! A model of two attributes and a number, from a data set to pictures and other programs' files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::json;
use crate::process::*;

/// Pictures of which the left half is red or black, the upper half green or black, and all of them more blue with age.
fn data_set(folder: &Path) {
    let mut lines = Vec::new();
    for n in 0..48u32 {
        let (red, green, age) = (n % 2 == 1, n / 2 % 2 == 1, n / 4 * 100 / 11);
        let of = |is: bool, n: u32| if is { 200 + (n * 13 % 40) as u8 } else { 10 };
        let picture = RgbImage::from_fn(8, 8, |x, y| {
            let blue = (age * 255 / 100) as u8;
            Rgb([of(red && x < 4, n), of(green && y < 4, n), blue])
        });
        let name = format!("{n:02}.png");
        picture.save(folder.join(&name)).unwrap();
        let labels: Vec<&str> = [(red, "red"), (green, "green")]
            .into_iter()
            .filter_map(|(has, name)| has.then_some(name))
            .collect();
        // Some images have no age.
        let age = (n % 7 != 0).then_some(age);
        lines.push(json!({ "file_name": name, "labels": labels, "age": age }).to_string());
    }
    fs::write(folder.join("metadata.jsonl"), lines.join("\n")).unwrap();
}

const NUMBER: &str = "network.number={ name = 'age', min = 0, max = 100, unit = 'years' }";

struct Trained {
    place: TempDir,
    log: String,
}

impl Trained {
    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn model(&self) -> PathBuf {
        self.place.path().join("model")
    }
}

/// A training of seconds, and its bundle.
fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let [data, out, model] = ["data", "run", "model"].map(|name| place.path().join(name));
        fs::create_dir(&data).unwrap();
        data_set(&data);
        let recipe = recipe();
        let mut arguments = vec!["train", "--recipe", &recipe, "--device", "cpu"];
        arguments.extend(["--data", text(&data), "--out", text(&out)]);
        let set = [
            "network.conditions=attributes",
            NUMBER,
            "data.number_column=age",
            "diffusion.p_uncond=0.1",
            "train.steps=2000",
            "train.batch=16",
            "train.warmup=20",
            "train.checkpoint_every=2000",
            "train.sample_every=2000",
            "train.ema_decay=0.99",
            "network.dropout=0",
            "sampling.steps=8",
        ];
        arguments.extend(set.iter().flat_map(|set| ["--set", *set]));
        let log = run(&arguments).ok().err;
        run(&[
            "export",
            "--run",
            text(&out),
            "--out",
            text(&model),
            "--dtype",
            "f32",
        ])
        .ok();
        Trained { place, log }
    })
}

/// What pictures of these settings look like: red at the left, green at the top, blue everywhere, from 0 to 255.
fn drawn(more: &[&str]) -> ([f64; 3], Value) {
    let place = tempfile::tempdir().unwrap();
    let out = format!("{}/", place.path().join("out").display());
    let model = trained().model();
    let mut arguments = vec![
        "sample",
        "--model",
        text(&model),
        "--device",
        "cpu",
        "--json",
    ];
    arguments.extend([
        "--seed", "3", "--count", "12", "--steps", "16", "--out", &out,
    ]);
    arguments.extend(more);
    let ran = run(&arguments).ok();
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let mut sums = [0.0; 3];
    for file in answer["files"].as_array().unwrap() {
        let picture = image::open(file.as_str().unwrap()).unwrap().into_rgb8();
        for (x, y, Rgb(colour)) in picture.enumerate_pixels() {
            let shares = [x < 4, y < 4, true].map(|is| f64::from(u8::from(is)));
            for (channel, sum) in sums.iter_mut().enumerate() {
                let pixels = if channel < 2 { 32.0 } else { 64.0 };
                *sum += shares[channel] * f64::from(colour[channel]) / pixels / 12.0;
            }
        }
    }
    (sums, answer)
}

#[test]
fn every_subset_and_the_number_can_be_asked_for() {
    let log = &trained().log;
    for words in [
        "48 images of 2 attributes",
        "41 images with a number, from 0 to 100",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let bright = |value: f64| value > 150.0;
    let dark = |value: f64| value < 100.0;
    for composition in ["joint", "each"] {
        for (class, red, green) in [
            ("red+green", true, true),
            ("red", true, false),
            ("green", false, true),
        ] {
            let (colours, _) = drawn(&[
                "--class",
                class,
                "--guidance",
                "1",
                "--composition",
                composition,
            ]);
            let is = |value: f64, wanted: bool| match wanted {
                true => bright(value),
                // What is not asked for may be there or not.
                false => value < 200.0,
            };
            assert!(is(colours[0], red), "{class}, {composition}: {colours:?}");
            assert!(is(colours[1], green), "{class}, {composition}: {colours:?}");
        }
    }
    let blue =
        |age: &str, class: &str| drawn(&["--class", class, "--number", age, "--guidance", "1"]).0;
    for class in ["red", "none", "red+green"] {
        let (young, old) = (blue("10", class), blue("90", class));
        assert!(
            dark(young[2]) && bright(old[2]),
            "{class}: {young:?} {old:?}"
        );
    }
    let both = blue("90", "red+green");
    assert!(both.iter().all(|&value| bright(value)), "{both:?}");
}

#[test]
fn pictures_say_what_they_were_drawn_of() {
    let (_, answer) = drawn(&[
        "--class",
        "green+red",
        "--number",
        "30.5",
        "--composition",
        "each",
        "--guidance",
        "1",
    ]);
    let settings = &answer["images"][0];
    assert_eq!(settings["class"], json!(["green", "red"]));
    assert_eq!(settings["number"], 30.5);
    assert_eq!(settings["composition"], "each");
    // Three terms, and ∅, which guidance needs too.
    assert_eq!(answer["nfe"], 16 * 4);
    let (_, answer) = drawn(&["--class", "red+green", "--guidance", "0"]);
    assert_eq!(
        (&answer["images"][0]["number"], &answer["nfe"]),
        (&Value::Null, &json!(16))
    );
}

#[test]
fn the_bundle_says_what_it_needs() {
    let trained = trained();
    let config = json(&trained.model().join("config.json"));
    assert_eq!(config["format_version"], 4);
    assert_eq!(config["network"]["conditions"], "attributes");
    assert_eq!(config["classes"], json!(["green", "red"]));
    let number = json!({ "name": "age", "min": 0.0, "max": 100.0, "unit": "years" });
    assert_eq!(config["network"]["number"], number);
    let inspected = run(&["inspect", text(&trained.model())]).ok().out;
    assert!(inspected.contains("attributes: green, red"), "{inspected}");
    assert!(
        inspected.contains("number: age from 0 to 100 years"),
        "{inspected}"
    );
    // A bundle that claims an older format is refused.
    let place = tempfile::tempdir().unwrap();
    let old = place.path().join("old");
    fs::create_dir(&old).unwrap();
    for (path, bytes) in contents(&trained.model()) {
        let mut bytes = bytes;
        if path.ends_with("config.json") {
            let mut config = config.clone();
            config["format_version"] = json!(3);
            bytes = serde_json::to_vec(&config).unwrap();
        }
        fs::write(old.join(path.file_name().unwrap()), bytes).unwrap();
    }
    run(&["inspect", text(&old)]).refused(1, &["format_version is 3", "needs version 4"]);
}

#[test]
fn what_a_model_does_not_take_is_refused() {
    let model = trained().model();
    let sample = |model: &str, more: &[&str]| {
        let mut arguments = vec!["sample", "--model", model, "--out", "x.png"];
        arguments.extend(more);
        run(&arguments)
    };
    let own = |more: &[&str]| sample(text(&model), more);
    own(&["--class", "red+blue"]).refused(2, &["no class \"red+blue\"", "0 green, 1 red"]);
    own(&["--number", "101"]).refused(2, &["from 0 to 100 years, the model's age"]);
    let other = tiny_model();
    sample(&other, &["--class", "0+1"]).refused(2, &["2 labels", "of which an image has one"]);
    sample(&other, &["--number", "3"]).refused(2, &["trained without a number"]);
}

#[test]
fn what_works_with_one_class_an_image_refuses_it() {
    let trained = trained();
    let (model, data) = (trained.model(), trained.data());
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let refused = |arguments: &[&str], words: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--out", text(&out)]);
        run(&all).refused(1, words);
    };
    let (model, data) = (text(&model), text(&data));
    refused(
        &["distill", "--model", model],
        &["has attributes or a number"],
    );
    refused(
        &["eval", "--model", model, "--data", data],
        &["has attributes or a number"],
    );
    let diffusers = ["export", "--model", model, "--format", "diffusers"];
    refused(
        &diffusers,
        &["conditioned on one class", "network.conditions"],
    );
    let recipe = recipe();
    let train = ["train", "--recipe", &recipe, "--data", data];
    refused(
        &train,
        &["several labels", "network.conditions = \"attributes\""],
    );
    let attributes = ["--set", "network.conditions=attributes"];
    let with = |more: &[&'static str]| [&train[..], &attributes, more].concat();
    refused(&with(&["--set", NUMBER]), &["data.number_column names"]);
    let column = ["--set", "data.number_column=age"];
    refused(&with(&column), &["network.number is not", "max = 100"]);
    let narrow = [
        "--set",
        "network.number={ name = 'age', min = 20, max = 100 }",
    ];
    let narrow = [&column[..], &narrow].concat();
    refused(
        &with(&narrow),
        &["from 0 to 100 in the data set", "widen it"],
    );
}

/// The files of other programs answer as the model does: ONNX by tract, a program of others, for every kind of subset, and
/// PyTorch's after it was read back.
#[test]
fn exports_hold_attributes_and_the_number() {
    let model = trained().model();
    let place = tempfile::tempdir().unwrap();
    let out = |name: &str| place.path().join(name);
    for (name, more) in [("onnx", &[][..]), ("onnx17", &["--opset", "17"])] {
        let mut arguments = vec!["export", "--model", text(&model), "--format", "onnx"];
        let to = out(name);
        arguments.extend(["--out", text(&to), "--verify", "--json", "--dtype", "f32"]);
        arguments.extend(more);
        let ran = run(&arguments).ok();
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        let changes = answer["verified"]["predictions"].as_array().unwrap();
        assert!(!changes.is_empty(), "{answer}");
        for change in changes {
            assert!(change["max"].as_f64().unwrap() < 1e-4, "{answer}");
        }
        assert!(to.join("guided_step.onnx").is_file());
    }
    let (torch, back) = (out("torch"), out("back"));
    let (torch, back) = (text(&torch), text(&back));
    let export = [
        "export",
        "--model",
        text(&model),
        "--format",
        "safetensors",
        "--dtype",
        "f32",
    ];
    run(&[&export[..], &["--out", torch]].concat()).ok();
    run(&[
        "import",
        "--from",
        "freeguide-torch",
        torch,
        "--out",
        back,
        "--dtype",
        "f32",
    ])
    .ok();
    let bytes = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(bytes(Path::new(back)) == bytes(&model));
}

/// A model of classes is a beginning for one of attributes.
#[test]
fn attributes_start_from_a_model_of_classes() {
    let trained = trained();
    let (data, tiny) = (trained.data(), tiny_model());
    let place = tempfile::tempdir().unwrap();
    let (out, recipe) = (place.path().join("run"), recipe());
    let mut arguments = vec!["train", "--recipe", &recipe, "--data", text(&data)];
    arguments.extend(["--out", text(&out), "--init", &tiny, "--device", "cpu"]);
    for set in [
        "network.conditions=attributes",
        NUMBER,
        "data.number_column=age",
        "train.steps=2",
    ] {
        arguments.extend(["--set", set]);
    }
    let ran = run(&arguments).ok();
    assert!(
        ran.err
            .contains("0 classes keep their embedding, 2 are new"),
        "{}",
        ran.err
    );
}
