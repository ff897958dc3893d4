//! Which of our crates may depend on which: arrows point from the command down to the library, and no two crates need
//! each other.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Every crate that runs natively, with the crates of ours that it depends on.
const ARROWS: [(&str, &[&str]); 10] = [
    ("freeguide", &[]),
    ("freeguide-readers", &[]),
    ("freeguide-data", &["freeguide-readers"]),
    ("freeguide-serve", &[]),
    ("freeguide-native", &["freeguide"]),
    (
        "freeguide-recipe",
        &["freeguide", "freeguide-data", "freeguide-native"],
    ),
    (
        "freeguide-interchange",
        &["freeguide", "freeguide-native", "freeguide-readers"],
    ),
    (
        "freeguide-train",
        &[
            "freeguide",
            "freeguide-data",
            "freeguide-native",
            "freeguide-recipe",
        ],
    ),
    (
        "freeguide-eval",
        &[
            "freeguide",
            "freeguide-data",
            "freeguide-native",
            "freeguide-readers",
            "freeguide-recipe",
        ],
    ),
    (
        "freeguide-trainer",
        &[
            "freeguide",
            "freeguide-data",
            "freeguide-eval",
            "freeguide-interchange",
            "freeguide-native",
            "freeguide-recipe",
            "freeguide-serve",
            "freeguide-train",
        ],
    ),
];

/// The packages of the workspace with the packages of ours that they depend on, but for their tests.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let ours = dependencies.filter(|d| d["kind"] != "dev" && d["path"].is_string());
            (name(package), ours.map(name).collect())
        })
        .collect()
}

#[test]
fn crates_depend_on_each_other_as_drawn() {
    let mut found = arrows();
    // What is built for a browser, and the commands that build it.
    let web = found.remove("freeguide-web").expect("the wasm crate");
    assert_eq!(web, BTreeSet::from(["freeguide".to_owned()]));
    let serve = BTreeSet::from(["freeguide-serve".to_owned()]);
    assert_eq!(found.remove("xtask"), Some(serve));
    let drawn = ARROWS.map(|(name, on)| {
        let on = on.iter().map(|&name| name.to_owned()).collect();
        (name.to_owned(), on)
    });
    assert_eq!(found, BTreeMap::from(drawn));
}

#[test]
fn a_crate_depends_on_those_before_it_alone() {
    for (place, (name, on)) in ARROWS.iter().enumerate() {
        let before = &ARROWS[..place];
        for needed in *on {
            let known = before.iter().any(|(earlier, _)| earlier == needed);
            assert!(known, "{name} needs {needed}");
        }
    }
}
