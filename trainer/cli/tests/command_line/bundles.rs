//! From a run to a bundle, and bundles that are broken.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::*;
use serde_json::Value;

#[test]
fn a_run_becomes_a_bundle() {
    let place = tempfile::tempdir().unwrap();
    let (full, half) = (place.path().join("full"), place.path().join("half"));
    // What is there and is no weights stays; weights of an older bundle go.
    fs::create_dir_all(&full).unwrap();
    fs::write(full.join("README.md"), "a model card").unwrap();
    fs::write(full.join("model-00001-of-00002.safetensors"), "old").unwrap();
    let run_folder = text(whole_run());
    run(&["export", "--run", run_folder, "--out", text(&full)]).ok();
    assert_eq!(
        names(&full),
        ["README.md", "config.json", "model.safetensors"]
    );
    let json = run(&[
        "export",
        "--run",
        run_folder,
        "--out",
        text(&half),
        "--dtype",
        "f16",
        "--json",
    ])
    .ok();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["steps"], 40);
    // Without a card, it gets one, with the last grid of samples.
    assert_eq!(
        names(&half),
        ["README.md", "config.json", "images", "model.safetensors"]
    );
    let grid = whole_run().join("samples/step-00000040.png");
    let shown = fs::read(half.join("images/samples.png")).unwrap();
    assert!(shown == fs::read(grid).unwrap());
    let card = fs::read_to_string(half.join("README.md")).unwrap();
    for words in [
        "library_name: freeguide",
        "images/samples.png",
        "| steps | 40 |",
    ] {
        assert!(card.contains(words), "{card}");
    }
    let kept = fs::read_to_string(full.join("README.md")).unwrap();
    assert_eq!(kept, "a model card");

    let size = |folder: &Path| {
        fs::metadata(folder.join("model.safetensors"))
            .unwrap()
            .len()
    };
    let parameters = json["parameters"].as_u64().unwrap();
    assert!(size(&full) > 4 * parameters && size(&half) < size(&full) * 6 / 10);
    for folder in [&full, &half] {
        let seen = run(&["inspect", text(folder)]).ok();
        assert!(
            seen.out.contains("disc, square, triangle") && seen.out.contains("sha256"),
            "{}",
            seen.out
        );
        let json = run(&["inspect", text(folder), "--json"]).ok();
        assert_eq!(
            json.out,
            fs::read_to_string(folder.join("config.json")).unwrap()
        );
        let config: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(config["provenance"]["steps"], 40);
        assert_eq!(config["provenance"]["images_seen"], 160);
        assert_eq!(config["provenance"]["parameters"], parameters);
    }
    // Bytes that depend on the run alone.
    assert!(weights(whole_run()) == fs::read(full.join("model.safetensors")).unwrap());

    let out = text(&full);
    run(&["export", "--run", data(), "--out", out]).refused(1, &["not a run folder"]);
    run(&[
        "export", "--run", run_folder, "--out", out, "--dtype", "int4",
    ])
    .refused(2, &["int4"]);
    run(&["export", "--run", run_folder, "--out", &recipe()]).refused(1, &["tiny.toml"]);
    let begun = place.path().join("begun");
    copy(whole_run(), &begun);
    fs::remove_dir_all(begun.join("checkpoints")).unwrap();
    run(&["export", "--run", text(&begun), "--out", out]).refused(1, &["no checkpoint yet"]);
}

#[test]
fn a_broken_bundle_is_named_by_its_file() {
    let place = tempfile::tempdir().unwrap();
    let broken = |name: &str, damage: &dyn Fn(&Path)| {
        let folder = place.path().join(name);
        copy(Path::new(&tiny_model()), &folder);
        damage(&folder);
        folder
    };
    let cut = |folder: &Path| {
        let file = folder.join("model.safetensors");
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    };
    for (folder, words) in [
        (
            place.path().join("nowhere"),
            ["nowhere", "config.json is missing"],
        ),
        (
            broken("weights", &|f| {
                fs::remove_file(f.join("model.safetensors")).unwrap()
            }),
            ["weights", "model.safetensors is missing"],
        ),
        (broken("cut", &cut), ["cut", "cut off"]),
        (
            broken("json", &|f| fs::write(f.join("config.json"), "{").unwrap()),
            ["config.json", "not valid JSON"],
        ),
        (
            broken("bytes", &|f| {
                fs::write(f.join("config.json"), b"\xff\xfe").unwrap()
            }),
            ["config.json cannot be read", "UTF-8"],
        ),
        (
            broken("folder", &|f| {
                fs::remove_file(f.join("model.safetensors")).unwrap();
                fs::create_dir(f.join("model.safetensors")).unwrap();
            }),
            ["model.safetensors", "cannot be read"],
        ),
        (PathBuf::from(recipe()), ["tiny.toml", ""]),
    ] {
        let out = place.path().join("x.png");
        run(&["sample", "--model", text(&folder), "--out", text(&out)]).refused(1, &words);
        run(&["inspect", text(&folder)]).refused(1, &[words[0]]);
        assert!(!out.exists());
    }
}

#[test]
fn the_cards_of_the_shipped_models_are_complete() {
    let place = tempfile::tempdir().unwrap();
    for (model, report) in [
        ("cifar10-small", "cifar10-small"),
        ("cifar10-small-p02", "cifar10-small-p-uncond"),
        ("cifar10-small-p05", "cifar10-small-p-uncond"),
        ("emoji16", "emoji16"),
        ("emoji16-p02", "emoji16"),
        ("emoji16-p05", "emoji16"),
        ("emoji32", "emoji32"),
        ("emoji64", "emoji64"),
        ("glyphs32", "glyphs32"),
        ("glyphs32-fast", "glyphs32-fast"),
        ("tiny-imagenet20", "tiny-imagenet20"),
    ] {
        let folder = place.path().join(model);
        copy(&Path::new(ROOT).join("models").join(model), &folder);
        let report = format!("{ROOT}/docs/results/{report}");
        let card = fs::read_to_string(folder.join("README.md")).unwrap();
        run(&["card", "--model", text(&folder), "--report", &report]).ok();
        let written = fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(
            written == card,
            "freeguide card changes models/{model}/README.md"
        );
    }
}

#[test]
fn a_card_needs_a_bundle_and_a_report_about_it() {
    let place = tempfile::tempdir().unwrap();
    run(&["card", "--model", text(place.path())]).refused(1, &["config.json"]);
    copy(Path::new(&tiny_model()), place.path());
    let card = |report: &str| run(&["card", "--model", text(place.path()), "--report", report]);
    card("nowhere").refused(1, &["nowhere/figures.json", "freeguide eval"]);
    let other = format!("{ROOT}/docs/results/emoji32");
    card(&other).refused(1, &["is about emoji32", "not about tiny"]);
    assert!(!place.path().join("README.md").exists());
}
