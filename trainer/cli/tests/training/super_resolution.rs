//! A super-resolution model, from a data set to enlarged pictures.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use crate::json;
use crate::process::*;

/// Pictures of 8×8 pixels: two colours with a border at any column, or at any row.
fn data_set(folder: &Path) {
    for class in ["columns", "rows"] {
        fs::create_dir_all(folder.join(class)).unwrap();
    }
    for n in 0..64u32 {
        let (class, border) = (["columns", "rows"][n as usize % 2], n / 2 % 7 + 1);
        let colour = |k: u32| Rgb([0, 1, 2].map(|channel| (n * 37 + k * 91 + channel * 53) as u8));
        let picture = RgbImage::from_fn(8, 8, |x, y| {
            let place = if class == "columns" { x } else { y };
            colour(u32::from(place < border))
        });
        picture
            .save(folder.join(class).join(format!("{n:02}.png")))
            .unwrap();
    }
}

struct Trained(TempDir);

impl Trained {
    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn training(data: &Path, out: &Path, more: &[&str]) -> Ran {
    let recipe = recipe();
    let mut arguments = vec!["train", "--recipe", &recipe, "--device", "cpu"];
    arguments.extend(["--data", text(data), "--out", text(out)]);
    let set = [
        "network.low_resolution=4",
        "network.dropout=0.1",
        "train.batch=32",
    ];
    arguments.extend(set.iter().flat_map(|set| ["--set", *set]));
    arguments.extend(more);
    run(&arguments)
}

/// A training of seconds, and its bundle.
fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let trained = Trained(tempfile::tempdir().unwrap());
        let [data, out, model] = ["data", "run", "model"].map(|name| trained.at(name));
        data_set(&data);
        let set = [
            "train.steps=600",
            "train.checkpoint_every=600",
            "train.sample_every=600",
        ];
        let set: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
        training(&data, &out, &set).ok();
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
        trained
    })
}

/// The means of squares of 2×2 pixels.
fn shrunk(picture: &RgbImage) -> RgbImage {
    RgbImage::from_fn(4, 4, |x, y| {
        let mean = |channel: usize| {
            let pixels = [(0, 0), (0, 1), (1, 0), (1, 1)];
            let values = pixels.map(|(i, j)| u32::from(picture[(2 * x + i, 2 * y + j)][channel]));
            (values.iter().sum::<u32>() / 4) as u8
        };
        Rgb([0, 1, 2].map(mean))
    })
}

fn distance(a: &RgbImage, b: &RgbImage) -> f64 {
    let pairs = a.as_raw().iter().zip(b.as_raw());
    pairs.map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / a.as_raw().len() as f64
}

