//! `freeguide eval`, `classifier` and `toy` as processes: what they write, what they refuse, and that a sweep in parts is
//! the sweep.

#[path = "common/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use process::{Ran, draw_shapes, names, run, text, tiny_model};
use serde_json::Value;
use tempfile::TempDir;

/// Images of each class of the data set.
const OF_CLASS: u32 = 30;

/// A data set of the tiny model's classes, and a classifier of it that takes seconds to train.
fn world() -> &'static Path {
    static WORLD: OnceLock<TempDir> = OnceLock::new();
    let folder = WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = (
            folder.path().join("data"),
            folder.path().join("shapes.safetensors"),
        );
        draw_shapes(&data, OF_CLASS);
        classifier(&data, &file).ok();
        folder
    });
    folder.path()
}

fn data() -> String {
    text(&world().join("data")).to_owned()
}

fn network() -> String {
    text(&world().join("shapes.safetensors")).to_owned()
}

fn classifier(data: &Path, out: &Path) -> Ran {
    let settings = "--size 8 --width 4 --epochs 12 --batch 16 --learning-rate 0.01 --quiet --json";
    let mut arguments = vec!["classifier", "--data", text(data), "--out", text(out)];
    arguments.extend(settings.split(' '));
    run(&arguments)
}

/// A sweep into `out`, with `more` arguments.
fn eval(out: &Path, more: &str) -> Ran {
    let (model, data, network) = (tiny_model(), data(), network());
    let mut arguments = vec![
        "eval",
        "--model",
        &model,
        "--data",
        &data,
        "--features",
        &network,
        "--out",
        text(out),
        "--splits",
        "2",
    ];
    arguments.extend(more.split(' ').filter(|word| !word.is_empty()));
    run(&arguments)
}

/// What was measured, without the times.
fn measured(out: &Path) -> Value {
    let json = fs::read_to_string(out.join("figures.json")).unwrap();
    let mut figures: Value = serde_json::from_str(&json).unwrap();
    figures["command"] = Value::Null;
    for network in figures["networks"].as_array_mut().unwrap() {
        network["images_per_second"] = Value::Null;
        for cell in network["cells"].as_array_mut().unwrap() {
            assert!(cell["images_per_second"].as_f64().unwrap() > 0.0);
            cell["images_per_second"] = Value::Null;
        }
    }
    figures
}

/// Every file of the store with its bytes.
fn store(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    process::contents(&out.join("store"))
}

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

/// A small sweep with `more`, into a folder that is thrown away.
/// Real images with noise are farther from the data than without, and with more noise farther still.
#[test]
fn noise_on_real_images_is_a_yardstick() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    eval(out, "--guidance 0 --steps 1 --samples 45 --noise 64,8").ok();
    let figures = measured(out);
    let network = &figures["networks"][0];
    let distance = |of: &Value| of["metrics"]["frechet_distance"].as_f64().unwrap();
    let noise = network["noise"].as_array().unwrap();
    let deviations: Vec<_> = noise.iter().map(|n| n["deviation"].as_f64()).collect();
    assert_eq!(deviations, [Some(8.0), Some(64.0)]);
    assert!(distance(&noise[0]) < distance(&noise[1]));
    assert!(distance(&network["floor"]) < distance(&noise[1]));
    for file in ["report.md", "index.html", "table.csv"] {
        let text = fs::read_to_string(out.join(file)).unwrap();
        assert_eq!(text.matches("real with noise of ").count(), 2, "{file}");
    }
    eval(&out.join("x"), "--guidance 0 --noise 0").refused(2, &["--noise 0", "more than 0"]);
}

fn small(more: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    eval(&folder.path().join("out"), &format!("--steps 1 {more}"))
}

/// The tiny model against `data`.
fn against(data: &Path) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let (model, network) = (tiny_model(), network());
    run(&[
        "eval",
        "--model",
        &model,
        "--features",
        &network,
        "--data",
        text(data),
        "--out",
        text(&folder.path().join("out")),
        "--samples",
        "20",
    ])
}

#[test]
fn too_few_images_for_a_covariance_are_refused() {
    let few = ["--samples 16 is too few", "16 features", "at least 17"];
    small("--guidance 0 --samples 16").refused(1, &few);
    let few = ["--samples 60 is too few", "ResNet20", "at least 65"];
    small("--guidance 0 --samples 60 --features resnet20").refused(1, &few);
    let few = ["has 90 images", "64 features of ResNet20", "at least 130"];
    small("--guidance 0 --samples 70 --features resnet20").refused(1, &few);
}

#[test]
fn an_unknown_feature_network_and_values_out_of_range_are_refused() {
    small("--guidance 0 --samples 60 --features resnet21")
        .refused(1, &["no feature network \"resnet21\""]);
    small("--guidance 0 --samples 0").refused(2, &["--samples"]);
    small("--guidance 1e9").refused(2, &["--guidance"]);
}

