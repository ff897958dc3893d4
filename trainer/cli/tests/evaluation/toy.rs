//! The paper's figure.

use std::fs;

use crate::process::{run, text};

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
