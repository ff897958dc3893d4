//! Students that are distilled from a guided model.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::*;
use crate::{distance, json};

/// Distils the tiny model in a few steps of four images, with `more` arguments.
fn distil(out: &Path, more: &[&str]) -> Ran {
    let tiny = tiny_model();
    distil_from(&tiny, out, &[&["--data", data()], more].concat())
}

fn distil_from(model: &str, out: &Path, more: &[&str]) -> Ran {
    let mut all = vec!["distill", "--model", model, "--out", text(out)];
    all.extend(["--device", "cpu", "--quiet"]);
    let set = "train.batch=4 train.checkpoint_every=4 train.sample_every=20 train.warmup=0 train.final_rate=1";
    all.extend(set.split(' ').flat_map(|set| ["--set", set]));
    all.extend(more);
    run(&all)
}

/// A bundle of a run.
fn export(run_folder: &Path, out: &Path) {
    run(&["export", "--run", text(run_folder), "--out", text(out)]).ok();
}

/// The pixels of six images with strength `w`, and the number of network evaluations of each.
fn drawn(model: &str, w: &str, place: &TempDir) -> (Vec<u8>, u64) {
    let out = place.path().join("drawn.png");
    let mut all = vec!["sample", "--model", model, "--guidance", w, "--count", "6"];
    all.extend(["--seed", "3", "--json", "--out", text(&out)]);
    let answer: Value = serde_json::from_str(&run(&all).ok().out).unwrap();
    let nfe = answer["nfe"].as_u64().unwrap();
    (image::open(&out).unwrap().to_rgb8().into_raw(), nfe)
}

/// The mean difference of two pictures, in 255ths.
fn off(a: &[u8], b: &[u8]) -> f64 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// The losses of a run.
fn losses(run_folder: &Path) -> Vec<f64> {
    let lines = fs::read_to_string(run_folder.join("metrics.jsonl")).unwrap();
    let loss = |line| serde_json::from_str::<Value>(line).unwrap()["loss"].as_f64();
    lines.lines().map(|line| loss(line).unwrap()).collect()
}

#[test]
fn a_student_begins_as_the_conditional_model_at_every_strength() {
    let place = tempfile::tempdir().unwrap();
    let (out, bundle) = (place.path().join("run"), place.path().join("bundle"));
    // A rate so small that the weights stay what they were.
    let still = [
        "--set",
        "train.steps=1",
        "--set",
        "train.learning_rate=1e-12",
    ];
    distil(&out, &still).ok();
    export(&out, &bundle);
    let config = json(&bundle.join("config.json"));
    assert_eq!(config["format_version"], 3);
    assert_eq!(config["name"], "tiny-student");
    assert_eq!(config["provenance"]["teacher"], "tiny");
    let input = json!({ "kind": "input", "min": -1.0, "max": 8.0 });
    assert_eq!(config["network"]["guidance"], input);
    let (conditional, _) = drawn(&tiny_model(), "0", &place);
    let (guided, twice) = drawn(&tiny_model(), "3", &place);
    for w in ["0", "3", "8"] {
        let (found, nfe) = drawn(text(&bundle), w, &place);
        assert!(off(&found, &conditional) < 0.1, "{w}");
        assert_eq!(twice, 2 * nfe);
    }
    assert!(off(&guided, &conditional) > 1.0);
    // The grid of the training shows both side by side.
    let grid = image::open(out.join("samples/step-00000001.png")).unwrap();
    assert!(grid.width() > grid.height() / 2, "{}", grid.width());
}

