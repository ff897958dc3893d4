//! Data sets in every layout, read by the command `freeguide` as a process. The fixtures and what they come to are made
//! by tests/data/make.py, with other people's libraries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The layouts that hold the same images in the same order, with the first line that each is announced by.
const LAYOUTS: [(&str, &str); 6] = [
    ("folders", "class folders"),
    ("cifar", "2 binary batches of CIFAR-10"),
    ("shards", "2 tar shards"),
    ("shards-json", "2 tar shards"),
    (
        "hub",
        "2 Parquet files of the part \"train\" (not test-00000-of-00001.parquet) with images in img and labels in label",
    ),
    (
        "plain",
        "1 Parquet file with images in picture and labels in kind",
    ),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/data").join(name)
}

/// A file of a fixture's folder, in a folder of its own, to be damaged.
fn copy(folder: &str, into: &Path) {
    fs::create_dir_all(into).unwrap();
    for entry in fs::read_dir(fixture(folder)).unwrap() {
        let from = entry.unwrap().path();
        if from.is_file() {
            fs::copy(&from, into.join(from.file_name().unwrap())).unwrap();
        }
    }
}

struct Ran {
    code: Option<i32>,
    err: String,
}

impl Ran {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// Asserts a failure, with one line of error that holds all of `words`.
    #[track_caller]
    fn refused(self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.err);
        let line = self.err.lines().find(|line| line.starts_with("error: "));
        let line = line.unwrap_or_else(|| panic!("no error line in: {}", self.err));
        for word in words {
            assert!(line.contains(word), "{word:?} is not in: {line}");
        }
    }
}

/// The settings that a layout needs: one fixture has two columns that could be labels.
fn settings(layout: &str) -> &'static [&'static str] {
    match layout.starts_with("plain") {
        true => &["data.label_column=kind"],
        false => &[],
    }
}

