//! The command `freeguide` as a process: what it prints, what it writes and how it leaves.

#[path = "../common/process.rs"]
mod process;

mod bundles;
mod guides;
mod help;
mod interruption;
mod planning;
mod sampling;
mod serving;
mod training;

use process::{draw_shapes, recipe, run, text, tiny_model};

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
