//! What a training leaves behind, and what is refused before one.

use std::fs;
use std::path::Path;

use crate::process::*;
use image::RgbImage;
use serde_json::Value;

#[test]
fn a_training_leaves_everything_behind() {
    let out = whole_run();
    assert_eq!(
        names(out),
        [
            ".lock",
            "checkpoints",
            "loss.png",
            "metrics.jsonl",
            "recipe.toml",
            "run.json",
            "samples",
            "tensorboard"
        ]
    );
    assert_eq!(
        names(&out.join("checkpoints")),
        ["step-00000036", "step-00000040"]
    );
    assert_eq!(
        names(&out.join("samples")),
        ["data.png", "step-00000020.png", "step-00000040.png"]
    );
    let written = fs::read_to_string(out.join("recipe.toml")).unwrap();
    for line in [
        "batch = 4",
        "dropout = 0.2",
        "flip = true",
        "final_rate = 0.02",
    ] {
        assert!(written.contains(line), "{line} is not in: {written}");
    }
    let info: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(
        info["classes"],
        serde_json::json!(["disc", "square", "triangle"])
    );

    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let mut last = 0;
    for line in metrics.lines() {
        let metric: Value = serde_json::from_str(line).unwrap();
        let step = metric["step"].as_u64().unwrap();
        assert!(step > last, "{metrics}");
        last = step;
        for key in [
            "loss",
            "learning_rate",
            "gradient_norm",
            "images_per_second",
        ] {
            assert!(
                metric[key].as_f64().is_some_and(f64::is_finite),
                "{key}: {line}"
            );
        }
    }
    assert_eq!(last, 40);

    let curve = image::open(out.join("loss.png")).unwrap();
    assert!(curve.width() > 300 && curve.height() > 200);
    // A column of eight for each class; the pictures' settings travel with them.
    let grid = image::open(out.join("samples/step-00000040.png")).unwrap();
    assert!(grid.height() > 2 * grid.width());
    let settings = run(&["inspect", text(&out.join("samples/step-00000040.png"))]).ok();
    let settings: Value = serde_json::from_str(&settings.out).unwrap();
    assert_eq!(settings.as_array().unwrap().len(), 24);
}

#[test]
fn progress_goes_to_standard_error_and_quiet_is_quiet() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let loud = train(&out, &["--set", "train.steps=1"]).ok();
    assert_eq!(loud.out, "");
    for word in [
        "18 images of 3 classes",
        "triangle",
        "step 1/1",
        "images/s",
        "freeguide export",
        "note: disc and 2 other classes have fewer than 50 images",
    ] {
        assert!(loud.err.contains(word), "{word} is not in: {}", loud.err);
    }
    let quiet = train(
        &place.path().join("quiet"),
        &["--set", "train.steps=1", "--quiet"],
    )
    .ok();
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
}

#[test]
fn what_is_set_wrongly_is_refused_before_anything_is_written() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    for (set, words) in [
        (
            "train.bach=3",
            &["train.bach=3", "did you mean `batch`?"][..],
        ),
        ("tarin.steps=3", &["did you mean `train`?"]),
        ("colour=red", &["unknown field `colour`", "`network`"]),
        ("train.batch", &["section.key=value"]),
        ("train.steps.x=4", &["steps is a value"]),
        ("=3", &["unknown field"]),
        ("train.batch=0", &["train.batch must be from 1"]),
        ("train.batch=-1", &["-1"]),
        ("train.batch=many", &["many"]),
        ("train.batch=1e9", &["1000000000"]),
        ("train.steps=0", &["train.steps"]),
        ("train.steps=4294967296", &["train.steps"]),
        ("train.learning_rate=nan", &["train.learning_rate"]),
        ("train.clip_norm=inf", &["train.clip_norm"]),
        ("train.weight_decay=inf", &["train.weight_decay"]),
        ("train.ema_decay=1", &["train.ema_decay"]),
        ("train.betas=[0.9,1]", &["train.betas"]),
        ("train.seed=9007199254740992", &["train.seed"]),
        ("train.checkpoint_every=0", &["train.checkpoint_every"]),
        ("data.size=7", &["multiple of 2", "7"]),
        ("data.size=0", &["size is 0"]),
        ("data.channels=2", &["channels is 2"]),
        ("network.norm_groups=0", &["norm_groups is 0"]),
        ("network.channel_multipliers=[]", &["channel_multipliers"]),
        ("diffusion.target=score", &["score"]),
        ("diffusion.p_uncond=2", &["p_uncond"]),
        ("diffusion.log_snr={min=1,max=1}", &["log_snr"]),
        ("sampling.guidance=nan", &["guidance is NaN"]),
        ("sampling.steps=0", &["steps is 0"]),
        ("name=", &["name"]),
        ("name=a/b", &["name"]),
    ] {
        train(&out, &["--set", set]).refused(2, words);
    }
    train(&out, &["--seed", "9007199254740992"]).refused(2, &["2^53"]);
    train(&out, &["--seed", "-1"]).refused(2, &[]);
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn what_is_wrong_with_a_recipe_is_said_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let (file, out) = (place.path().join("recipe.toml"), place.path().join("run"));
    let good = fs::read_to_string(recipe()).unwrap();
    let attempt = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        run(&[
            "train",
            "--recipe",
            text(&file),
            "--data",
            data(),
            "--out",
            text(&out),
        ])
    };
    let line = 1 + good
        .lines()
        .position(|line| line.starts_with("batch"))
        .unwrap();
    attempt(good.replace("\nbatch", "\nbach").as_bytes()).refused(
        1,
        &[
            "recipe.toml",
            &format!("line {line}:"),
            "did you mean `batch`?",
        ],
    );
    attempt(good.replace("batch = ", "batch = \"x\" #").as_bytes())
        .refused(1, &[&format!("line {line}:"), "string"]);
    attempt(good.replace("\nbatch", "\n#").as_bytes()).refused(1, &["missing field `batch`"]);
    attempt(b"name = ").refused(1, &["line 1"]);
    attempt(b"").refused(1, &["missing field"]);
    attempt(b"name = \"\xff\xfe\"").refused(1, &["recipe.toml", "UTF-8"]);
    run(&[
        "train",
        "--recipe",
        "no/such.toml",
        "--data",
        data(),
        "--out",
        text(&out),
    ])
    .refused(1, &["no/such.toml"]);
    run(&[
        "train",
        "--recipe",
        text(place.path()),
        "--data",
        data(),
        "--out",
        text(&out),
    ])
    .refused(1, &[text(place.path())]);
    assert!(!out.exists());
}