/// Trains for `steps` steps of 6 of the 12 images, at 32×32 pixels.
fn train(data: &Path, out: &Path, steps: u64, set: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freeguide"));
    command.stdin(Stdio::null()).arg("train");
    command.args(["--device", "cpu", "--recipe"]);
    command.arg(format!("{ROOT}/tests/fixtures/tiny.toml"));
    command.arg("--data").arg(data).arg("--out").arg(out);
    let steps = format!("train.steps={steps}");
    let small = [
        "data.size=32",
        "network.base_channels=4",
        "network.attention_resolutions=[]",
        "train.batch=6",
        "train.warmup=1",
        "train.checkpoint_every=1000",
        "train.sample_every=1000",
        "sampling.steps=1",
        &steps,
    ];
    for value in small.iter().chain(set) {
        command.args(["--set", value]);
    }
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(!err.contains("panicked"), "{err}");
    Ran {
        code: output.status.code(),
        err,
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The weights that a run exports.
fn weights(run: &Path) -> Vec<u8> {
    let bundle = run.join("bundle");
    let mut command = Command::new(env!("CARGO_BIN_EXE_freeguide"));
    command.arg("export").arg("--run").arg(run);
    command.arg("--out").arg(&bundle);
    assert!(command.output().unwrap().status.success());
    fs::read(bundle.join("model.safetensors")).unwrap()
}

/// The losses of a run.
fn losses(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["loss"].as_f64().unwrap()).collect()
}

#[test]
fn every_layout_comes_to_the_same_images_and_labels() {
    let expected = json(&fixture("expected.json"));
    let folder = TempDir::new().unwrap();
    for (layout, description) in LAYOUTS {
        let out = folder.path().join(layout);
        let ran = train(&fixture(layout), &out, 1, settings(layout)).ok();
        let first = ran.err.lines().find(|line| !line.starts_with("warning: "));
        assert!(first.unwrap().contains(description), "{}", ran.err);
        assert!(
            ran.err.contains("12 images of 3 classes, 3 to 5 each:"),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("  41.7 %  bird"), "{}", ran.err);
        let info = json(&out.join("run.json"));
        assert_eq!(info["data_fingerprint"], expected["whole"], "{layout}");
        assert_eq!(info["classes"], serde_json::json!(["bird", "cat", "dog"]));
    }
}

#[test]
fn classes_can_have_other_names_in_every_layout() {
    let folder = TempDir::new().unwrap();
    let renamed = "data.class_names={ cat = 'Egyptian cat', dog = 'bird', bird = 'albatross' }";
    for (layout, _) in LAYOUTS {
        for (place, memory) in [("memory", "data.memory=64"), ("streamed", "data.memory=0")] {
            let out = folder.path().join(format!("{layout}-{place}"));
            let set = [settings(layout), &[renamed, memory]].concat();
            train(&fixture(layout), &out, 1, &set).ok();
            let classes = &json(&out.join("run.json"))["classes"];
            let expected = serde_json::json!(["albatross", "Egyptian cat", "bird"]);
            assert_eq!(*classes, expected, "{layout}");
        }
    }
    let out = folder.path().join("refused");
    let refused = |names: &str, words: &[&str]| {
        let set = format!("data.class_names={names}");
        train(&fixture("folders"), &out, 1, &[&set]).refused(words);
        assert!(!out.exists());
    };
    refused(
        "{ wolf = 'dog' }",
        &["no class", "\"wolf\"", "bird, cat, dog"],
    );
    refused(
        "{ cat = 'dog' }",
        &["classes 1 and 2 are both called \"dog\""],
    );
}

#[test]
fn the_test_part_is_chosen_by_name() {
    let expected = json(&fixture("expected.json"));
    let folder = TempDir::new().unwrap();
    for layout in ["cifar", "hub"] {
        let out = folder.path().join(layout);
        train(&fixture(layout), &out, 1, &["data.split=test"]).ok();
        let info = json(&out.join("run.json"));
        assert_eq!(info["data_fingerprint"], expected["test"], "{layout}");
    }
    let out = folder.path().join("none");
    train(&fixture("hub"), &out, 1, &["data.split=validation"]).refused(&[
        "no part \"validation\"",
        "test-00000-of-00001.parquet",
        "data.split",
    ]);
    train(&fixture("folders"), &out, 1, &["data.split=test"])
        .refused(&["split is \"test\"", "not a data set of parts"]);
}

#[test]
fn a_single_file_or_a_range_of_shards_is_a_data_set() {
    let folder = TempDir::new().unwrap();
    let expected = json(&fixture("expected.json"));
    for (path, images) in [
        ("shards/set-{000000..000001}.tar", 12),
        ("shards/set-000000.tar", 7),
        ("plain/pictures.parquet", 12),
    ] {
        let out = folder.path().join(path.replace(['/', '{', '}'], "-"));
        let ran = train(&fixture(path), &out, 1, settings(path)).ok();
        assert!(
            ran.err.contains(&format!("{images} images of 3 classes")),
            "{}",
            ran.err
        );
        if images == 12 {
            assert_eq!(
                json(&out.join("run.json"))["data_fingerprint"],
                expected["whole"]
            );
        }
    }
    let missing = fixture("shards/set-{000000..000002}.tar");
    train(&missing, &folder.path().join("x"), 1, &[]).refused(&["set-000002.tar"]);
}

#[test]
fn streamed_and_in_memory_end_with_the_same_weights() {
    let folder = TempDir::new().unwrap();
    let memory = folder.path().join("memory");
    // Over several epochs, with batches that reach from one into the next.
    let flip = "data.flip=true";
    train(&fixture("folders"), &memory, 10, &[flip, "train.batch=5"]).ok();
    for layout in ["folders", "cifar", "shards", "hub"] {
        let out = folder.path().join(layout);
        let set = [flip, "train.batch=5", "data.memory=0", "data.workers=2"];
        let ran = train(&fixture(layout), &out, 10, &set).ok();
        assert!(
            ran.err.lines().any(|line| line.contains(", streamed")),
            "{}",
            ran.err
        );
        assert_eq!(losses(&out), losses(&memory), "{layout}");
        assert!(weights(&out) == weights(&memory), "{layout}");
    }
}

#[test]
fn a_bad_image_is_named_and_skipped_in_memory_and_streamed() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    copy("shards", &data);
    // The second member of the second shard is an image: its PNG signature is broken.
    let shard = data.join("set-000001.tar");
    let mut bytes = fs::read(&shard).unwrap();
    let at = bytes.windows(4).position(|w| w == b"\x89PNG").unwrap();
    bytes[at] = 0;
    fs::write(&shard, bytes).unwrap();
    for (name, memory) in [
        ("memory", "data.memory=2048"),
        ("streamed", "data.memory=0"),
    ] {
        let ran = train(&data, &folder.path().join(name), 4, &[memory]).ok();
        let named: Vec<&str> = ran
            .err
            .lines()
            .filter(|line| line.starts_with("warning: skipped "))
            .collect();
        let [line] = named[..] else {
            panic!("{}", ran.err);
        };
        assert!(
            line.contains("set-000001.tar/0007.png: not a PNG, JPEG, WebP, GIF, BMP or TIFF"),
            "{line}"
        );
    }
}

