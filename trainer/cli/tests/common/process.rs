//! Running the command `freeguide` as a process, and trainings of seconds to run it on.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub fn recipe() -> String {
    format!("{ROOT}/tests/fixtures/tiny.toml")
}

pub fn tiny_model() -> String {
    format!("{ROOT}/tests/fixtures/tiny-model")
}

/// The folder of a model that ships.
pub fn shipped_model(name: &str) -> String {
    format!("{ROOT}/models/{name}")
}

// ---------------------------------------------------------------------------------------------
// Running the command

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freeguide"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a command left behind. A panic is a failure whatever was expected.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn run(arguments: &[&str]) -> Ran {
    finished(command(arguments).output().unwrap())
}

pub fn finished(output: std::process::Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// Asserts this exit code and one line of error that holds all of `words`.
    #[track_caller]
    pub fn refused(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        let line = self.err.lines().find(|line| line.starts_with("error: "));
        let line = line.unwrap_or_else(|| panic!("no error line in: {}", self.err));
        for word in words {
            assert!(line.contains(word), "{word:?} is not in: {line}");
        }
        self
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every file below `folder` with its bytes, but for the lock, which says who had it last.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.ends_with(".lock") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

// ---------------------------------------------------------------------------------------------
// A data set and a training of seconds

/// Draws a data set: red discs, green squares and blue triangles on white, `count` of each, no two
/// alike.
pub fn draw_shapes(folder: &Path, count: u32) {
    let colours = [
        ("disc", [225, 40, 50]),
        ("square", [30, 160, 70]),
        ("triangle", [40, 80, 225]),
    ];
    for (class, colour) in colours {
        fs::create_dir_all(folder.join(class)).unwrap();
        for n in 0..count {
            // Centre, half width and shade go through their values at different paces.
            let (cx, cy) = (3.0 + 0.5 * (n % 3) as f32, 3.0 + 0.5 * (n / 3 % 3) as f32);
            let half = 2.0 + 0.4 * (n / 9 % 3) as f32;
            let shade = n * 7 % 31;
            // Four by four points a pixel, for edges as smooth as those of photographs.
            let picture = RgbImage::from_fn(8, 8, |px, py| {
                let mut covered = 0;
                for k in 0..16 {
                    let x = px as f32 + (k % 4) as f32 / 4.0 - 0.375 - cx;
                    let y = py as f32 + (k / 4) as f32 / 4.0 - 0.375 - cy;
                    let inside = match class {
                        "disc" => x.hypot(y) < half,
                        "square" => x.abs().max(y.abs()) < half * 0.9,
                        _ => y < half && y > 2.0 * x.abs() - half,
                    };
                    covered += u32::from(inside);
                }
                Rgb(colour.map(|c: u32| {
                    ((255 * (16 - covered) + (c + shade) * covered) / 16).min(255) as u8
                }))
            });
            picture
                .save(folder.join(class).join(format!("{n:03}.png")))
                .unwrap();
        }
    }
}

/// The data set that every test trains on.
pub fn data() -> &'static str {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    let folder = DATA.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        draw_shapes(folder.path(), 6);
        folder
    });
    text(folder.path())
}

/// Forty steps of a training that draws everything that can be drawn: order, flips, dropout, noise.
pub const SHORT: [&str; 18] = [
    "--set",
    "train.steps=40",
    "--set",
    "train.batch=4",
    "--set",
    "train.warmup=4",
    "--set",
    "train.checkpoint_every=4",
    "--set",
    "train.sample_every=20",
    "--set",
    "sampling.steps=2",
    "--set",
    "network.dropout=0.2",
    "--set",
    "data.flip=true",
    "--set",
    "train.ema_decay=0.9",
];

pub fn train_arguments<'a>(out: &'a str, recipe: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![
        "train",
        "--recipe",
        recipe,
        "--data",
        data(),
        "--out",
        out,
        "--device",
        "cpu",
    ];
    all.extend(SHORT);
    all.extend(more);
    all
}

/// The short training with `more` arguments.
pub fn train(out: &Path, more: &[&str]) -> Ran {
    run(&train_arguments(text(out), &recipe(), more))
}

/// Starts the short training and waits for its first checkpoint, or its end.
pub fn start_training(out: &Path, more: &[&str]) -> Child {
    let mut child = command(&train_arguments(text(out), &recipe(), more))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let before = checkpoints(out);
    while checkpoints(out) == before && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

pub fn checkpoints(out: &Path) -> Vec<String> {
    let folder = out.join("checkpoints");
    let mut found = if folder.is_dir() {
        names(&folder)
    } else {
        Vec::new()
    };
    found.retain(|name| name.starts_with("step-"));
    found
}

/// The short training, never interrupted: its folder, which nobody changes.
pub fn whole_run() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        train(&folder.path().join("run"), &[]).ok();
        folder
    });
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| folder.path().join("run"))
}

/// The weights that a run exports.
pub fn weights(run_folder: &Path) -> Vec<u8> {
    exported(run_folder, &[])
}

/// The weights that a run exports with `more` arguments.
pub fn exported(run_folder: &Path, more: &[&str]) -> Vec<u8> {
    let out = tempfile::tempdir().unwrap();
    let (from, to) = (text(run_folder), text(out.path()));
    let mut arguments = vec!["export", "--run", from, "--out", to];
    arguments.extend(more);
    run(&arguments).ok();
    fs::read(out.path().join("model.safetensors")).unwrap()
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A copy of the whole run whose last checkpoint is that of step 36: four steps are left.
pub fn unfinished_run(place: &TempDir) -> PathBuf {
    let out = place.path().join("unfinished");
    copy(whole_run(), &out);
    fs::remove_dir_all(out.join("checkpoints/step-00000040")).unwrap();
    out
}
