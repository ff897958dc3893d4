//! What the recipe's options do to the weights.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::*;
use crate::{ALL, distance, json, tensors};

#[test]
fn a_run_with_everything_in_it_is_resumed_to_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let (whole, cut) = (place.path().join("whole"), place.path().join("cut"));
    train(&whole, &ALL).ok();
    let mut child = start_training(&cut, &ALL);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut more = ALL.to_vec();
    more.push("--resume");
    train(&cut, &more).ok();
    for decay in ["0.9", "0.5", "0"] {
        let bytes = |run: &Path| exported(run, &["--ema", decay]);
        assert!(bytes(&whole) == bytes(&cut), "{decay}");
    }
}

#[test]
fn the_parts_of_a_batch_are_the_batch_within_rounding() {
    let place = tempfile::tempdir().unwrap();
    let weights = |parts: &str| {
        let out = place.path().join(parts);
        let parts = format!("train.accumulate={parts}");
        train(&out, &["--set", "train.steps=4", "--set", &parts]).ok();
        exported(&out, &["--ema", "0"])
    };
    let (whole, halves, single) = (weights("1"), weights("2"), weights("4"));
    // AdamW's first steps have the size of the learning rate, 3e-3 at most here, whatever the
    // gradient's; the same gradients must give far less of a difference than other ones.
    let out = place.path().join("other");
    train(&out, &["--set", "train.steps=4", "--seed", "2"]).ok();
    let other = exported(&out, &["--ema", "0"]);
    assert!(distance(&whole, &other) > 1e-2);
    for parts in [halves, single] {
        let found = distance(&whole, &parts);
        assert!(found > 0.0 && found < 2e-4, "{found}");
    }
}

#[test]
fn recomputing_activations_changes_no_bit() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let checkpointing = ["--set", "train.gradient_checkpointing=true"];
    train(&out, &checkpointing).ok();
    assert!(weights(&out) == weights(whole_run()));
}

#[test]
fn half_precision_trains_weights_that_stay_in_f32() {
    let place = tempfile::tempdir().unwrap();
    let last_loss = |out: &Path| {
        let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        let line: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        line["loss"].as_f64().unwrap()
    };
    let full = last_loss(whole_run());
    let start = exported_at_start(&place);
    for precision in ["bf16", "f16"] {
        let out = place.path().join(precision);
        let set = format!("train.precision={precision}");
        let ran = train(&out, &["--set", &set]).ok();
        assert!(ran.err.contains("slower on the CPU"), "{}", ran.err);
        let half = last_loss(&out);
        assert!(
            (half - full).abs() < 0.1 * full,
            "{precision}: {half} {full}"
        );
        // The trained weights lie near those of f32, and have more digits than 16 bits hold.
        let (trained, exact) = (
            exported(&out, &["--ema", "0"]),
            exported(whole_run(), &["--ema", "0"]),
        );
        let moved = distance(&start, &exact);
        assert!(distance(&trained, &exact) < moved, "{precision}");
        let rounded = tensors(&trained)
            .into_iter()
            .flat_map(|(_, values)| values)
            .filter(|v| v.to_bits().trailing_zeros() >= 13)
            .count();
        let all: usize = tensors(&trained)
            .iter()
            .map(|(_, values)| values.len())
            .sum();
        assert!(rounded < all / 2, "{precision}: {rounded} of {all}");
        let state = json(&out.join("checkpoints/step-00000040/state.json"));
        assert_eq!(
            state["loss_scale"].is_null(),
            precision == "bf16",
            "{state}"
        );
    }
}

/// The weights after one step, which moves nothing by more than the learning rate.
fn exported_at_start(place: &TempDir) -> Vec<u8> {
    let out = place.path().join("start");
    train(&out, &["--set", "train.steps=1"]).ok();
    exported(&out, &["--ema", "0"])
}

#[test]
fn a_half_precision_run_is_resumed_to_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let set = ["--set", "train.precision=f16", "--set", "train.steps=8"];
    let (whole, cut) = (place.path().join("whole"), place.path().join("cut"));
    train(&whole, &set).ok();
    copy(&whole, &cut);
    fs::remove_dir_all(cut.join("checkpoints/step-00000008")).unwrap();
    let mut more = set.to_vec();
    more.push("--resume");
    let resumed = train(&cut, &more).ok();
    assert!(
        resumed.err.contains("resuming from step 4"),
        "{}",
        resumed.err
    );
    assert!(weights(&whole) == weights(&cut));
}

#[test]
fn noise_levels_and_weightings_are_chosen_in_the_recipe() {
    let place = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for (name, set) in [
        ("log-normal", &["diffusion.levels=log-normal"][..]),
        (
            "wide",
            &[
                "diffusion.levels=log-normal",
                "diffusion.log_normal={mean=-0.4,std=1.6}",
            ],
        ),
        ("uniform", &["diffusion.levels=uniform"]),
        ("min-snr", &["diffusion.weighting=min-snr"]),
        (
            "epsilon",
            &["diffusion.target=epsilon", "diffusion.weighting=min-snr"],
        ),
    ] {
        let out = place.path().join(name);
        let mut more = vec!["--set", "train.steps=2"];
        set.iter().for_each(|set| more.extend(["--set", set]));
        train(&out, &more).ok();
        let weights = weights(&out);
        assert!(!seen.contains(&weights), "{name}");
        seen.push(weights);
    }
    let recipe = fs::read_to_string(place.path().join("wide/recipe.toml")).unwrap();
    assert!(
        recipe.contains("levels = \"log-normal\"") && recipe.contains("std = 1.6"),
        "{recipe}"
    );
    let out = place.path().join("refused");
    for (set, words) in [
        ("diffusion.log_normal={mean=0,std=0}", "std > 0"),
        ("diffusion.levels=lognormal", "log-normal"),
        ("train.accumulate=3", "train.accumulate must divide"),
        ("train.accumulate=0", "train.accumulate must divide"),
        ("train.precision=f8", "bf16"),
        ("train.ema_decay=[0.9,0.9]", "train.ema_decay"),
        ("train.ema_decay=[]", "train.ema_decay"),
    ] {
        train(&out, &["--set", set]).refused(2, &[words]);
    }
    assert!(!out.exists());
}