#[test]
fn other_weights_than_those_that_define_fid_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("pt_inception-2015-12-05-6726825d.pth");
    fs::write(&weights, b"other weights").unwrap();
    small(&format!("--samples 60 --features {}", text(&weights))).refused(
        1,
        &[
            "SHA-256",
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ],
    );
}

#[test]
fn a_data_set_of_other_classes_than_the_models_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    draw_shapes(&other, 3);
    fs::rename(other.join("disc"), other.join("circle")).unwrap();
    against(&other).refused(
        1,
        &[
            "the model does not know \"circle\"",
            "the data set has no \"disc\"",
        ],
    );
}

#[test]
fn images_that_cannot_be_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    draw_shapes(&other, 3);
    for entry in fs::read_dir(other.join("disc")).unwrap() {
        fs::write(entry.unwrap().path(), b"no picture").unwrap();
    }
    against(&other).refused(1, &["none of the 3 images of class \"disc\" can be read"]);
    against(&folder.path().join("nowhere")).refused(1, &["nowhere does not exist"]);
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
    let why = "There is no class accuracy by ResNet20: its 10 classes do not match those of the data set, of which it \
        does not know \"disc\", \"square\", \"triangle\".";
    assert!(ran.err.contains(why), "{}", ran.err);
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains(why), "{markdown}");
    let figures = measured(&out);
    assert!(figures["networks"][0]["cells"][0]["metrics"]["accuracy"].is_null());
}

#[test]
fn the_toy_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toy/toy.svg");
    run(&[
        "toy",
        "--out",
        text(&file),
        "--samples",
        "60",
        "--steps",
        "8",
        "--guidance",
        "0,4",
    ])
    .ok();
    let svg = fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("w = 4") && !svg.contains("w = 2"));
    run(&["toy", "--out", text(&file), "--guidance", "-3"]).refused(2, &["from −1"]);
}

/// `export --verify --data` draws what `eval` draws, and states the same distances.
#[test]
fn the_cost_of_an_export_is_the_difference_of_two_evaluations() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let (model, data, network) = (tiny_model(), data(), network());
    let export = |dtype: &str, format: &str| -> Value {
        let place = out(&format!("{format}-{dtype}"));
        let ran = run(&[
            "export",
            "--model",
            &model,
            "--out",
            text(&place),
            "--format",
            format,
            "--dtype",
            dtype,
            "--verify",
            "--data",
            &data,
            "--features",
            &network,
            "--samples",
            "70",
            "--json",
        ]);
        let answer: Value = serde_json::from_str(&ran.ok().out).unwrap();
        answer["verified"]["fidelity"][0].clone()
    };
    let number = |of: &Value, key: &str| of[key].as_f64().unwrap();

    let same = export("f32", "bundle");
    assert_eq!(same["change"], 0.0);
    let int8 = export("int8", "bundle");
    assert_eq!(int8["distance"], "FD-shapes");
    assert_eq!(
        (&int8["samples"], &int8["real_images"]),
        (&70.into(), &90.into())
    );
    assert_eq!(int8["before"], same["before"]);
    let (before, after) = (number(&int8, "before"), number(&int8, "after"));
    assert!(after != before);
    assert!((number(&int8, "change") - (after - before)).abs() < 1e-9 * before);

    for (bundle, stated) in [
        (model.clone(), before),
        (text(&out("bundle-int8")).to_owned(), after),
    ] {
        let report = folder.path().join("report");
        let ran = run(&[
            "eval",
            "--model",
            &bundle,
            "--data",
            &data,
            "--features",
            &network,
            "--samples",
            "70",
            "--guidance",
            "1",
            "--splits",
            "2",
            "--out",
            text(&report),
            "--json",
        ]);
        let figures: Value = serde_json::from_str(&ran.ok().out).unwrap();
        let metrics = &figures["networks"][0]["cells"][0]["metrics"];
        let evaluated = number(metrics, "frechet_distance");
        assert!(
            (evaluated / stated - 1.0).abs() < 1e-3,
            "{evaluated} {stated}"
        );
    }

    // By tract, whose sums have another order.
    let onnx = export("f32", "onnx");
    let change = number(&onnx, "change");
    assert!(change.abs() < 0.02 * before, "{change} of {before}");

    let unused = out("x");
    let alone = run(&[
        "export",
        "--model",
        &model,
        "--out",
        text(&unused),
        "--data",
        &data,
    ]);
    // The missing argument has a line of its own.
    assert!(alone.err.contains("--verify"), "{}", alone.err);
    alone.refused(2, &[]);
}
