//! The metrics against torch-fidelity, scipy and scikit-learn: tests/python/evaluation_metrics.py.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde_json::Value;

use super::*;
use crate::features::Rows;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

struct Fixture {
    bytes: Vec<u8>,
    splits: usize,
    figures: BTreeMap<String, f64>,
}

impl Fixture {
    fn open() -> Self {
        let file =
            |end: &str| std::fs::read(format!("{FIXTURES}/evaluation_metrics.{end}")).unwrap();
        let json: Value = serde_json::from_slice(&file("json")).unwrap();
        Self {
            bytes: file("safetensors"),
            splits: json["splits"].as_u64().unwrap() as usize,
            figures: serde_json::from_value(json["figures"].clone()).unwrap(),
        }
    }

    fn rows(&self, name: &str) -> Rows {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(name).unwrap();
        let values = tensor.data().chunks_exact(4);
        let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Rows::new(tensor.shape()[1], values.collect())
    }

    fn classes(&self) -> Vec<u32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let data = file.tensor("classes").unwrap().data().to_vec();
        let values = data.chunks_exact(4);
        values
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    /// p(y | x) of the logits.
    fn probabilities(&self) -> Rows {
        let logits = self.rows("logits");
        let mut values = Vec::new();
        for row in 0..logits.len() {
            let exp: Vec<f64> = logits
                .row(row)
                .iter()
                .map(|&l| f64::from(l).exp())
                .collect();
            let sum: f64 = exp.iter().sum();
            values.extend(exp.iter().map(|e| (e / sum) as f32));
        }
        Rows::new(logits.width(), values)
    }

    /// Asserts a figure against everybody who computed it.
    #[track_caller]
    fn check(&self, figure: &str, found: f64, tolerance: f64) {
        let start = format!("{figure}/");
        let of_figure = self
            .figures
            .iter()
            .filter(|(key, _)| key.starts_with(&start));
        let expected: Vec<_> = of_figure.collect();
        assert!(!expected.is_empty(), "nobody computed {figure}");
        for (key, &value) in expected {
            assert!(
                (found - value).abs() <= tolerance * value.abs(),
                "{key}: {value}, found {found}"
            );
        }
    }
}

#[test]
fn the_frechet_distance_is_that_of_torch_fidelity_and_scipy() {
    let fixture = Fixture::open();
    let [real, generated] = ["real", "generated"].map(|n| Moments::of(&fixture.rows(n)).unwrap());
    fixture.check(
        "frechet_distance",
        frechet_distance(&real, &generated).unwrap(),
        1e-9,
    );
    fixture.check(
        "frechet_distance",
        frechet_distance(&generated, &real).unwrap(),
        1e-9,
    );
}

#[test]
fn the_inception_score_is_that_of_torch_fidelity() {
    let fixture = Fixture::open();
    let score = inception_score(&fixture.probabilities(), fixture.splits).unwrap();
    fixture.check("inception_score", score.mean, 1e-6);
    fixture.check("inception_score_deviation", score.deviation, 1e-5);
}

#[test]
fn the_kernel_distance_is_that_of_torch_fidelity_and_scikit_learn() {
    let fixture = Fixture::open();
    let (real, generated) = (fixture.rows("real"), fixture.rows("generated"));
    let part: Vec<usize> = (0..generated.len()).collect();
    let found = kernel_distance(&real.select(&part), &generated, 1, usize::MAX).unwrap();
    fixture.check("kernel_distance", found.mean, 1e-9);
    // Subsets estimate the same quantity.
    let subsets = kernel_distance(&real, &generated, 100, 60).unwrap();
    let error = 5.0 * subsets.deviation / 10.0;
    assert!(
        (subsets.mean - found.mean).abs() < error,
        "{subsets:?} {found:?}"
    );
}

