//! Sweeps: what they report, that they go on, and their parts.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::process::{ROOT, names, run, text, tiny_model};
use crate::support::{eval, eval_through, measured, store};

#[test]
fn a_sweep_writes_its_report_and_continues_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (short, long) = (folder.path().join("short"), folder.path().join("long"));
    eval(&short, "--guidance 0,2 --steps 2 --samples 70").ok();
    let reported = [
        "figures.json",
        "index.html",
        "plots",
        "report.md",
        "store",
        "table.csv",
    ];
    assert_eq!(names(&short), reported);

    let figures = measured(&short);
    let network = &figures["networks"][0];
    assert_eq!(network["distance"], "FD-shapes");
    assert_eq!(network["score"], "IS-shapes");
    assert_eq!(network["floor"]["images"], 45);
    assert!(
        network["floor"]["metrics"]["frechet_distance"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    let cells = network["cells"].as_array().unwrap();
    let evaluations: Vec<_> = cells
        .iter()
        .map(|c| c["evaluations"].as_u64().unwrap())
        .collect();
    assert_eq!(evaluations, [2, 4]);
    // The classifier knows the classes of the data, so it can say how often the model drew what was asked.
    assert!(cells.iter().all(|c| c["metrics"]["accuracy"].is_number()));

    let page = fs::read_to_string(short.join("index.html")).unwrap();
    assert!(page.contains("FD-shapes / IS-shapes") && page.contains("<svg"));
    assert!(
        !page.contains("src=\"http") && !page.contains("<link"),
        "one file"
    );
    let markdown = fs::read_to_string(short.join("report.md")).unwrap();
    for line in markdown.lines().filter_map(|l| l.split_once("](plots/")) {
        let file = line.1.trim_end_matches(')');
        assert!(short.join("plots").join(file).is_file(), "{file}");
    }
    let csv = fs::read_to_string(short.join("table.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 1 + 2);

    // A plot that only an earlier report had does not stay, and what is not the report's does.
    let earlier = short.join("plots/evaluations-w9-shapes.svg");
    let somebodys = short.join("plots/notes.svg");
    fs::write(&earlier, "<svg/>").unwrap();
    fs::write(&somebodys, "<svg/>").unwrap();

    // The same again does nothing over.
    let kept = store(&short);
    eval(&short, "--guidance 0,2 --steps 2 --samples 70").ok();
    assert!(kept == store(&short));
    assert_eq!(measured(&short), figures);
    assert!(!earlier.exists() && somebodys.exists());

    // More of it keeps what there is, and is the same as if it had been asked for at once.
    eval(&short, "--guidance 0,2,4 --steps 2 --samples 80").ok();
    eval(
        &long,
        "--guidance 0,2,4 --steps 2 --samples 80 --batch 3 --workers 1",
    )
    .ok();
    assert_eq!(measured(&short), measured(&long));
    let whole = |path: &Path| path.ends_with("00000.safetensors");
    let after = store(&short);
    assert!(
        kept.iter()
            .filter(|(path, _)| whole(path))
            .all(|(path, bytes)| after[path] == *bytes)
    );

    // A chunk that was damaged is made again.
    let damaged = after
        .keys()
        .find(|path| text(path).contains("samples"))
        .unwrap();
    fs::write(damaged, b"half a fi").unwrap();
    eval(&short, "--guidance 0,2,4 --steps 2 --samples 80").ok();
    assert_eq!(measured(&short), measured(&long));
}

#[test]
fn each_model_is_measured_with_each_guide() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("report");
    let guide = tiny_model();
    let guides = format!("--guide none --guide {guide}");
    eval(
        &out,
        &format!("{guides} --guidance 1 --steps 2 --samples 70"),
    )
    .ok();
    let figures = measured(&out);
    let labels: Vec<_> = figures["models"].as_array().unwrap().iter().collect();
    assert_eq!(labels[0]["label"], "tiny");
    assert_eq!(labels[1]["label"], "tiny guided by tiny");
    assert_eq!(
        (&labels[0]["guide"], &labels[1]["guide"]),
        (&Value::Null, &"tiny".into())
    );
    let cells = figures["networks"][0]["cells"].as_array().unwrap();
    assert_ne!(cells[0]["metrics"], cells[1]["metrics"]);
}

#[test]
fn parts_make_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sweep = "--guidance 0,1 --steps 2 --samples 70";
    eval(&path("whole"), sweep).ok();
    for part in ["1/2", "2/2"] {
        let out = path(&part.replace('/', "of"));
        eval(&out, &format!("{sweep} --shard {part}")).ok();
        assert_eq!(names(&out), ["store"]);
    }
    let (merged, first, second) = (path("merged"), path("1of2"), path("2of2"));
    let merge = |parts: &[&Path]| {
        let mut arguments = vec!["eval", "merge", "--out", text(&merged)];
        arguments.extend(parts.iter().map(|p| text(p)));
        run(&arguments)
    };
    merge(&[&first]).refused(1, &["chunks of the sweep are missing"]);
    merge(&[&first, &second]).ok();
    assert_eq!(measured(&merged), measured(&path("whole")));

    eval(
        &path("other"),
        "--guidance 3 --steps 2 --samples 70 --shard 2/2",
    )
    .ok();
    merge(&[&first, &path("other")]).refused(1, &["parts of different sweeps"]);
    merge(&[&path("nothing")]).refused(1, &["sweep.json", "is this a part of a sweep?"]);
    eval(&path("x"), &format!("{sweep} --shard 3/2")).refused(2, &["such as 1/4"]);
}

#[test]
fn parts_of_a_longer_sweep_fill_the_chunks_of_a_shorter_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (out, long) = (path("out"), "--guidance 1 --steps 1 --samples 45");
    eval(&out, "--guidance 1 --steps 1 --samples 40").ok();
    let parts = [path("1"), path("2")];
    for (part, shard) in parts.iter().zip(["1/2", "2/2"]) {
        eval(part, &format!("{long} --shard {shard}")).ok();
    }
    let [first, second] = parts.each_ref().map(|part| text(part));
    run(&["eval", "merge", "--out", text(&out), first, second]).ok();
    eval(&path("whole"), long).ok();
    assert_eq!(measured(&out), measured(&path("whole")));
    // And what the folder is for has changed with it.
    run(&["eval", "merge", "--out", text(&out)]).ok();
    assert_eq!(measured(&out), measured(&path("whole")));
}

