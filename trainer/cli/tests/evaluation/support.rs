//! A small world to measure in, and what was measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ran, contents, draw_shapes, run, text, tiny_model};

/// Images of each class of the data set.
const OF_CLASS: u32 = 30;

/// A data set of the tiny model's classes, and a classifier of it that takes seconds to train.
pub fn world() -> &'static Path {
    static WORLD: OnceLock<TempDir> = OnceLock::new();
    let folder = WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = (
            folder.path().join("data"),
            folder.path().join("shapes.safetensors"),
        );
        draw_shapes(&data, OF_CLASS);
        classifier(&data, &file).ok();
        folder
    });
    folder.path()
}

pub fn data() -> String {
    text(&world().join("data")).to_owned()
}

pub fn network() -> String {
    text(&world().join("shapes.safetensors")).to_owned()
}

pub fn classifier(data: &Path, out: &Path) -> Ran {
    let settings = "--size 8 --width 4 --epochs 12 --batch 16 --learning-rate 0.01 --quiet --json";
    let mut arguments = vec!["classifier", "--data", text(data), "--out", text(out)];
    arguments.extend(settings.split(' '));
    run(&arguments)
}

/// A sweep into `out`, with `more` arguments.
pub fn eval(out: &Path, more: &str) -> Ran {
    eval_through(out, &network(), more)
}

/// As [`eval`], through another feature network.
pub fn eval_through(out: &Path, network: &str, more: &str) -> Ran {
    let (model, data) = (tiny_model(), data());
    let mut arguments = vec![
        "eval",
        "--model",
        &model,
        "--data",
        &data,
        "--features",
        network,
        "--out",
        text(out),
        "--splits",
        "2",
    ];
    arguments.extend(more.split(' ').filter(|word| !word.is_empty()));
    run(&arguments)
}

/// What was measured, without the times.
pub fn measured(out: &Path) -> Value {
    let json = fs::read_to_string(out.join("figures.json")).unwrap();
    let mut figures: Value = serde_json::from_str(&json).unwrap();
    figures["command"] = Value::Null;
    for network in figures["networks"].as_array_mut().unwrap() {
        network["images_per_second"] = Value::Null;
        for cell in network["cells"].as_array_mut().unwrap() {
            assert!(cell["images_per_second"].as_f64().unwrap() > 0.0);
            cell["images_per_second"] = Value::Null;
        }
    }
    figures
}

/// Every file of the store with its bytes.
pub fn store(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    contents(&out.join("store"))
}

/// A small sweep with `more`, into a folder that is thrown away.
pub fn small(more: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    eval(&folder.path().join("out"), &format!("--steps 1 {more}"))
}

/// The tiny model against `data`.
pub fn against(data: &Path) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let (model, network) = (tiny_model(), network());
    run(&[
        "eval",
        "--model",
        &model,
        "--features",
        &network,
        "--data",
        text(data),
        "--out",
        text(&folder.path().join("out")),
        "--samples",
        "20",
    ])
}
