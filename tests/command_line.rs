//! The command `freeguide` as a process: what it prints, what it writes and how it leaves.

#[path = "common/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::RgbImage;
use process::*;
use serde_json::Value;

// ---------------------------------------------------------------------------------------------
// Help

#[test]
fn every_command_explains_itself() {
    let commands = ["train", "sample", "export", "inspect", "devices", "serve"];
    let help = run(&["--help"]).ok();
    for name in commands {
        assert!(help.out.contains(&format!("\n  {name} ")), "{}", help.out);
        let own = run(&[name, "--help"]).ok();
        assert!(
            own.out.contains(&format!("Usage: freeguide {name}")),
            "{}",
            own.out
        );
        assert_eq!(run(&["help", name]).ok().out, own.out);
        // Every option is followed by words, on its line or on the next.
        let lines: Vec<_> = own.out.lines().collect();
        for (i, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, l)| l.starts_with("      --"))
        {
            let words = line.split("  ").skip(1).chain(lines.get(i + 1).copied());
            assert!(
                words.collect::<String>().split_whitespace().count() > 2,
                "{name}: {line}"
            );
        }
    }
    for word in ["Exit codes", "--recipe", "s = 1 + w"] {
        assert!(help.out.contains(word), "{word}");
    }
    assert!(run(&["--version"]).ok().out.starts_with("freeguide "));
    let nothing = run(&[]);
    assert!(nothing.code == Some(2) && nothing.err.contains("Usage"));
    run(&["paint"]).refused(2, &["paint"]);
}

// ---------------------------------------------------------------------------------------------
// Training

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

// ---------------------------------------------------------------------------------------------
// Interruption

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
        resumed.err.contains(&format!("going on from step {step}")),
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
    let damages: [(&str, &dyn Fn(&Path)); 3] = [
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
            resumed.err.contains("going on from step 36"),
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
    run(&arguments).refused(1, &["the data set is not the one"]);

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

// ---------------------------------------------------------------------------------------------
// Bundles

#[test]
fn a_run_becomes_a_bundle() {
    let place = tempfile::tempdir().unwrap();
    let (full, half) = (place.path().join("full"), place.path().join("half"));
    // What is there and is no weights stays; weights of an older bundle go.
    fs::create_dir_all(&full).unwrap();
    fs::write(full.join("README.md"), "a model card").unwrap();
    fs::write(full.join("model-00001-of-00002.safetensors"), "old").unwrap();
    let run_folder = text(whole_run());
    run(&["export", "--run", run_folder, "--out", text(&full)]).ok();
    assert_eq!(
        names(&full),
        ["README.md", "config.json", "model.safetensors"]
    );
    let json = run(&[
        "export",
        "--run",
        run_folder,
        "--out",
        text(&half),
        "--dtype",
        "f16",
        "--json",
    ])
    .ok();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["steps"], 40);

    let size = |folder: &Path| {
        fs::metadata(folder.join("model.safetensors"))
            .unwrap()
            .len()
    };
    let parameters = json["parameters"].as_u64().unwrap();
    assert!(size(&full) > 4 * parameters && size(&half) < size(&full) * 6 / 10);
    for folder in [&full, &half] {
        let seen = run(&["inspect", text(folder)]).ok();
        assert!(
            seen.out.contains("disc, square, triangle") && seen.out.contains("sha256"),
            "{}",
            seen.out
        );
        let json = run(&["inspect", text(folder), "--json"]).ok();
        assert_eq!(
            json.out,
            fs::read_to_string(folder.join("config.json")).unwrap()
        );
        let config: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(config["provenance"]["steps"], 40);
        assert_eq!(config["provenance"]["images_seen"], 160);
        assert_eq!(config["provenance"]["parameters"], parameters);
    }
    // Bytes that depend on the run alone.
    assert!(weights(whole_run()) == fs::read(full.join("model.safetensors")).unwrap());

    let out = text(&full);
    run(&["export", "--run", data(), "--out", out]).refused(1, &["not a run folder"]);
    run(&[
        "export", "--run", run_folder, "--out", out, "--dtype", "int4",
    ])
    .refused(2, &["int4"]);
    run(&["export", "--run", run_folder, "--out", &recipe()]).refused(1, &["tiny.toml"]);
    let begun = place.path().join("begun");
    copy(whole_run(), &begun);
    fs::remove_dir_all(begun.join("checkpoints")).unwrap();
    run(&["export", "--run", text(&begun), "--out", out]).refused(1, &["no checkpoint yet"]);
}

