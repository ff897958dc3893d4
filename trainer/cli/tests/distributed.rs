//! Several processes as one, over MPI. `cargo xtask test` builds with the feature `mpi` wherever Open MPI is or can be
//! installed; without it one test is left, of what the program says then.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The arguments of a training of seconds on the fixture of 12 images.
fn training(out: &Path, set: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "train",
        "--device",
        "cpu",
        "--recipe",
        &format!("{ROOT}/tests/fixtures/tiny.toml"),
        "--data",
        &format!("{ROOT}/tests/data/folders"),
        "--out",
        out.to_str().unwrap(),
    ]
    .map(str::to_owned)
    .to_vec();
    let small = [
        "train.steps=6",
        "train.warmup=1",
        "train.learning_rate=1e-3",
        "train.checkpoint_every=1000",
        "train.sample_every=1000",
        "sampling.steps=1",
        "data.flip=true",
    ];
    for value in small.iter().chain(set) {
        arguments.extend(["--set".to_owned(), (*value).to_owned()]);
    }
    arguments
}

/// Runs the command, once or as several processes.
fn freeguide(processes: usize, arguments: &[String]) -> Command {
    let program = env!("CARGO_BIN_EXE_freeguide");
    let mut command = match processes {
        1 => Command::new(program),
        _ => {
            let mut mpirun = Command::new("mpirun");
            mpirun
                .args(["-n", &processes.to_string()])
                // More processes than cores, and each on any core.
                .args(["--oversubscribe", "--bind-to", "none"])
                .arg(program);
            mpirun
        }
    };
    command
        .args(arguments)
        .env("RAYON_NUM_THREADS", "1")
        // Continuous integration runs as root in containers, which may not read each other's memory.
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
        .stdin(std::process::Stdio::null());
    command
}

#[cfg(not(feature = "mpi"))]
#[test]
fn a_launcher_is_told_that_this_program_cannot_work_with_others() {
    let folder = TempDir::new().unwrap();
    let output = freeguide(1, &training(&folder.path().join("run"), &[]))
        .env("OMPI_COMM_WORLD_SIZE", "2")
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("was built without MPI") && err.contains("freeguide-trainer/mpi"),
        "{err}"
    );
    assert!(!folder.path().join("run").exists());
}

#[cfg(feature = "mpi")]
mod with_mpi {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;
    use std::process::{Child, Stdio};
    use std::time::Duration;

    use safetensors::SafeTensors;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn ok(processes: usize, arguments: &[String]) -> String {
        let output = freeguide(processes, arguments).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{err}");
        err
    }

    /// The exported weights of a run, by name.
    fn weights(run: &Path) -> BTreeMap<String, Vec<f32>> {
        let bundle = run.join("bundle");
        ok(
            1,
            &[
                "export",
                "--run",
                run.to_str().unwrap(),
                "--out",
                bundle.to_str().unwrap(),
            ]
            .map(str::to_owned),
        );
        let bytes = fs::read(bundle.join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        tensors
            .tensors()
            .into_iter()
            .map(|(name, tensor)| {
                let values = tensor.data().chunks_exact(4);
                let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                (name, values.collect())
            })
            .collect()
    }

    fn metrics(run: &Path) -> Vec<Value> {
        let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// |a − b| / |a|, over all weights.
    fn distance(a: &BTreeMap<String, Vec<f32>>, b: &BTreeMap<String, Vec<f32>>) -> f64 {
        let (mut apart, mut size) = (0.0, 0.0);
        for (name, values) in a {
            for (x, y) in values.iter().zip(&b[name]) {
                apart += f64::from(x - y).powi(2);
                size += f64::from(*x).powi(2);
            }
        }
        (apart / size).sqrt()
    }

    #[test]
    fn two_processes_equal_one_with_twice_the_batch() {
        let folder = TempDir::new().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        ok(1, &training(&one, &["train.batch=10"]));
        ok(2, &training(&two, &["train.batch=5"]));
        // A step away from it is a distance that this test would see.
        let other = folder.path().join("other");
        ok(1, &training(&other, &["train.batch=5"]));

        let (alone, together) = (metrics(&one), metrics(&two));
        assert_eq!(alone.len(), together.len(), "rank 0 alone writes metrics");
        for key in ["loss", "gradient_norm"] {
            let of = |m: &[Value]| m.last().unwrap()[key].as_f64().unwrap();
            let (a, b) = (of(&alone), of(&together));
            assert!((a - b).abs() < 1e-4 * a, "{key}: {a} and {b}");
        }
        let expected = weights(&one);
        let apart = distance(&expected, &weights(&two));
        let control = distance(&expected, &weights(&other));
        assert!(
            apart < 1e-4 && control > 20.0 * apart,
            "{apart} and {control}"
        );
        let recipe = fs::read_to_string(two.join("recipe.toml")).unwrap();
        assert!(
            recipe.contains("batch = 10\n"),
            "the batch of all together: {recipe}"
        );
    }

    /// A distillation in the place of a training, on images that the teacher draws.
    fn distillation(out: &Path, batch: &str) -> Vec<String> {
        let mut arguments = training(out, &[batch]);
        let model = format!("{ROOT}/tests/fixtures/tiny-model");
        let of_training = ["train", "--recipe", "--data", "data.flip=true"];
        for word in of_training {
            let place = arguments
                .iter()
                .position(|argument| argument == word)
                .unwrap();
            let words = match word {
                "train" => place..place + 1,
                "data.flip=true" => place - 1..place + 1,
                _ => place..place + 2,
            };
            arguments.drain(words);
        }
        let own = ["distill", "--model", &model, "--samples", "12"];
        own.map(str::to_owned)
            .into_iter()
            .chain(arguments)
            .collect()
    }

    #[test]
    fn two_processes_distil_what_one_does() {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        ok(1, &distillation(&at("one"), "train.batch=10"));
        ok(2, &distillation(&at("two"), "train.batch=5"));
        ok(1, &distillation(&at("other"), "train.batch=5"));
        let expected = weights(&at("one"));
        let apart = distance(&expected, &weights(&at("two")));
        let control = distance(&expected, &weights(&at("other")));
        assert!(
            apart < 1e-4 && control > 20.0 * apart,
            "{apart} and {control}"
        );
    }

    /// The process of one rank that trains into `run`.
    fn process_of(run: &Path, rank: usize) -> Option<u32> {
        let wanted = format!("OMPI_COMM_WORLD_RANK={rank}");
        fs::read_dir("/proc").unwrap().find_map(|entry| {
            let path = entry.ok()?.path();
            let id = path.file_name()?.to_str()?.parse().ok()?;
            let holds = |file: &str, text: &str| {
                let bytes = fs::read(path.join(file)).unwrap_or_default();
                bytes.split(|&b| b == 0).any(|part| part == text.as_bytes())
            };
            (holds("environ", &wanted) && holds("cmdline", run.to_str()?)).then_some(id)
        })
    }

    fn checkpoints(run: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(run.join("checkpoints"));
        let paths = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path());
        let is_whole = |path: &PathBuf| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("step-")
        };
        paths.filter(is_whole).collect()
    }

