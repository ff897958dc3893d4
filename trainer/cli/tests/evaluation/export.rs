//! What an export costs.

use serde_json::Value;

use crate::process::{run, text, tiny_model};
use crate::support::{data, network};

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