#[test]
fn a_broken_bundle_is_named_by_its_file() {
    let place = tempfile::tempdir().unwrap();
    let broken = |name: &str, damage: &dyn Fn(&Path)| {
        let folder = place.path().join(name);
        copy(Path::new(&tiny_model()), &folder);
        damage(&folder);
        folder
    };
    let cut = |folder: &Path| {
        let file = folder.join("model.safetensors");
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    };
    for (folder, words) in [
        (
            place.path().join("nowhere"),
            ["nowhere", "config.json is missing"],
        ),
        (
            broken("weights", &|f| {
                fs::remove_file(f.join("model.safetensors")).unwrap()
            }),
            ["weights", "model.safetensors is missing"],
        ),
        (broken("cut", &cut), ["cut", "cut off"]),
        (
            broken("json", &|f| fs::write(f.join("config.json"), "{").unwrap()),
            ["config.json", "not valid JSON"],
        ),
        (
            broken("bytes", &|f| {
                fs::write(f.join("config.json"), b"\xff\xfe").unwrap()
            }),
            ["config.json cannot be read", "UTF-8"],
        ),
        (
            broken("folder", &|f| {
                fs::remove_file(f.join("model.safetensors")).unwrap();
                fs::create_dir(f.join("model.safetensors")).unwrap();
            }),
            ["model.safetensors", "cannot be read"],
        ),
        (PathBuf::from(recipe()), ["tiny.toml", ""]),
    ] {
        let out = place.path().join("x.png");
        run(&["sample", "--model", text(&folder), "--out", text(&out)]).refused(1, &words);
        run(&["inspect", text(&folder)]).refused(1, &[words[0]]);
        assert!(!out.exists());
    }
}

// ---------------------------------------------------------------------------------------------
// Sampling

/// `sample` from the tiny model.
fn sample(out: &str, more: &[&str]) -> Ran {
    let model = tiny_model();
    let mut arguments = vec!["sample", "--model", &model, "--out", out];
    if !more.contains(&"--device") {
        arguments.extend(["--device", "cpu"]);
    }
    arguments.extend(more);
    run(&arguments)
}

