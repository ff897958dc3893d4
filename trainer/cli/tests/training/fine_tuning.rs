//! Trainings that begin at a bundle.

use std::fs;
use std::path::Path;

use crate::process::*;
use crate::{json, tensors};

/// The row of a class in the class embedding of a bundle.
fn row(bundle: &Path, class: &str) -> Vec<f32> {
    let config = json(&bundle.join("config.json"));
    let classes = config["classes"].as_array().unwrap();
    let place = classes.iter().position(|name| name == class);
    let tensors = tensors(&fs::read(bundle.join("model.safetensors")).unwrap());
    let (_, values) = tensors
        .into_iter()
        .find(|(name, _)| name == "conditioning.class.weight")
        .unwrap();
    let width = values.len() / (classes.len() + 1);
    values[place.unwrap_or(classes.len()) * width..][..width].to_vec()
}

#[test]
fn a_fine_tuning_keeps_what_it_knows() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    draw_shapes(&data, 3);
    // Classes in another order: one is gone, one is new, two stay.
    fs::rename(data.join("square"), data.join("a new one")).unwrap();
    let (out, bundle) = (place.path().join("run"), place.path().join("bundle"));
    let (recipe, tiny) = (recipe(), tiny_model());
    let arguments = |more: &[&str]| {
        let mut all = vec![
            "train",
            "--recipe",
            &recipe,
            "--data",
            text(&data),
            "--device",
            "cpu",
        ];
        // A rate so small that the weights stay what they were.
        all.extend([
            "--set",
            "train.batch=4",
            "--set",
            "train.steps=1",
            "--set",
            "sampling.steps=2",
        ]);
        all.extend(["--set", "train.learning_rate=1e-12"]);
        all.extend(more);
        run(&all)
    };
    let ran = arguments(&["--out", text(&out), "--init", &tiny]).ok();
    assert!(
        ran.err
            .contains("2 classes keep their embedding, 1 are new"),
        "{}",
        ran.err
    );
    run(&["export", "--run", text(&out), "--out", text(&bundle)]).ok();
    let tiny = Path::new(&tiny);
    let close = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6);
    for (new, old) in [
        ("disc", "disc"),
        ("triangle", "triangle"),
        ("∅", "∅"),
        ("a new one", "∅"),
    ] {
        assert!(close(row(&bundle, new), row(tiny, old)), "{new}");
    }
    assert!(!close(row(tiny, "disc"), row(tiny, "∅")));
    let of = |bundle: &Path| {
        let tensors = tensors(&fs::read(bundle.join("model.safetensors")).unwrap());
        tensors
            .into_iter()
            .find(|(name, _)| name == "input.weight")
            .unwrap()
            .1
    };
    assert!(close(of(&bundle), of(tiny)));
    let info = json(&out.join("run.json"));
    assert_eq!(info["init"]["name"], "tiny");
    assert_eq!(info["init"]["sha256"][0].as_str().unwrap().len(), 64);

    // It resumes like any other training, with or without --init, but not with another --init.
    arguments(&["--out", text(&out), "--resume", "--set", "train.steps=2"]).ok();
    let tiny = tiny_model();
    arguments(&[
        "--out",
        text(&out),
        "--resume",
        "--set",
        "train.steps=3",
        "--init",
        &tiny,
    ])
    .ok();
    let other = text(&bundle);
    arguments(&[
        "--out",
        text(&out),
        "--resume",
        "--set",
        "train.steps=4",
        "--init",
        other,
    ])
    .refused(1, &["did not start from", other]);

    let out = place.path().join("refused");
    for (set, words) in [
        (
            "network.norm_groups=8",
            &["network.norm_groups is 8", "4 in the model"][..],
        ),
        (
            "network.base_channels=16",
            &["network.base_channels is 16", "8 in the model"],
        ),
        (
            "network.heads=2",
            &["network.heads is 2", "its default in the model"],
        ),
        (
            "network.attention_resolutions=[8]",
            &["does not match", "attention_resolutions"],
        ),
        (
            "diffusion.target=epsilon",
            &["diffusion.target", "epsilon", "\"v\""],
        ),
        ("data.channels=1", &["data.channels is 1", "3 in the model"]),
    ] {
        arguments(&["--out", text(&out), "--init", &tiny, "--set", set]).refused(1, words);
    }
    arguments(&["--out", text(&out), "--init", text(&data)]).refused(1, &["--init", "config.json"]);

    // An input skip may be added, which the network then needs.
    let with = |is: bool, init: &str, out: &str| {
        let skip = format!("network.input_skip={is}");
        arguments(&["--out", out, "--init", init, "--set", &skip])
    };
    let (out, skips) = (place.path().join("skip"), place.path().join("skips"));
    with(true, &tiny, text(&out)).ok();
    run(&["export", "--run", text(&out), "--out", text(&skips)]).ok();
    with(false, text(&skips), text(&place.path().join("refused")))
        .refused(1, &["network.input_skip is false", "true in the model"]);
}