/// The student comes nearer to its teacher, as the loss says, w has an effect, and the student goes wherever a model goes.
#[test]
fn a_student_learns_the_guided_model() {
    let place = tempfile::tempdir().unwrap();
    let (out, bundle) = (place.path().join("run"), place.path().join("bundle"));
    let set = "train.steps=400 train.batch=16 train.learning_rate=2e-3 train.final_rate=0.02 train.ema_decay=0.9 \
               network.guidance.max=4";
    let set = set.split_whitespace().flat_map(|set| ["--set", set]);
    // On pictures of the teacher's own, which are what it is asked about when it draws.
    let all: Vec<&str> = ["--samples", "256"].into_iter().chain(set).collect();
    distil_from(&tiny_model(), &out, &all).ok();
    let losses = losses(&out);
    let (first, last) = (
        losses[0],
        losses[losses.len() - 3..].iter().sum::<f64>() / 3.0,
    );
    assert!(last < 0.6 * first, "{first} {last}");
    export(&out, &bundle);
    let bundle = text(&bundle);
    let (student, _) = drawn(bundle, "3", &place);
    let (weaker, _) = drawn(bundle, "0", &place);
    assert!(off(&student, &weaker) > 1.0, "w has no effect");
    // Its guided pictures are nearer to its teacher's than those of the conditional model, which it began as.
    let (guided, _) = drawn(&tiny_model(), "3", &place);
    let (conditional, _) = drawn(&tiny_model(), "0", &place);
    let (found, before) = (off(&student, &guided), off(&conditional, &guided));
    assert!(found < 0.8 * before, "{found} {before}");

    run(&["inspect", bundle]).ok();
    for format in ["onnx", "bundle"] {
        let to = place.path().join(format!("exported as {format}"));
        let all = [
            "export",
            "--model",
            bundle,
            "--out",
            text(&to),
            "--format",
            format,
        ];
        let answer = run(&[&all[..], &["--verify", "--json"]].concat()).ok().out;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        for row in answer["verified"]["predictions"].as_array().unwrap() {
            let relative = row["max"].as_f64().unwrap() / row["rms"].as_f64().unwrap();
            assert!(relative < 2e-4, "{format} {row}");
        }
    }
    let torch = place.path().join("torch");
    run(&[
        "export",
        "--model",
        bundle,
        "--out",
        text(&torch),
        "--format",
        "safetensors",
    ])
    .ok();
    let again = place.path().join("again");
    run(&[
        "import",
        "--from",
        "freeguide-torch",
        text(&torch),
        "--out",
        text(&again),
    ])
    .ok();
    assert_eq!(drawn(text(&again), "3", &place).0, student);
    let diffusers = [
        "export",
        "--model",
        bundle,
        "--format",
        "diffusers",
        "--out",
    ];
    let to = place.path().join("diffusers");
    run(&[&diffusers[..], &[text(&to)]].concat()).refused(1, &["guidance strength"]);
}

#[test]
fn a_distillation_is_resumed_to_the_same_weights() {
    let place = tempfile::tempdir().unwrap();
    let (whole, cut) = (place.path().join("whole"), place.path().join("cut"));
    distil(&whole, &["--set", "train.steps=6"]).ok();
    distil(&cut, &["--set", "train.steps=4"]).ok();
    distil(&cut, &["--set", "train.steps=6", "--resume"]).ok();
    let weights = |run: &Path| exported(run, &["--ema", "0"]);
    assert!(weights(&whole) == weights(&cut));
    // In two parts, the same within rounding.
    let parts = place.path().join("parts");
    distil(
        &parts,
        &["--set", "train.steps=6", "--set", "train.accumulate=2"],
    )
    .ok();
    assert!(distance(&weights(&whole), &weights(&parts)) < 1e-3);
    distil(&place.path().join("none"), &["--resume"]).refused(1, &["no training"]);
}