#[test]
fn too_many_bad_images_stop_a_streamed_training() {
    let folder = TempDir::new().unwrap();
    for class in ["a", "b"] {
        fs::create_dir_all(folder.path().join("data").join(class)).unwrap();
        for number in 0..40 {
            let file = folder
                .path()
                .join("data")
                .join(class)
                .join(format!("{number:02}.png"));
            match number % 3 {
                0 => drop(fs::copy(fixture("folders/dog/08.png"), file).unwrap()),
                _ => fs::write(file, "bad").unwrap(),
            }
        }
    }
    let set = ["data.memory=0", "train.batch=64"];
    train(
        &folder.path().join("data"),
        &folder.path().join("out"),
        4,
        &set,
    )
    .refused(&[
        "images cannot be read",
        ".png: not a PNG, JPEG, WebP, GIF, BMP or TIFF image",
    ]);
}

#[test]
fn a_torn_file_is_an_error_in_words() {
    let folder = TempDir::new().unwrap();
    for (layout, file) in [
        ("shards", "set-000001.tar"),
        ("plain", "pictures.parquet"),
        ("cifar", "data_batch_2.bin"),
    ] {
        let data = folder.path().join(layout);
        copy(layout, &data);
        let whole = fs::read(data.join(file)).unwrap();
        // An archive is padded with zeros, which nobody misses: cut within what counts.
        let end = whole.iter().rposition(|&byte| byte != 0).unwrap();
        for keep in [end - 100, end / 2, 700] {
            fs::write(data.join(file), &whole[..keep]).unwrap();
            train(&data, &folder.path().join("out"), 1, &[])
                .refused(&[file, "is damaged or was not copied whole: "]);
        }
    }
    // Nothing but the end is missing from the archive.
    let data = folder.path().join("end");
    copy("shards", &data);
    let shard = data.join("set-000001.tar");
    let whole = fs::read(&shard).unwrap();
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap() / 512 * 512 + 512;
    fs::write(&shard, &whole[..end]).unwrap();
    train(&data, &folder.path().join("out"), 1, &[])
        .refused(&["the end of the archive is missing"]);
}

#[test]
fn pages_of_a_parquet_file_that_are_damaged_are_bad_images() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    copy("plain", &data);
    let file = data.join("pictures.parquet");
    let mut bytes = fs::read(&file).unwrap();
    // A compressed page of images near the beginning loses its magic number.
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let at = bytes.windows(4).position(|w| w == magic).unwrap();
    bytes[at] ^= 0xff;
    fs::write(&file, bytes).unwrap();
    let out = folder.path().join("out");
    let ran = train(&data, &out, 1, settings("plain"));
    assert!(ran.err.contains("pictures.parquet, row 0: "), "{}", ran.err);
}

#[test]
fn columns_that_are_not_clear_are_asked_for() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    train(&fixture("hub"), &out, 1, &["data.image_column=image"]).refused(&[
        "data.image_column is \"image\"",
        "columns that could hold them: img",
    ]);
    train(&fixture("plain"), &out, 1, &["data.label_column=pages"])
        .refused(&["data.label_column is \"pages\"", "kind, page"]);
    train(&fixture("plain"), &out, 1, &[]).refused(&[
        "which column holds the labels is not clear",
        "kind, page; --set data.label_column=NAME",
    ]);
    train(
        &fixture("shards-json"),
        &folder.path().join("c"),
        1,
        &["data.label_column=caption"],
    )
    .ok();
    train(
        &fixture("shards-json"),
        &folder.path().join("d"),
        1,
        &["data.label_column=absent"],
    )
    .refused(&["none of 12 images", "has a label"]);
}