fn upscale(image: &Path, model: &str, out: &Path, more: &[&str]) -> Ran {
    let mut arguments = vec!["upscale", text(image), "--model", model, "--device", "cpu"];
    arguments.extend(["--out", text(out)]);
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn enlarged_pictures_are_those_that_were_given() {
    let trained = trained();
    let place = tempfile::tempdir().unwrap();
    let (given, out) = (
        place.path().join("small.png"),
        place.path().join("large.png"),
    );
    let model = trained.at("model");
    let config = json(&model.join("config.json"));
    assert_eq!(config["format_version"], 5);
    assert_eq!(config["network"]["low_resolution"], 4);
    let (mut own, mut other) = (0.0, 0.0);
    let mut last = None;
    for n in 0..8 {
        let class = ["columns", "rows"][n % 2];
        let real = trained
            .at("data")
            .join(class)
            .join(format!("{:02}.png", n * 7 / 2 * 2 + n % 2));
        let small = shrunk(&image::open(&real).unwrap().into_rgb8());
        small.save(&given).unwrap();
        upscale(&given, text(&model), &out, &["--class", class]).ok();
        let drawn = image::open(&out).unwrap().into_rgb8();
        assert_eq!(drawn.dimensions(), (8, 8));
        let drawn = shrunk(&drawn);
        own += distance(&drawn, &small) / 8.0;
        other += last
            .replace(small)
            .map_or(0.0, |last| distance(&drawn, &last))
            / 7.0;
    }
    println!("from the picture given {own:.1}, from another {other:.1}, of 255");
    assert!(own < 25.0 && own < other / 2.0, "{own} {other}");
    // The seed and the level decide, and nothing else.
    let draw = |more: &[&str]| {
        upscale(&given, text(&model), &out, more).ok();
        fs::read(&out).unwrap()
    };
    let first = draw(&["--seed", "4"]);
    assert_eq!(draw(&["--seed", "4"]), first);
    assert_ne!(draw(&["--seed", "5"]), first);
    assert_ne!(draw(&["--seed", "4", "--augmentation", "0.4"]), first);
}

#[test]
fn a_training_that_was_cut_is_the_one_that_was_not() {
    let place = tempfile::tempdir().unwrap();
    let [data, whole, cut] = ["data", "whole", "cut"].map(|name| place.path().join(name));
    data_set(&data);
    let set = |steps: &'static str| {
        [
            "--set",
            steps,
            "--set",
            "train.accumulate=2",
            "--set",
            "train.final_rate=1",
        ]
    };
    training(&data, &whole, &set("train.steps=8")).ok();
    training(&data, &cut, &set("train.steps=3")).ok();
    training(
        &data,
        &cut,
        &[&set("train.steps=8")[..], &["--resume"]].concat(),
    )
    .ok();
    let weights = |run_folder: &Path| {
        let out = run_folder.with_extension("bundle");
        run(&[
            "export",
            "--run",
            text(run_folder),
            "--out",
            text(&out),
            "--dtype",
            "f32",
        ])
        .ok();
        fs::read(out.join("model.safetensors")).unwrap()
    };
    assert!(weights(&whole) == weights(&cut));
}

#[test]
fn what_cannot_be_enlarged_is_refused() {
    let trained = trained();
    let place = tempfile::tempdir().unwrap();
    let [small, large, out] = ["s.png", "l.png", "out.png"].map(|name| place.path().join(name));
    RgbImage::new(4, 4).save(&small).unwrap();
    RgbImage::new(8, 8).save(&large).unwrap();
    let model = trained.at("model");
    let model = text(&model);
    let grid = place.path().join("grid.png");
    run(&[
        "sample",
        "--model",
        model,
        "--device",
        "cpu",
        "--out",
        text(&grid),
    ])
    .refused(2, &["enlarges pictures of 4×4", "freeguide upscale"]);
    upscale(&large, model, &out, &[]).refused(1, &["l.png", "8×8", "4×4"]);
    for level in ["0.6", "-0.1", "NaN"] {
        upscale(&small, model, &out, &["--augmentation", level])
            .refused(2, &["augmentation", level, "from 0 to 0.5"]);
    }
    upscale(&small, model, &out, &["--class", "spirals"]).refused(2, &["spirals", "columns"]);
    upscale(&small, model, &out, &["--guidance", "nan"]).refused(2, &["finite"]);
    upscale(&small, &tiny_model(), &out, &[]).refused(2, &["freeguide sample"]);
    let run_folder = trained.at("run");
    for format in ["onnx", "diffusers"] {
        let to = place.path().join(format);
        let export = [
            "export",
            "--run",
            text(&run_folder),
            "--out",
            text(&to),
            "--format",
            format,
        ];
        run(&export).refused(1, &["enlarges pictures of 4×4"]);
    }
    assert!(!out.exists() && !grid.exists());
    for (bad, words) in [
        ("network.low_resolution=3", "divide their size"),
        ("network.low_resolution=8", "smaller than the images"),
        ("network.augmentation=1.5", "from 0 to 1"),
    ] {
        let data = trained.at("data");
        let to = place.path().join("run");
        training(&data, &to, &["--set", bad]).refused(2, &[words]);
    }
}
