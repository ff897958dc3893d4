//! What a training will take, said before it is begun.

use serde_json::Value;

use crate::process::*;

const STEPS: [&str; 4] = ["--set", "train.steps=40", "--set", "train.batch=4"];

fn plan(more: &[&str]) -> Ran {
    let recipe = recipe();
    let mut arguments = vec!["plan", "--recipe", &recipe, "--data", data()];
    arguments.extend(STEPS);
    arguments.extend(["--device", "cpu", "--steps", "2"]);
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn a_plan_says_what_the_training_takes() {
    let text = plan(&[]).ok().out;
    let starts = [
        "time ", "images ", "network ", "memory ", "disk ", "bundle ",
    ];
    let lines: Vec<&str> = text.lines().collect();
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{text}");
    }
    assert!(
        text.contains("160 seen: each of 18 about 8.9 times"),
        "{text}"
    );
    let warnings = &lines[starts.len()..];
    assert!(
        warnings
            .iter()
            .any(|line| line
                .starts_with("warning: disc and 2 other classes have fewer than 50 images")),
        "{text}"
    );
}

#[test]
fn a_plan_in_json_agrees_with_the_run() {
    let planned: Value = serde_json::from_str(&plan(&["--json"]).ok().out).unwrap();
    let info = std::fs::read(whole_run().join("run.json")).unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(planned["parameters"], info["parameters"]);
    assert_eq!(planned["step_seconds"].as_array().unwrap().len(), 2);
    let used: u64 = std::fs::read_dir(whole_run().join("checkpoints"))
        .unwrap()
        .flat_map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap())
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    let disk = planned["disk_bytes"].as_u64().unwrap();
    assert!(used <= disk, "{used} bytes of checkpoints, {disk} planned");
    let total = planned["seconds"].as_f64().unwrap();
    let steps = planned["step_seconds"].as_array().unwrap().iter();
    let shortest = steps.filter_map(Value::as_f64).fold(f64::MAX, f64::min);
    assert!(total >= 40.0 * shortest, "{planned}");
}

#[test]
fn a_plan_refuses_what_a_training_refuses() {
    plan(&["--set", "train.batch=0"]).refused(2, &["train.batch must be from 1"]);
    plan(&["--steps", "0"]).refused(2, &["--steps"]);
}
