//! A classifier of openai/guided-diffusion's own code: what it answers, and its gradient.

use std::fs;

use burn::tensor::{Device, Tensor, TensorData};
use freeguide::classifier::NoisyClassifier;
use freeguide::guidance::ClassGradient;

use crate::support::{Expected, TOLERANCE, fixture, freeguide, refused};

fn close(found: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        let most = TOLERANCE * (1.0 + wanted.abs());
        assert!(
            (found - wanted).abs() <= most,
            "{what}: {found} for {wanted}"
        );
    }
}

#[test]
fn a_classifier_of_noisy_images_answers_alike_and_so_does_its_gradient() {
    let expected = Expected::of(&fixture("guided_classifier.expected.safetensors"));
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (
        fixture("guided_classifier.pt"),
        folder.path().join("noisy.safetensors"),
    );
    let (file, out_text) = (file.to_str().unwrap(), out.to_str().unwrap());
    // The flags of a model stand beside those of the classifier.
    let flags = format!(
        "--num_channels 192 --class_cond True {}",
        expected.metadata("flags")
    );
    let from = ["import", "--from", "guided-diffusion-classifier", file];
    let output = freeguide(&[&from[..], &["--out", out_text, "--flags", &flags]].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let device = Device::flex();
    let classifier = NoisyClassifier::read(&fs::read(&out).unwrap(), &device).unwrap();
    assert_eq!(classifier.description().name, "noisy");
    let timesteps = classifier.description().network.timesteps.as_ref().unwrap();
    let levels = timesteps.levels();
    let (timestep, labels) = (expected.values("timestep"), expected.values("class"));
    let (output, gradient) = (expected.values("output"), expected.values("gradient"));
    for (row, (&timestep, &label)) in timestep.iter().zip(&labels).enumerate() {
        let level = levels[timestep as usize];
        let z = expected.images().narrow(0, row, 1);
        let log_snr = Tensor::from_data(TensorData::new(vec![level.0 as f32], [1]), &device);
        let logits = classifier.network().forward(z.clone(), log_snr, None);
        let logits: Vec<f64> = logits.into_data().iter::<f64>().collect();
        close(&logits, &output[row * 6..(row + 1) * 6], "logits");
        let asked = [vec![(label as u32, 1.0)]];
        let found = classifier.gradient(&z, level, &asked).into_data();
        let found: Vec<f64> = found.iter::<f64>().collect();
        let values = found.len();
        close(
            &found,
            &gradient[row * values..(row + 1) * values],
            "gradient",
        );
    }
}

#[test]
fn other_pooling_and_other_files_are_refused() {
    let file = fixture("guided_classifier.pt");
    let from = ["--from", "guided-diffusion-classifier"];
    let file = file.to_str().unwrap();
    let folder = [&from[..], &[file]].concat();
    refused(
        2,
        &folder,
        &["a classifier is a file that ends in .safetensors"],
    );
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("noisy.safetensors");
    let said = |file: &str, flags: &str| {
        let to = ["--out", out.to_str().unwrap(), "--flags", flags];
        let output = freeguide(&[&["import"], &from[..], &[file], &to].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(file, "--classifier_pool spatial").contains("spatial pooling"));
    let model = fixture("guided_default.pt");
    let model = said(model.to_str().unwrap(), "--image_size 64");
    assert!(
        model.contains("not a classifier with attention pooling"),
        "{model}"
    );
    assert!(!out.exists());
}