/// Samples into a folder and returns its files by name.
fn drawn(more: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let place = tempfile::tempdir().unwrap();
    sample(&format!("{}/deep/er/", place.path().display()), more).ok();
    let folder = place.path().join("deep/er");
    names(&folder)
        .into_iter()
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

#[test]
fn a_seed_gives_the_same_bytes_in_any_company() {
    for options in [
        &["--class", "disc", "--guidance", "2"][..],
        &["--class", "triangle", "--guidance", "0"],
        &[
            "--class",
            "disc",
            "--class",
            "none",
            "--class",
            "square",
            "--class",
            "triangle",
            "--sampler",
            "ancestral",
        ],
        &["--class", "square", "--guidance", "-0.5", "--no-clip"],
    ] {
        let with =
            |more: &[&str]| drawn(&[options, more, &["--seed", "7", "--steps", "6"]].concat());
        let eight = with(&["--count", "8"]);
        assert_eq!(eight.len(), 8);
        assert!(eight == with(&["--count", "8"]), "{options:?}");
        let in_order: Vec<_> = eight.keys().map(String::as_str).collect();
        assert_eq!(in_order[..2], ["00000.png", "00001.png"]);
        assert_ne!(eight["00000.png"], eight["00004.png"]);
        for more in [
            &["--count", "4"][..],
            &["--count", "8", "--batch", "1"],
            &["--count", "7", "--batch", "3"],
            // Classes take turns from the first image that is drawn.
            &["--count", "4", "--first-image", "4"],
        ] {
            for (name, bytes) in with(more) {
                assert!(bytes == eight[&name], "{name} with {more:?} of {options:?}");
            }
        }
        let other = drawn(&[options, &["--seed", "8", "--steps", "6", "--count", "1"]].concat());
        assert_ne!(other["00000.png"], eight["00000.png"]);
    }
}

#[test]
fn between_two_seeds_lie_other_pictures() {
    let one = |seed: &str, more: &[&str]| {
        let options = ["--class", "disc", "--count", "1", "--steps", "4", "--seed"];
        let mut files = drawn(&[&options[..], &[seed], more].concat());
        files.remove("00000.png").unwrap()
    };
    // What a PNG says of its seeds differs, its pixels do not.
    let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().to_rgb8();
    let (first, last) = (pixels(&one("7", &[])), pixels(&one("8", &[])));
    assert_eq!(pixels(&one("7", &["--toward", "8:0"])), first);
    assert_eq!(pixels(&one("7", &["--toward", "8:1"])), last);
    let middle = one("7", &["--toward", "8"]);
    assert!(middle == one("7", &["--toward", "8:0.5"]));
    assert!(![&first, &last].contains(&&pixels(&middle)));
    let says = String::from_utf8_lossy(&middle).into_owned();
    assert!(says.contains(r#""toward":{"seed":8,"t":0.5}"#), "{says}");

    let place = tempfile::tempdir().unwrap();
    let out = text(place.path()).to_owned() + "/";
    sample(&out, &["--toward", "8:1.5"]).refused(2, &["t from 0 to 1"]);
    sample(&out, &["--toward", "x"]).refused(2, &[]);
}

#[test]
fn classes_are_names_ids_or_none() {
    let one = |class: &str| {
        drawn(&["--class", class, "--count", "1", "--steps", "4"])
            .remove("00000.png")
            .unwrap()
    };
    let disc = one("disc");
    assert!(disc == one("0"));
    assert!(disc != one("2"));
    // The unconditional model: w has no meaning for it, but it is part of the settings.
    let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().to_rgb8().into_raw();
    let none = |w: &str| {
        drawn(&["--class", "none", "--guidance", w, "--count", "1"])
            .remove("00000.png")
            .unwrap()
    };
    assert_eq!(pixels(&none("0")), pixels(&none("3")));

    // What the fixture draws is what it is called.
    let mean = |class: &str, channel: usize| {
        let files = drawn(&["--class", class, "--count", "6", "--guidance", "1"]);
        let all = files
            .values()
            .flat_map(|png| pixels(png))
            .skip(channel)
            .step_by(3);
        all.map(f64::from).sum::<f64>() / (6.0 * 64.0)
    };
    for (class, channel) in [("disc", 0), ("square", 1), ("triangle", 2)] {
        for other in (0..3).filter(|&c| c != channel) {
            assert!(mean(class, channel) > mean(class, other) + 10.0, "{class}");
        }
    }
}

#[test]
fn a_picture_carries_the_settings_that_made_it() {
    let place = tempfile::tempdir().unwrap();
    let folder = format!("{}/", place.path().display());
    let options = [
        "--class",
        "1",
        "--guidance",
        "1.5",
        "--steps",
        "3",
        "--seed",
        "9007199254740991",
    ];
    let json = sample(
        &folder,
        &[&options[..], &["--count", "2", "--json"]].concat(),
    )
    .ok();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["files"].as_array().unwrap().len(), 2);

    let file = json["files"][1].as_str().unwrap();
    let settings: Value = serde_json::from_str(&run(&["inspect", file]).ok().out).unwrap();
    assert_eq!(settings, json["images"][1]);
    for (key, value) in [
        ("model", serde_json::json!("tiny")),
        ("class", serde_json::json!("square")),
        ("guidance", serde_json::json!(1.5)),
        ("steps", serde_json::json!(3)),
        ("sampler", serde_json::json!("ddim")),
        ("seed", serde_json::json!(9_007_199_254_740_991u64)),
        ("image", serde_json::json!(1)),
        ("clip", serde_json::json!(true)),
    ] {
        assert_eq!(settings[key], value, "{key}");
    }
    // A grid carries those of every picture on it; without --json nothing is printed for programs.
    let grid = place.path().join("grid.png");
    let ran = sample(text(&grid), &["--count", "5", "--class", "none"]).ok();
    assert!(ran.out.is_empty() && ran.err.contains("5 images"));
    let settings: Value = serde_json::from_str(&run(&["inspect", text(&grid)]).ok().out).unwrap();
    assert_eq!(settings.as_array().unwrap().len(), 5);
    assert_eq!(settings[4]["class"], Value::Null);
    assert!(image::open(&grid).unwrap().width() > 100);

    let plain = format!("{}/disc/000.png", data());
    run(&["inspect", &plain]).refused(1, &["000.png", "no settings"]);
}

#[test]
fn what_cannot_be_drawn_is_bad_usage() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("x.png");
    let known = "0 disc, 1 square, 2 triangle";
    for (options, words) in [
        (&["--class", "zebra"][..], &["\"zebra\"", known][..]),
        (&["--class", "3"], &["no class 3", known]),
        (&["--class", ""], &["\"\"", known]),
        (&["--class", "99999999999999999999"], &[known]),
        (&["--count", "0"], &["--count is 0"]),
        (&["--count", "100000"], &["--count is 100000", "4096"]),
        (&["--count", "18446744073709551615"], &["--count", "4096"]),
        (&["--count", "-1"], &["-1"]),
        (&["--steps", "0"], &["steps is 0"]),
        (&["--steps", "10001"], &["steps is 10001", "10000"]),
        (&["--guidance", "NaN"], &["guidance is NaN"]),
        (&["--guidance", "inf"], &["guidance is inf"]),
        (&["--guidance", "1e300"], &["guidance is 1e300"]),
        (&["--guidance", "strong"], &["strong"]),
        (
            &["--variance-interpolation", "1.5"],
            &["variance_interpolation is 1.5"],
        ),
        (
            &["--variance-interpolation", "nan"],
            &["variance_interpolation is NaN"],
        ),
        (
            &["--seed", "9007199254740992"],
            &["seed is 9007199254740992"],
        ),
        (&["--seed", "-1"], &["-1"]),
        (
            &["--first-image", "9007199254740991", "--count", "2"],
            &["first_image"],
        ),
        (&["--batch", "0"], &["--batch"]),
        (&["--sampler", "euler"], &["euler", "ddim, ancestral"]),
        (
            &["--device", "abacus"],
            &["\"abacus\"", "freeguide devices"],
        ),
    ] {
        sample(text(&out), options).refused(2, words);
    }
    assert_eq!(names(place.path()), [""; 0]);
    run(&["sample", "--model", &tiny_model()]).refused(2, &["required"]);
}

#[test]
fn where_nothing_can_be_written_nothing_is_drawn() {
    // A file in the place of a folder: refused to every user, root included.
    let file = recipe();
    for out in [
        format!("{file}/x.png"),
        format!("{file}/"),
        format!("{file}/deep/er/"),
    ] {
        sample(&out, &[]).refused(1, &["cannot create the folder", "tiny.toml"]);
    }
    train(Path::new(&file), &[]).refused(1, &["cannot create the folder", "tiny.toml"]);
    let place = tempfile::tempdir().unwrap();
    for out in ["", ".", text(place.path())] {
        sample(out, &[]).refused(2, &["--out", "ends in /"]);
    }
}

// ---------------------------------------------------------------------------------------------
// The rest

#[test]
fn devices_are_listed() {
    let listed = run(&["devices"]).ok().out;
    assert!(
        listed.contains("cpu") && listed.contains("vulkan"),
        "{listed}"
    );
    let json: Value = serde_json::from_str(&run(&["devices", "--json"]).ok().out).unwrap();
    assert_eq!(
        (&json[0]["name"], &json[0]["unavailable"]),
        (&"cpu".into(), &Value::Null)
    );
    if cfg!(not(feature = "wgpu")) {
        assert!(
            json[1]["unavailable"]
                .as_str()
                .unwrap()
                .contains("--features vulkan")
        );
        let place = tempfile::tempdir().unwrap();
        sample(text(&place.path().join("x.png")), &["--device", "vulkan"])
            .refused(1, &["--device vulkan", "--features vulkan"]);
    }
}

#[test]
fn a_reader_may_leave_early() {
    for arguments in [
        &["devices"][..],
        &["devices", "--json"],
        &["inspect", &tiny_model(), "--json"],
    ] {
        let mut child = command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ran = finished(child.wait_with_output().unwrap()).ok();
        assert_eq!(ran.err, "");
    }
    // A training goes on without its log.
    let place = tempfile::tempdir().unwrap();
    let (out, recipe) = (place.path().join("run"), recipe());
    let arguments = train_arguments(text(&out), &recipe, &["--set", "train.steps=2"]);
    let mut child = command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(checkpoints(&out), ["step-00000002"]);
    let resumed = train(&out, &["--set", "train.steps=3", "--resume", "--quiet"]).ok();
    assert_eq!(resumed.err, "");
}

#[test]
fn a_bundle_is_served() {
    let mut child = command(&["serve", &tiny_model(), "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /config.json HTTP/1.0\r\nHost: {address}\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        answer.contains(" 200 ") && answer.contains("application/json"),
        "{answer}"
    );
    assert!(
        answer.ends_with(&fs::read_to_string(format!("{}/config.json", tiny_model())).unwrap())
    );
    run(&["serve", "no/such/folder"]).refused(1, &["no/such/folder"]);
    run(&["serve", &recipe()]).refused(1, &["not a folder"]);
    run(&["serve", &tiny_model(), "--port", "65536"]).refused(2, &["65536"]);
}

// ---------------------------------------------------------------------------------------------
// The fixture

/// Makes tests/fixtures/tiny-model anew, in some minutes:
/// `cargo test --release make_the_tiny_model -- --ignored`.
#[test]
#[ignore = "writes the fixture, which is committed"]
fn make_the_tiny_model() {
    let place = tempfile::tempdir().unwrap();
    let (data, out) = (place.path().join("data"), place.path().join("run"));
    draw_shapes(&data, 54);
    let recipe = recipe();
    run(&[
        "train",
        "--recipe",
        &recipe,
        "--data",
        text(&data),
        "--out",
        text(&out),
        "--device",
        "cpu",
    ])
    .ok();
    run(&["export", "--run", text(&out), "--out", &tiny_model()]).ok();
}