/// A run that goes on draws the trajectories that it needs again.
#[test]
fn a_distillation_on_trajectories_is_resumed_to_the_same_weights() {
    let place = tempfile::tempdir().unwrap();
    let distil = |name: &str, more: &str| {
        let out = place.path().join(name);
        let set = format!("distill.method=trajectories distill.trajectories=8 {more}");
        let set = set.split_whitespace().flat_map(|set| ["--set", set]);
        let all: Vec<&str> = ["--steps-max", "2"].into_iter().chain(set).collect();
        distil(&out, &all).ok();
        out
    };
    let whole = distil("whole", "train.steps=6");
    distil("cut", "train.steps=4");
    let out = place.path().join("cut");
    let more = "distill.method=trajectories distill.trajectories=8 train.steps=6";
    let set = more.split(' ').flat_map(|set| ["--set", set]);
    let all: Vec<&str> = ["--steps-max", "2", "--resume"]
        .into_iter()
        .chain(set)
        .collect();
    self::distil(&out, &all).ok();
    let weights = |run: &Path| exported(run, &["--ema", "0"]);
    assert!(weights(&whole) == weights(&out));
    let parts = distil("parts", "train.steps=6 train.accumulate=2");
    assert!(distance(&weights(&whole), &weights(&parts)) < 1e-3);
    let none = ["--steps-max", "2", "--set", "distill.trajectories=0"];
    self::distil(&place.path().join("none"), &none).refused(2, &["distill.trajectories"]);
}

#[test]
fn without_data_the_teacher_draws() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let more = ["--samples", "12", "--set", "train.steps=2"];
    distil_from(&tiny_model(), &out, &more).ok();
    let info = json(&out.join("run.json"));
    assert_eq!(info["class_counts"], json!([4, 4, 4]));
    distil_from(&tiny_model(), &out, &[&more[..], &["--resume"]].concat()).ok();
}

/// A copy of the tiny model whose configuration is changed.
fn changed(place: &TempDir, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let folder = place.path().join(name);
    copy(Path::new(&tiny_model()), &folder);
    let mut config = json(&folder.join("config.json"));
    change(&mut config);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder
}

#[test]
fn what_cannot_be_distilled_is_refused_before_anything_is_computed() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let refused = |model: &Path, more: &[&str], words: &[&str]| {
        distil_from(text(model), &out, more).refused(1, words);
        assert!(!out.exists());
    };
    let tiny = tiny_model();
    let tiny = Path::new(&tiny);
    let conditional = changed(&place, "conditional", |config| {
        config["format_version"] = json!(2);
        config["null_class"] = json!(false);
        config["sampling"]["guidance"] = json!(0.0);
    });
    refused(&conditional, &[], &["has no null class"]);
    let policy = changed(&place, "policy", |config| {
        config["sampling"]["guidance_policy"] = json!({ "kind": "cfg", "rescale": 0.5 });
    });
    refused(&policy, &[], &["only the paper's mix can be distilled"]);
    let others = place.path().join("others");
    draw_shapes(&others, 2);
    fs::rename(others.join("disc"), others.join("circle")).unwrap();
    let words = ["circle, square, triangle", "disc, square, triangle"];
    refused(tiny, &["--data", text(&others)], &words);

    let range = ["--set", "network.guidance.max=0.5"];
    distil_from(text(tiny), &out, &range).refused(2, &["guidance is 1.0", "from -1 to 0.5"]);
    let low = ["--set", "network.guidance.min=0.5"];
    distil_from(text(tiny), &out, &low).refused(2, &["network.guidance", "must contain 0"]);
    assert!(!out.exists());
}