    /// A long training of two processes that has written a checkpoint.
    fn begun(arguments: &[String], run: &Path) -> Child {
        let mut running = freeguide(2, arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while checkpoints(run).is_empty() {
            assert!(running.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }

    fn signal(name: &str, run: &Path, rank: usize) {
        let process = process_of(run, rank).expect("the rank is there");
        let sent = Command::new("kill")
            .args([name, &process.to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    const LONG: [&str; 3] = [
        "train.steps=60",
        "train.batch=4",
        "train.checkpoint_every=5",
    ];

    #[test]
    fn a_lost_rank_ends_the_run_and_it_goes_on_as_if_nothing_had_happened() {
        let folder = TempDir::new().unwrap();
        let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
        ok(2, &training(&whole, &LONG));

        let running = begun(&training(&broken, &LONG), &broken);
        signal("-KILL", &broken, 1);
        let output = running.wait_with_output().unwrap();
        assert!(!output.status.success());
        assert_eq!(process_of(&broken, 0), None, "nobody is left waiting");
        assert!(
            metrics(&broken).len() < metrics(&whole).len(),
            "it was lost before the end"
        );

        let mut resume = training(&broken, &LONG);
        resume.push("--resume".into());
        let err = ok(2, &resume);
        assert!(err.contains("resuming from step "), "{err}");
        assert!(weights(&broken) == weights(&whole), "the same bytes");
    }

    #[test]
    fn a_rank_that_is_asked_to_stop_stops_all_with_a_checkpoint() {
        let folder = TempDir::new().unwrap();
        let run = folder.path().join("run");
        let running = begun(&training(&run, &LONG), &run);
        signal("-TERM", &run, 1);
        let output = running.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{err}");
        let step = err
            .lines()
            .find_map(|line| line.strip_prefix("stopped at step "));
        let step: u64 = step
            .and_then(|rest| rest.split(';').next()?.parse().ok())
            .unwrap();
        let saved = checkpoints(&run).into_iter().max().unwrap();
        assert!(saved.ends_with(format!("step-{step:08}")), "{saved:?}");
    }

    #[test]
    fn a_mistake_is_said_once_and_ends_every_process() {
        let folder = TempDir::new().unwrap();
        let run = folder.path().join("run");
        let output = freeguide(2, &training(&run, &["train.bathc=4"]))
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert_eq!(err.matches("did you mean `batch`").count(), 1, "{err}");
    }

    #[test]
    fn a_batch_that_no_recipe_may_have_is_refused_before_anything_is_written() {
        let folder = TempDir::new().unwrap();
        let run = folder.path().join("run");
        let output = freeguide(2, &training(&run, &["train.batch=40000"]))
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(
            err.contains("2 processes with a batch of 40000 each: train.batch must be"),
            "{err}"
        );
        assert!(!run.exists());
    }

    #[test]
    fn sampling_in_shares_gives_the_same_files() {
        let folder = TempDir::new().unwrap();
        let sample = |processes: usize, count: &str| {
            let out = folder.path().join(format!("{processes}-{count}"));
            let arguments = [
                "sample",
                "--device",
                "cpu",
                "--model",
                &format!("{ROOT}/tests/fixtures/tiny-model"),
                "--steps",
                "3",
                "--guidance",
                "1.5",
                "--seed",
                "7",
                "--count",
                count,
                "--out",
                &format!("{}/", out.display()),
            ];
            ok(processes, &arguments.map(str::to_owned));
            let mut files: Vec<_> = fs::read_dir(&out)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|path| {
                    (
                        path.file_name().unwrap().to_owned(),
                        fs::read(&path).unwrap(),
                    )
                })
                .collect();
            files.sort();
            files
        };
        for count in ["7", "1"] {
            let one = sample(1, count);
            assert_eq!(one.len().to_string(), count);
            assert!(one == sample(2, count), "{count} images");
        }
    }
}