#[test]
fn images_without_a_label_are_left_out() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let ran = train(&fixture("plain"), &out, 1, settings("plain")).ok();
    assert!(
        ran.err
            .contains("warning: left out 1 image without a label, such as "),
        "{}",
        ran.err
    );
    assert!(
        ran.err
            .contains("pictures.parquet, row 13: it has no bytes"),
        "{}",
        ran.err
    );
}

#[test]
fn what_is_no_data_set_is_said_plainly() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let both = folder.path().join("both");
    copy("shards", &both);
    copy("plain", &both);
    train(&both, &out, 1, &[]).refused(&["archives as well as .parquet files"]);
    let packed = folder.path().join("set.7z");
    fs::write(&packed, "x").unwrap();
    train(&packed, &out, 1, &[]).refused(&["a .parquet or an .npz file; unpack it first"]);
    train(&folder.path().join("nowhere"), &out, 1, &[]).refused(&["does not exist"]);
    // A label that is no class.
    let data = folder.path().join("shards");
    copy("shards", &data);
    fs::write(data.join("classes.txt"), "bird\ncat\n").unwrap();
    train(&data, &out, 1, &[]).refused(&["0008.png has the label \"2\", and there are 2 classes"]);
}

/// Draws from the tiny model into `out`.
fn sample(out: &Path, more: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freeguide"));
    command.stdin(Stdio::null()).arg("sample");
    command.args(["--device", "cpu", "--steps", "1", "--seed", "3", "--model"]);
    command.arg(format!("{ROOT}/tests/fixtures/tiny-model"));
    let output = command.arg("--out").arg(out).args(more).output().unwrap();
    Ran {
        code: output.status.code(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn what_was_drawn_can_be_trained_on() {
    let folder = TempDir::new().unwrap();
    let place = |name: &str| folder.path().join(name);
    let more = ["--count", "230"];
    fs::create_dir(place("drawn")).unwrap();
    sample(&place("drawn/"), &more).ok();
    let mut prints = Vec::new();
    for (name, description) in [
        (
            "drawn.parquet",
            "1 Parquet file with images in image and labels in label",
        ),
        ("drawn.tar", "1 tar shard"),
    ] {
        sample(&place(name), &more).ok();
        let whole = fs::read(place(name)).unwrap();
        // A set holds the files that a folder has, and is the same however many are drawn at a time.
        for file in ["drawn/00000.png", "drawn/00150.png", "drawn/00229.png"] {
            let png = fs::read(place(file)).unwrap();
            assert!(whole.windows(png.len()).any(|part| part == png), "{file}");
        }
        sample(&place(name), &["--count", "230", "--batch", "7"]).ok();
        assert!(fs::read(place(name)).unwrap() == whole, "{name}");

        let out = place(&format!("run-{name}"));
        let ran = train(&place(name), &out, 1, &["data.size=8"]).ok();
        assert!(ran.err.contains(description), "{}", ran.err);
        assert!(!ran.err.contains("warning"), "{}", ran.err);
        let counts = "230 images of 3 classes, 76 to 77 each";
        assert!(ran.err.contains(counts), "{}", ran.err);
        let info = json(&out.join("run.json"));
        let classes = serde_json::json!(["disc", "square", "triangle"]);
        assert_eq!(info["classes"], classes);
        prints.push(info["data_fingerprint"].clone());
    }
    assert_eq!(prints[0], prints[1]);
}

#[test]
fn images_of_the_unconditional_model_have_no_label() {
    let folder = TempDir::new().unwrap();
    for name in ["drawn.parquet", "drawn.tar"] {
        let out = folder.path().join(name);
        let classes = ["--class", "none", "--class", "square", "--count", "6"];
        sample(&out, &classes).ok();
        let run = folder.path().join(format!("run-{name}"));
        let ran = train(&out, &run, 1, &["data.size=8", "train.batch=2"]).ok();
        let told = "left out 3 images without a label";
        assert!(ran.err.contains(told), "{}", ran.err);
    }
}

#[test]
fn a_set_that_cannot_be_drawn_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("drawn.parquet");
    fs::write(&out, "old").unwrap();
    assert_eq!(sample(&out, &["--class", "zebra"]).code, Some(2));
    assert_eq!(fs::read(&out).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let below = out.join("drawn.tar");
    sample(&below, &[]).refused(&["cannot create the folder", "drawn.parquet"]);
}
