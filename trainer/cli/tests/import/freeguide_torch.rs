//! Our own weights in PyTorch's layout, there and back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::support::{freeguide, imported};

/// Our own network in PyTorch's layout, and back.
#[test]
fn our_own_weights_come_back_from_pytorchs_layout() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-model");
    let folder = tempfile::tempdir().unwrap();
    let torch = folder.path().join("torch");
    fs::create_dir(&torch).unwrap();
    fs::copy(tiny.join("config.json"), torch.join("config.json")).unwrap();
    let bytes = fs::read(tiny.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut turned = BTreeMap::new();
    for (name, view) in tensors.tensors() {
        let (mut shape, size) = (view.shape().to_vec(), view.dtype().bitsize() / 8);
        let mut data = view.data().to_vec();
        let linear = [
            "log_snr_in",
            "log_snr_out",
            "modulation",
            "qkv",
            "attention.output",
        ];
        let layer = name.strip_suffix(".weight").unwrap_or_default();
        if linear.iter().any(|linear| layer.ends_with(linear)) {
            let [rows, columns] = [shape[0], shape[1]];
            let place = |row: usize, column: usize| (row * columns + column) * size;
            let old = data.clone();
            data.clear();
            for column in 0..columns {
                for row in 0..rows {
                    data.extend(&old[place(row, column)..place(row, column) + size]);
                }
            }
            shape = vec![columns, rows];
        }
        turned.insert(
            name.replace(".class.", ".class_."),
            (view.dtype(), shape, data),
        );
    }
    let views = turned.iter().map(|(name, (dtype, shape, data))| {
        let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), data);
        (name.clone(), view.unwrap())
    });
    let file = safetensors::serialize(views, None).unwrap();
    fs::write(torch.join("model.safetensors"), file).unwrap();

    let out = folder.path().join("tiny");
    let dtype = match tensors.tensors()[0].1.dtype() {
        Dtype::F16 => "f16",
        _ => "f32",
    };
    imported("freeguide-torch", &torch, &out, &["--dtype", dtype]);
    let again = fs::read(out.join("model.safetensors")).unwrap();
    let again = SafeTensors::deserialize(&again).unwrap();
    assert_eq!(again.len(), tensors.len());
    for (name, view) in tensors.tensors() {
        let found = again.tensor(&name).unwrap();
        assert_eq!(
            (found.shape(), found.data()),
            (view.shape(), view.data()),
            "{name}"
        );
    }
}

/// What `export --format safetensors` writes comes back as the same model.
#[test]
fn our_own_export_to_pytorch_comes_back() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-model");
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (tiny, torch, back) = (tiny.to_str().unwrap(), place("torch"), place("back"));
    let ok = |arguments: &[&str]| {
        let output = freeguide(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    };
    ok(&[
        "export",
        "--model",
        tiny,
        "--format",
        "safetensors",
        "--out",
        &torch,
    ]);
    ok(&[
        "import",
        "--from",
        "freeguide-torch",
        &torch,
        "--out",
        &back,
    ]);
    let pictures = [tiny, &back].map(|model| {
        let out = place("pictures/");
        let request = [
            "--count",
            "3",
            "--seed",
            "7",
            "--steps",
            "4",
            "--guidance",
            "1.5",
        ];
        ok(&[&["sample", "--model", model, "--out", &out], &request[..]].concat());
        let picture = |k| image::open(format!("{out}{k:05}.png")).unwrap().to_rgb8();
        (0..3).map(picture).collect::<Vec<_>>()
    });
    assert!(pictures[0] == pictures[1]);
}
