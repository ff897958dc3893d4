//! `sample --guide`: another model in the place of the unconditional estimate.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::process::*;
use crate::sampling::sample;

/// The tiny model with a change to its configuration.
fn changed(folder: &Path, change: impl FnOnce(&mut Value)) -> String {
    copy(Path::new(&tiny_model()), folder);
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, config.to_string()).unwrap();
    text(folder).to_owned()
}

fn picture(more: &[&str]) -> (image::RgbImage, String) {
    let place = tempfile::tempdir().unwrap();
    let fixed = [
        "--class", "disc", "--count", "1", "--steps", "4", "--seed", "7",
    ];
    let out = format!("{}/", place.path().display());
    sample(&out, &[&fixed[..], more].concat()).ok();
    let png = fs::read(place.path().join("00000.png")).unwrap();
    let says = String::from_utf8_lossy(&png).into_owned();
    (image::load_from_memory(&png).unwrap().to_rgb8(), says)
}

#[test]
fn a_guide_that_agrees_changes_nothing_and_another_does() {
    let place = tempfile::tempdir().unwrap();
    let same = changed(&place.path().join("same"), |json| {
        json["name"] = "same".into()
    });
    // A model that mistakes discs for squares.
    let other = changed(&place.path().join("other"), |json| {
        json["classes"] = serde_json::json!(["square", "disc", "triangle"]);
    });
    let (plain, _) = picture(&["--guidance", "0"]);
    let (agreed, says) = picture(&["--guidance", "3", "--guide", &same]);
    assert_eq!(agreed, plain);
    assert!(says.contains(r#""guide":"same""#), "{says}");
    let (led, _) = picture(&["--guidance", "3", "--guide", &other]);
    let (free, says) = picture(&["--guidance", "3"]);
    assert!(led != plain && led != free);
    assert!(!says.contains("\"guide\""), "{says}");
    // Led away from squares as by a negative class: its estimate of a disc is that of a square.
    let (away, _) = picture(&["--guidance", "3", "--negative", "square"]);
    assert_eq!(led, away);
}

#[test]
fn a_guide_that_does_not_fit_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let out = text(place.path()).to_owned() + "/pictures/";
    let refused = |guide: &str, words: &[&str]| {
        sample(&out, &["--guide", guide, "--guidance", "1"]).refused(1, words);
        assert!(!Path::new(&out).exists());
    };
    let names = changed(&place.path().join("names"), |json| {
        json["name"] = "animals".into();
        json["classes"] = serde_json::json!(["cat", "dog", "cow"]);
    });
    refused(
        &names,
        &["animals cannot guide tiny", "only animals has \"cat\""],
    );
    refused("nowhere", &["nowhere", "config.json is missing"]);
}

/// A classifier of noisy images of the tiny model's classes, which takes seconds to train.
fn noisy_classifier(place: &Path) -> String {
    let (data, file) = (place.join("data"), place.join("noisy.safetensors"));
    draw_shapes(&data, 20);
    let settings = "--noisy --size 8 --width 8 --epochs 12 --batch 20 --learning-rate 0.01 --quiet";
    let mut arguments = vec!["classifier", "--data", text(&data), "--out", text(&file)];
    arguments.extend(settings.split(' '));
    run(&arguments).ok();
    text(&file).to_owned()
}

#[test]
fn a_classifier_of_noisy_images_is_trained_and_guides() {
    let place = tempfile::tempdir().unwrap();
    let file = noisy_classifier(place.path());
    let (plain, _) = picture(&["--guidance", "-1"]);
    let off = [
        "--guidance",
        "-1",
        "--classifier",
        &file,
        "--classifier-guidance",
    ];
    let (none, _) = picture(&[&off[..], &["0"]].concat());
    assert_eq!(none, plain);
    let (guided, says) = picture(&[&off[..], &["2"]].concat());
    assert_ne!(guided, plain);
    let wanted = r#""classifier":{"name":"noisy","strength":2.0}"#;
    assert!(says.contains(wanted), "{says}");
    // The same training writes the same bytes.
    let again = tempfile::tempdir().unwrap();
    let again = noisy_classifier(again.path());
    assert!(fs::read(&file).unwrap() == fs::read(again).unwrap());

    let out = text(place.path()).to_owned() + "/pictures/";
    sample(&out, &["--classifier-guidance", "2"]).refused(2, &["--classifier"]);
    let model = tiny_model() + "/model.safetensors";
    let words = [
        "model.safetensors",
        "was not written by `freeguide classifier --noisy`",
    ];
    sample(&out, &["--classifier", &model]).refused(1, &words);
}