#[test]
fn what_is_read_off_distances_is_that_of_torch_fidelity_and_scikit_learn() {
    let fixture = Fixture::open();
    let [real, generated] = ["real", "generated"].map(|n| Manifold::new(fixture.rows(n)).unwrap());
    let found = Comparison::of(&real, &generated);
    // torch-fidelity averages in f32.
    fixture.check("precision", found.precision, 1e-6);
    fixture.check("recall", found.recall, 1e-6);
    fixture.check("density", found.density, 1e-12);
    fixture.check("coverage", found.coverage, 1e-12);
    fixture.check("authenticity", found.authenticity, 1e-12);
    let indices: usize = found.nearest.iter().map(|n| n.0).sum();
    fixture.check("nearest_index_sum", indices as f64, 0.0);
    let mut distances: Vec<f64> = found.nearest.iter().map(|n| n.1).collect();
    distances.sort_by(f64::total_cmp);
    fixture.check("nearest_distance", distances[distances.len() / 2], 1e-9);
}

#[test]
fn accuracy_is_that_of_scikit_learn() {
    let fixture = Fixture::open();
    let found = accuracy(&fixture.probabilities(), &fixture.classes());
    fixture.check("accuracy", found, 1e-12);
}

#[test]
fn too_few_images_are_refused_with_a_number() {
    let error = Manifold::new(Rows::new(1, vec![0.0; 5]))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("at least 6 are needed"), "{error}");
    let one = Rows::new(1, vec![0.0]);
    let error = kernel_distance(&one, &one, 1, 10).unwrap_err().to_string();
    assert!(error.contains("at least 2 are needed"), "{error}");
}

/// Images and features as FID has them.
const FID: (usize, usize) = (50_000, 2048);
/// "under 2 GB".
const MEMORY: u64 = 2_000_000_000;

/// Rows of independent standard normal values, those from `range` of a set.
fn normal_rows(set: u64, range: std::ops::Range<usize>) -> Rows {
    use freeguide::noise::{NoiseStream, Purpose};
    let mut values = vec![0f32; range.len() * FID.1];
    let stream = range.start as u64;
    NoiseStream::new(Purpose::Evaluation, set, stream, 0).fill_normal(&mut values);
    Rows::new(FID.1, values)
}

/// Of N(0, I) twice, the expectation for n samples is about d (d + 1) / (2 n).
fn check_distance(distance: f64) {
    let (images, width) = (FID.0 as f64, FID.1 as f64);
    let expected = width * (width + 1.0) / (2.0 * images);
    assert!(
        (distance / expected - 1.0).abs() < 0.05,
        "{distance} for {expected}"
    );
}

/// Asserts the most memory that this process has had, where the system says.
fn check_memory(limit: u64) {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return;
    };
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    let kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("{} MB at most", kib * 1024 / 1_000_000);
    assert!(kib * 1024 < limit, "{peak}");
}

/// Runs an ignored test of this module alone in a process, whose memory is then its own.
fn in_a_process_of_its_own(test: &str) {
    let (_, module) = module_path!().split_once("::").unwrap();
    let ran = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg(format!("{module}::{test}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn moments_of_fifty_thousand_images_stream_in_a_fifth_of_2_gb() {
    in_a_process_of_its_own("moments_of_fifty_thousand");
}

#[test]
#[ignore = "part of the test above, which runs it in a process of its own"]
fn moments_of_fifty_thousand() {
    let moments = |set| {
        let mut moments = Moments::new(FID.1);
        for from in (0..FID.0).step_by(1000) {
            moments.add(&normal_rows(set, from..from + 1000)).unwrap();
        }
        moments
    };
    check_distance(frechet_distance(&moments(1), &moments(2)).unwrap());
    // Five matrices of 34 MB, and the work space of their decompositions.
    check_memory(MEMORY / 5);
}

/// Every metric, with the features of both sides in memory: neighbours need all of them. 5 · 10⁹ distances take minutes.
#[test]
#[ignore = "takes minutes; run it alone, in a process of its own"]
fn every_metric_of_fifty_thousand_images_fits_into_2_gb() {
    let (real, generated) = (normal_rows(1, 0..FID.0), normal_rows(2, 0..FID.0));
    let moments = [&real, &generated].map(|rows| Moments::of(rows).unwrap());
    check_distance(frechet_distance(&moments[0], &moments[1]).unwrap());
    kernel_distance(&real, &generated, 2, SUBSET_SIZE).unwrap();
    let [real, generated] = [real, generated].map(|rows| Manifold::new(rows).unwrap());
    let found = Comparison::of(&real, &generated);
    assert!(found.precision > 0.0 && found.authenticity > 0.0);
    check_memory(MEMORY);
}
