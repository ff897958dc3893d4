//! Classifiers, and what they can be asked for.

use std::fs;

use freeguide::classifier::DESCRIPTION_KEY;
use serde_json::Value;

use crate::process::{draw_shapes, recipe, run, text, tiny_model};
use crate::support::{classifier, data, measured, network, world};

#[test]
fn a_classifier_learns_its_classes_and_says_how_well() {
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("shapes.safetensors");
    let ran = classifier(&world().join("data"), &again).ok();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["held_out_images"], 18);
    let accuracy = said["held_out_accuracy"].as_f64().unwrap();
    assert!((said["baseline"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    // Three colours: hard to miss.
    assert!(accuracy > 0.9, "{accuracy}");
    let of_class = said["held_out_class_accuracies"].as_object().unwrap();
    let mean = of_class.values().map(|a| a.as_f64().unwrap()).sum::<f64>() / 3.0;
    assert!(of_class.contains_key("disc") && (mean - accuracy).abs() < 1e-9);
    assert!(
        fs::read(again).unwrap() == fs::read(network()).unwrap(),
        "the same seed, the same file"
    );
}

#[test]
fn images_have_the_recipes_size_or_the_one_that_is_asked_for() {
    let (folder, data, recipe) = (tempfile::tempdir().unwrap(), data(), recipe());
    let out = folder.path().join("shapes.safetensors");
    for (more, size) in [(&[][..], 8), (&["--size", "4"], 4)] {
        let mut arguments = vec!["classifier", "--data", &data, "--out", text(&out)];
        arguments.extend(["--recipe", &recipe, "--width", "4", "--epochs", "1"]);
        arguments.extend(more);
        run(&arguments).ok();
        let file = fs::read(&out).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&file).unwrap();
        let says = &metadata.metadata().as_ref().unwrap()[DESCRIPTION_KEY];
        let says: Value = serde_json::from_str(says).unwrap();
        assert_eq!(says["size"], size);
    }
}

#[test]
fn a_feature_network_of_other_classes_says_why_there_is_no_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    // CIFAR-10's classes, which are not those of the shapes; and more images than its 64 features.
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    draw_shapes(&data, 50);
    let (model, data) = (tiny_model(), text(&data).to_owned());
    let sweep = "--features resnet20 --guidance 0 --steps 1 --samples 66 --splits 2";
    let mut arguments = vec![
        "eval",
        "--model",
        &model,
        "--data",
        &data,
        "--out",
        text(&out),
    ];
    arguments.extend(sweep.split(' '));
    let ran = run(&arguments).ok();
    let why = "There is no class accuracy by ResNet20: its 10 classes do not match those of the data set; it does not know \
        \"disc\", \"square\", \"triangle\".";
    assert!(ran.err.contains(why), "{}", ran.err);
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains(why), "{markdown}");
    let figures = measured(&out);
    assert!(figures["networks"][0]["cells"][0]["metrics"]["accuracy"].is_null());
}
