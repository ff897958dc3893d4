//! Moving averages: kept, exported, added.

use std::fs;

use serde_json::Value;

use crate::process::*;
use crate::{ALL, json};

#[test]
fn any_average_that_was_kept_is_exported() {
    let place = tempfile::tempdir().unwrap();
    let run_folder = place.path().join("run");
    train(&run_folder, &ALL).ok();
    let first = exported(&run_folder, &[]);
    assert!(first == exported(&run_folder, &["--ema", "0.9"]));
    assert!(first != exported(&run_folder, &["--ema", "0.5"]));
    assert!(exported(&run_folder, &["--ema", "0.5"]) != exported(&run_folder, &["--ema", "0"]));
    let bundle = place.path().join("bundle");
    let export = |ema: &str| {
        let (from, to) = (text(&run_folder), text(&bundle));
        run(&["export", "--run", from, "--out", to, "--ema", ema])
    };
    export("0.99").refused(1, &["no average with decay 0.99", "0.9, 0.5"]);
    assert!(!bundle.exists());
    export("0.5").ok();
    assert_eq!(
        json(&bundle.join("config.json"))["provenance"]["ema_decay"],
        0.5
    );
    let said = run(&["inspect", text(&run_folder)]).ok().out;
    for words in [
        "checkpoint of step 12: intact",
        "averages with decay 0.9, 0.5",
        "18 images of 3 classes",
        "started at step 0",
        "--recipe",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let said = run(&["inspect", text(&run_folder), "--json"]).ok().out;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        said["checkpoints"][1]["averages"],
        serde_json::json!([0.9, 0.5])
    );
    fs::write(
        run_folder.join("checkpoints/step-00000012/optimizer.bpk"),
        "",
    )
    .unwrap();
    let said = run(&["inspect", text(&run_folder)]).ok().out;
    assert!(
        said.contains("checkpoint of step 12: damaged: optimizer.bpk"),
        "{said}"
    );
}

#[test]
fn checkpoints_that_the_recipe_names_are_kept_and_exported() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let kept = [
        "--set",
        "train.keep_steps=[3,5]",
        "--set",
        "train.checkpoint_every=4",
    ];
    train(&out, &[&ALL[..], &kept].concat()).ok();
    let mut folders: Vec<_> = fs::read_dir(out.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let steps = [3, 5, 8, 12].map(|step| format!("step-{step:08}"));
    assert_eq!(folders, steps);
    let (early, last) = (exported(&out, &["--step", "3"]), exported(&out, &[]));
    assert!(early != last && last == exported(&out, &["--step", "12"]));
    // In the first steps, both averages follow the weights equally fast.
    assert!(last != exported(&out, &["--step", "12", "--ema", "0.5"]));
    let bundle = place.path().join("bundle");
    let export = |step: &str| {
        let (from, to) = (text(&out), text(&bundle));
        run(&["export", "--run", from, "--out", to, "--step", step])
    };
    export("4").refused(1, &["no checkpoint of step 4", "3, 5, 8, 12"]);
    export("5").ok();
    let config = json(&bundle.join("config.json"));
    assert_eq!(config["provenance"]["steps"], 5);
    assert!(config["name"].as_str().unwrap().ends_with("-step5"));

    let beyond = ["--set", "train.keep_steps=[13]"];
    train(&place.path().join("other"), &[&ALL[..], &beyond].concat())
        .refused(2, &["train.keep_steps must be up to 100 steps"]);
}

#[test]
fn an_average_may_be_added_when_a_run_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let out = unfinished_run(&place);
    let ran = train(&out, &["--resume", "--set", "train.ema_decay=[0.9,0.8]"]).ok();
    assert!(ran.err.contains("no average with decay 0.8"), "{}", ran.err);
    assert!(weights(&out) == weights(whole_run()));
    assert!(weights(&out) != exported(&out, &["--ema", "0.8"]));
}

/// Before there were several averages a checkpoint had one, which did not say its decay.
#[test]
fn a_checkpoint_of_the_first_format_is_read() {
    let place = tempfile::tempdir().unwrap();
    let out = unfinished_run(&place);
    let folder = out.join("checkpoints/step-00000036");
    fs::rename(folder.join("average-0.9.bpk"), folder.join("average.bpk")).unwrap();
    let mut state = json(&folder.join("state.json"));
    let files = state["files"].as_object_mut().unwrap();
    let average = files.remove("average-0.9.bpk").unwrap();
    files.insert("average.bpk".to_owned(), average);
    state.as_object_mut().unwrap().remove("averages").unwrap();
    fs::write(folder.join("state.json"), state.to_string()).unwrap();
    train(&out, &["--resume"]).ok();
    assert!(weights(&out) == weights(whole_run()));
}
