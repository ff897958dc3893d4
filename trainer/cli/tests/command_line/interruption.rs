//! Runs that were stopped, killed or damaged, and what comes of resuming them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::*;
use serde_json::Value;

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_the_resumed_run_ends_in_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let stopped = |attempt: usize| {
        let out = place.path().join(attempt.to_string());
        let child = start_training(&out, &[]);
        let interrupt = format!("kill -INT {}", child.id());
        Command::new("sh")
            .args(["-c", &interrupt])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let ran = finished(child.wait_with_output().unwrap()).ok();
        let step = ran.err.split_once("stopped at step ")?.1.split_once(';')?.0;
        assert!(ran.err.contains("--resume"), "{}", ran.err);
        Some((out, step.parse::<u64>().unwrap()))
    };
    // On a machine that is busy elsewhere a training may be through before it hears of it.
    let (out, step) = (0..5).find_map(stopped).expect("no training was stopped");
    assert_eq!(checkpoints(&out).last(), Some(&format!("step-{step:08}")));
    let resumed = train(&out, &["--resume"]).ok();
    assert!(
        resumed.err.contains(&format!("resuming from step {step}")),
        "{}",
        resumed.err
    );
    assert!(weights(&out) == weights(whole_run()));
}

#[test]
fn a_run_that_was_killed_ends_in_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    // Twice: a resumed run can be killed too.
    for more in [&[][..], &["--resume"]] {
        let mut child = start_training(&out, more);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // A kill while a line was written, which cannot be had on purpose.
    let torn = fs::OpenOptions::new()
        .append(true)
        .open(out.join("metrics.jsonl"));
    torn.unwrap().write_all(b"{\"step\": 99, \"lo").unwrap();
    train(&out, &["--resume"]).ok();
    assert!(weights(&out) == weights(whole_run()));
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let steps: Vec<_> = metrics
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["step"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(
        steps.windows(2).all(|w| w[0] < w[1]) && steps.last() == Some(&40),
        "{steps:?}"
    );
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let newest = "checkpoints/step-00000040";
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let damages: [Damage; 3] = [
        ("network.bpk", &|folder| {
            let file = folder.join("network.bpk");
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("optimizer.bpk", &|folder| {
            fs::remove_file(folder.join("optimizer.bpk")).unwrap()
        }),
        ("state.json", &|folder| {
            fs::write(folder.join("state.json"), b"{\"step\": 40").unwrap()
        }),
    ];
    for (file, damage) in damages {
        let out = place.path().join(file);
        copy(whole_run(), &out);
        damage(&out.join(newest));
        let resumed = train(&out, &["--resume"]).ok();
        let warning = resumed
            .err
            .lines()
            .find(|line| line.starts_with("warning: "))
            .unwrap();
        assert!(
            warning.contains("step-00000040") && warning.contains(file),
            "{warning}"
        );
        assert!(
            resumed.err.contains("resuming from step 36"),
            "{}",
            resumed.err
        );
        assert!(weights(&out) == weights(whole_run()));
    }
    // Where none is whole, nothing is begun anew and nothing deleted.
    let out = place.path().join("all");
    copy(whole_run(), &out);
    for step in ["step-00000036", "step-00000040"] {
        fs::write(
            out.join("checkpoints").join(step).join("average-0.9.bpk"),
            b"",
        )
        .unwrap();
    }
    let before = contents(&out);
    train(&out, &["--resume"]).refused(1, &["every checkpoint", "damaged"]);
    assert!(contents(&out) == before);
    let bundle = place.path().join("bundle");
    run(&["export", "--run", text(&out), "--out", text(&bundle)]).refused(1, &["damaged"]);
    assert!(!bundle.exists());
}

#[test]
fn a_training_that_diverges_stops_and_keeps_a_good_checkpoint() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    // Weight decay that overshoots: every step makes the weights some ninety times larger.
    let wild = [
        "--set",
        "train.weight_decay=100",
        "--set",
        "train.learning_rate=0.9",
    ];
    let often = [
        "--set",
        "train.checkpoint_every=1",
        "--set",
        "train.warmup=0",
    ];
    train(&out, &[&wild[..], &often].concat())
        .refused(1, &["diverged", "train.learning_rate", "--resume"]);
    assert_eq!(checkpoints(&out).len(), 2);
    // Exporting and inspecting look at every weight.
    let model = place.path().join("model");
    run(&["export", "--run", text(&out), "--out", text(&model)]).ok();
    run(&["inspect", text(&model)]).ok();
}

#[test]
fn a_run_is_resumed_only_as_what_it_is() {
    let place = tempfile::tempdir().unwrap();
    let out = unfinished_run(&place);
    let before = contents(&out);
    for (more, word) in [
        (&["--set", "network.residual_blocks=2"][..], "[network]"),
        (&["--set", "network.dropout=0.1"], "[network]"),
        (&["--set", "data.flip=false"], "[data]"),
        (&["--set", "diffusion.target=epsilon"], "[diffusion]"),
        (&["--set", "train.batch=8"], "train.batch"),
        (&["--seed", "2"], "train.seed"),
    ] {
        train(&out, &[more, &["--resume"]].concat()).refused(1, &[word, "another --out"]);
    }
    let other = place.path().join("data");
    draw_shapes(&other, 5);
    let mut arguments = vec!["train", "--recipe"];
    let recipe = recipe();
    arguments.extend([
        &recipe,
        "--data",
        text(&other),
        "--out",
        text(&out),
        "--resume",
    ]);
    arguments.extend(SHORT);
    run(&arguments).refused(1, &["another data set"]);

    // Nor begun a second time, nor resumed where there is nothing.
    train(&out, &[]).refused(1, &["already holds a training", "--resume"]);
    assert!(contents(&out) == before, "something was lost or written");
    let nowhere = place.path().join("nowhere");
    train(&nowhere, &["--resume"]).refused(1, &["no training", "nowhere"]);
    assert!(!nowhere.exists());

    // Data that has moved is the same data, and a finished run can be finished again.
    let moved = place.path().join("moved");
    copy(Path::new(data()), &moved);
    let at = arguments.iter().position(|a| *a == "--data").unwrap() + 1;
    arguments[at] = text(&moved);
    run(&arguments).ok();
    assert!(weights(&out) == weights(whole_run()));
    run(&arguments).ok();
    assert!(weights(&out) == weights(whole_run()));
}