#[test]
fn a_student_refuses_what_it_was_not_made_for() {
    let place = tempfile::tempdir().unwrap();
    let (out, bundle) = (place.path().join("run"), place.path().join("bundle"));
    distil(&out, &["--set", "train.steps=1"]).ok();
    export(&out, &bundle);
    let picture = place.path().join("picture.png");
    let sample = |more: &[&str]| {
        let all = ["sample", "--model", text(&bundle), "--out", text(&picture)];
        run(&[&all[..], more].concat())
    };
    sample(&["--guidance", "9"]).refused(2, &["guidance is 9.0", "from -1 to 8"]);
    sample(&["--guidance", "-2"]).refused(2, &["guidance is -2.0"]);
    sample(&["--guidance-policy", "apg"])
        .refused(2, &["guidance_policy apg", "takes w as an input"]);
    sample(&["--guidance-rescale", "0.5"]).refused(2, &["guidance_policy.rescale"]);
    sample(&["--guidance-interval", "-3,3"]).refused(2, &["guidance_interval"]);
    assert!(!picture.exists());

    let again = place.path().join("again");
    distil_from(text(&bundle), &again, &[]).refused(1, &["is a student already"]);
    let tuned = place.path().join("tuned");
    train(&tuned, &["--init", text(&bundle)]).refused(1, &["takes w as an input"]);
    let guidance = "network.guidance={ kind = \"input\", min = -1, max = 8 }";
    train(&tuned, &["--set", guidance]).refused(2, &["freeguide distill --model"]);
}

/// Few steps, by every method: a start that draws at all, a loss that falls, and the same weights after a cut.
#[test]
fn a_student_of_few_steps_learns_from_a_teacher_or_from_another_student() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    distil(&at("one pass"), &["--set", "train.steps=2"]).ok();
    export(&at("one pass"), &at("student"));
    for (method, teacher) in [
        ("trajectories", tiny_model()),
        ("rollout", tiny_model()),
        ("bootstrap", text(&at("student")).to_owned()),
        ("consistency", text(&at("student")).to_owned()),
    ] {
        let out = at(method);
        let method = format!("distill.method={method}");
        let data = ["--data", data(), "--steps-max", "4", "--set", &method];
        let rate = "train.steps=100 train.batch=16 train.learning_rate=2e-3 train.ema_decay=0.9 \
                    distill.trajectories=64";
        let rate: Vec<&str> = rate.split(' ').flat_map(|set| ["--set", set]).collect();
        distil_from(&teacher, &out, &[&data[..], &rate].concat()).ok();
        let losses = losses(&out);
        let last = losses[losses.len() - 3..].iter().sum::<f64>() / 3.0;
        assert!(last < 0.9 * losses[0], "{method}: {losses:?}");
    }
    let (out, bundle) = (at("rollout"), at("bundle"));
    export(&out, &bundle);
    let config = json(&bundle.join("config.json"));
    assert_eq!(config["network"]["flow_map"], json!({ "max_steps": 4 }));
    assert_eq!(config["sampling"]["steps"], 4);
    let bundle = text(&bundle);
    for steps in ["1", "2", "4"] {
        let picture = at("picture.png");
        let all = ["sample", "--model", bundle, "--steps", steps, "--json"];
        let answer = run(&[&all[..], &["--out", text(&picture)]].concat())
            .ok()
            .out;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["nfe"].to_string(), steps);
    }
    let refused = |more: &[&str], words: &[&str]| {
        let all = ["sample", "--model", bundle, "--out", text(&out)];
        run(&[&all[..], more].concat()).refused(2, words);
    };
    refused(&["--steps", "3"], &["steps is 3", "1, 2 or 4"]);
    refused(
        &["--sampler", "heun"],
        &["sampler heun", "distilled to few steps"],
    );
    refused(&["--grid", "karras"], &["levels of its own"]);
    let more = ["--steps-max", "4", "--data", data()];
    distil_from(bundle, &at("again"), &more).refused(1, &["student of few steps already"]);
    let bad = ["--steps-max", "3", "--data", data()];
    distil_from(&tiny_model(), &at("bad"), &bad).refused(1, &["a power of two"]);
    let onnx = at("onnx");
    let all = [
        "export", "--model", bundle, "--format", "onnx", "--verify", "--json",
    ];
    let answer = run(&[&all[..], &["--out", text(&onnx)]].concat()).ok().out;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    for row in answer["verified"]["predictions"].as_array().unwrap() {
        let relative = row["max"].as_f64().unwrap() / row["rms"].as_f64().unwrap();
        assert!(relative < 2e-4, "{row}");
    }
}