#[test]
fn data_that_cannot_be_trained_on_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = |name: &str| place.path().join(name);
    let out = folder("run");
    let attempt = |data: &Path| {
        run(&[
            "train",
            "--recipe",
            &recipe(),
            "--data",
            text(data),
            "--out",
            text(&out),
        ])
    };
    attempt(&folder("nowhere")).refused(1, &["nowhere", "does not exist"]);
    attempt(Path::new(&recipe())).refused(1, &["tiny.toml", "is a file"]);
    fs::create_dir_all(folder("flat")).unwrap();
    attempt(&folder("flat")).refused(1, &["no class folders", "nothing"]);
    draw_shapes(&folder("empty-class"), 2);
    fs::create_dir_all(folder("empty-class/moon")).unwrap();
    attempt(&folder("empty-class")).refused(1, &["class \"moon\" is empty"]);
    draw_shapes(&folder("broken-class"), 2);
    for name in ["000.png", "001.png"] {
        fs::write(folder("broken-class/disc").join(name), b"no picture").unwrap();
    }
    attempt(&folder("broken-class")).refused(1, &["disc", "000.png"]);
    assert!(!out.exists());
}

#[test]
fn an_image_that_cannot_be_read_is_named_and_skipped() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("data");
    draw_shapes(&folder, 3);
    // A class name need not be ASCII.
    fs::rename(folder.join("disc"), folder.join("Scheibe ö 🔴")).unwrap();
    let whole = fs::read(folder.join("square/000.png")).unwrap();
    fs::write(folder.join("square/cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.join("triangle/notes.png"), b"not a picture").unwrap();
    // A file of a few hundred bytes that claims twelve gigabytes of pixels.
    let small = folder.join("triangle/bomb.jpg");
    RgbImage::new(8, 8).save(&small).unwrap();
    let mut bytes = fs::read(&small).unwrap();
    let frame = bytes
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    fs::write(&small, bytes).unwrap();
    fs::write(folder.join("triangle/readme.txt"), b"not meant to be one").unwrap();
    let out = place.path().join("run");
    let ran = run(&[
        "train",
        "--recipe",
        &recipe(),
        "--data",
        text(&folder),
        "--out",
        text(&out),
        "--quiet",
        "--set",
        "train.steps=1",
        "--set",
        "train.batch=2",
        "--set",
        "sampling.steps=1",
    ])
    .ok();
    let warned = |name: &str| {
        ran.err
            .lines()
            .any(|l| l.starts_with("warning: ") && l.contains(name))
    };
    assert!(
        warned("cut.png") && warned("bomb.jpg") && warned("notes.png") && warned("readme.txt"),
        "{}",
        ran.err
    );
    let info: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(info["class_counts"], serde_json::json!([3, 3, 3]));

    let model = place.path().join("model");
    run(&["export", "--run", text(&out), "--out", text(&model)]).ok();
    let picture = place.path().join("x.png");
    run(&[
        "sample",
        "--model",
        text(&model),
        "--class",
        "Scheibe ö 🔴",
        "--count",
        "1",
        "--out",
        text(&picture),
    ])
    .ok();
    assert!(
        run(&["inspect", text(&picture)])
            .ok()
            .out
            .contains("Scheibe ö 🔴")
    );
}