/// The same file is asked once with bytes from 0 to 1 and once as they are: other questions, so other answers.
#[test]
fn answers_of_a_network_in_onnx_are_kept_by_how_images_are_put_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (out, fresh) = (folder.path().join("out"), folder.path().join("fresh"));
    let network = format!("{ROOT}/tests/fixtures/classifier.onnx");
    let asked = |out: &Path, input: &str| {
        let sweep = "--guidance 1 --steps 1 --samples 40";
        eval_through(out, &network, &format!("{sweep} --onnx-input {input}")).ok();
        measured(out)
    };
    let unit = asked(&out, "unit");
    let bytes = asked(&out, "bytes");
    assert_eq!(bytes, asked(&fresh, "bytes"));
    assert_ne!(bytes["networks"][0]["cells"], unit["networks"][0]["cells"]);
}

#[test]
fn samplers_steps_and_models_are_swept_and_every_class_counts() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (model, sweep) = (
        tiny_model(),
        "--guidance 1 --steps 2,4 --sampler ddim,ancestral",
    );
    let more = format!("--model {model} {sweep} --samples 48 --classes uniform");
    let ran = eval(&out, &format!("{more} --json")).ok();
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    let cells = said["networks"][0]["cells"].as_array().unwrap();
    let ways: Vec<_> = cells
        .iter()
        .map(|c| {
            (
                c["model"].as_u64(),
                c["sampler"].as_str(),
                c["steps"].as_u64(),
            )
        })
        .collect();
    assert_eq!(ways.len(), 8);
    // Two bundles of one name are told apart, and draw the same: they are one model.
    assert_eq!(said["models"][0]["label"], "tiny (1)");
    assert_eq!(said["models"][1]["label"], "tiny (2)");
    for k in 0..4 {
        assert_eq!(cells[k]["metrics"], cells[k + 4]["metrics"]);
    }
    let plots = names(&out.join("plots"));
    assert!(
        plots.iter().any(|name| name.starts_with("evaluations-w1")),
        "{plots:?}"
    );
}

/// Real images with noise or a blur are farther from the data than without, and with more of it farther still.
#[test]
fn noise_on_real_images_is_a_yardstick() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    eval(
        out,
        "--guidance 0 --steps 1 --samples 45 --noise 64,8 --blur 2,0.7",
    )
    .ok();
    let figures = measured(out);
    let network = &figures["networks"][0];
    let distance = |of: &Value| of["metrics"]["frechet_distance"].as_f64().unwrap();
    let noise = network["noise"].as_array().unwrap();
    let deviations: Vec<_> = noise.iter().map(|n| n["deviation"].as_f64()).collect();
    assert_eq!(deviations, [Some(8.0), Some(64.0)]);
    assert!(distance(&noise[0]) < distance(&noise[1]));
    assert!(distance(&network["floor"]) < distance(&noise[1]));
    let blur = network["blur"].as_array().unwrap();
    assert_eq!((&blur[0]["deviation"], blur.len()), (&0.7.into(), 2));
    assert!(distance(&network["floor"]) < distance(&blur[0]));
    assert!(distance(&blur[0]) < distance(&blur[1]));
    let spread = |of: &Value| {
        of["metrics"]["frechet_distance_deviation"]
            .as_f64()
            .unwrap()
    };
    assert!(spread(&network["floor"]) > 0.0 && spread(&network["cells"][0]) > 0.0);
    for file in ["report.md", "index.html", "table.csv"] {
        let text = fs::read_to_string(out.join(file)).unwrap();
        assert_eq!(text.matches("real with noise of ").count(), 2, "{file}");
        assert_eq!(text.matches("real with a blur of ").count(), 2, "{file}");
    }
    eval(&out.join("x"), "--guidance 0 --noise 0").refused(2, &["--noise 0", "more than 0"]);
    eval(&out.join("x"), "--guidance 0 --blur 65").refused(2, &["--blur 65", "at most 64 pixels"]);
}
