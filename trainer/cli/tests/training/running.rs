//! Locks, disks, devices, signals, and what is written down.

use std::fs;
use std::process::Command;

use crate::json;
use crate::process::*;

#[test]
fn two_trainings_do_not_share_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let mut child = start_training(&out, &["--set", "train.steps=4000"]);
    let process = format!("process {} is training", child.id());
    train(&out, &["--resume"]).refused(1, &[&process, "another --out"]);
    child.kill().unwrap();
    child.wait().unwrap();
    // Of one that was killed the lock is left on the disk, and holds nobody back.
    assert!(out.join(".lock").exists());
    let (_, step) = checkpoints(&out)
        .pop()
        .unwrap()
        .split_once('-')
        .map(|(a, b)| (a.to_owned(), b.parse::<u64>().unwrap()))
        .unwrap();
    let steps = format!("train.steps={}", step + 1);
    train(&out, &["--resume", "--set", &steps]).ok();
}

#[cfg(unix)]
#[test]
fn what_stops_a_service_saves_and_leaves() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let child = start_training(&out, &["--set", "train.steps=100000"]);
    let terminate = format!("kill -TERM {}", child.id());
    Command::new("sh")
        .args(["-c", &terminate])
        .status()
        .unwrap();
    let ran = finished(child.wait_with_output().unwrap()).ok();
    let (_, after) = ran.err.split_once("stopped at step ").unwrap();
    let step: u64 = after.split_once(';').unwrap().0.parse().unwrap();
    assert_eq!(checkpoints(&out).last(), Some(&format!("step-{step:08}")));
}

#[test]
fn checkpoints_that_no_disk_can_hold_are_refused_before_the_first_step() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    train(
        &out,
        &[
            "--set",
            "network.base_channels=4096",
            "--set",
            "network.channel_multipliers=[32,64]",
        ],
    )
    .refused(1, &["free", "the checkpoints take", "TB", "another --out"]);
    assert!(!out.join("run.json").exists());
}

#[test]
fn what_is_needed_to_repeat_a_run_is_written_down() {
    let place = tempfile::tempdir().unwrap();
    let out = unfinished_run(&place);
    train(&out, &["--resume"]).ok();
    let info = json(&out.join("run.json"));
    let starts = info["starts"].as_array().unwrap();
    assert_eq!(starts.len(), 2);
    assert_eq!(
        (&starts[0]["step"], &starts[1]["step"]),
        (&0.into(), &36.into())
    );
    for start in starts {
        let command = start["command"].as_array().unwrap();
        assert!(
            command.iter().any(|word| word == "network.dropout=0.2"),
            "{start}"
        );
        for key in ["freeguide", "burn", "rustc", "target"] {
            assert!(!start[key].as_str().unwrap().is_empty(), "{key}: {start}");
        }
        let commit = start["commit"].as_str().unwrap();
        assert!(commit.is_empty() || commit.len() == 40, "{commit}");
        assert_eq!(start["device"], "cpu");
    }
    assert_eq!(info["data_fingerprint"].as_str().unwrap().len(), 64);
    let recipe = fs::read_to_string(out.join("recipe.toml")).unwrap();
    assert!(recipe.contains("seed = 1"), "{recipe}");
}

#[test]
fn other_data_is_refused_unless_it_is_allowed() {
    let place = tempfile::tempdir().unwrap();
    let out = unfinished_run(&place);
    let fingerprint = json(&out.join("run.json"))["data_fingerprint"].clone();
    let other = place.path().join("data");
    draw_shapes(&other, 4);
    let recipe = recipe();
    let resume = |more: &[&str]| {
        let mut all = vec![
            "train",
            "--recipe",
            &recipe,
            "--data",
            text(&other),
            "--out",
            text(&out),
        ];
        all.extend(SHORT);
        all.extend(["--device", "cpu", "--resume"]);
        all.extend(more);
        run(&all)
    };
    let refused = resume(&[]).refused(
        1,
        &[
            "fingerprint",
            fingerprint.as_str().unwrap(),
            "--allow-other-data",
        ],
    );
    resume(&["--allow-other-data"]).ok();
    let now = json(&out.join("run.json"))["data_fingerprint"].clone();
    assert!(now != fingerprint && refused.err.contains(now.as_str().unwrap()));
    // Other classes are another model.
    fs::rename(other.join("disc"), other.join("ring")).unwrap();
    resume(&["--allow-other-data"]).refused(1, &["classes", "ring", "disc", "--init"]);
}

#[test]
fn a_device_that_is_not_there_is_named_with_those_that_are() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let recipe = recipe();
    let arguments = [
        "train",
        "--recipe",
        &recipe,
        "--data",
        data(),
        "--out",
        text(&out),
    ];
    let on = |device| run(&[&arguments[..], &["--device", device]].concat());
    on("abacus").refused(2, &["abacus", "available here: cpu"]);
    assert!(!out.exists());
}

#[test]
fn a_live_view_needs_a_terminal_and_does_without() {
    let place = tempfile::tempdir().unwrap();
    let ran = train(
        &place.path().join("run"),
        &["--live", "--set", "train.steps=1"],
    )
    .ok();
    assert!(
        ran.err.contains("step 1/1") && !ran.err.contains('\u{1b}'),
        "{}",
        ran.err
    );
    train(&place.path().join("quiet"), &["--live", "--quiet"]).refused(2, &["--quiet"]);
}
