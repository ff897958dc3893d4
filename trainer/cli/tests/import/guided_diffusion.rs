//! Checkpoints of openai/guided-diffusion.

use std::path::PathBuf;

use burn::tensor::Device;
use freeguide::bundle::Model;
use freeguide::network::UNetConfig;
use serde_json::json;

use crate::support::{Expected, TOLERANCE, agrees, fixture, imported, open};

fn guided(name: &str, further: &[&str]) -> Model {
    let expected = Expected::of(&fixture(&format!("{name}.expected.safetensors")));
    let flags = expected.metadata("flags");
    let further = [&["--flags", &flags], further].concat();
    agrees("guided-diffusion", &format!("{name}.pt"), name, &further)
}

#[test]
fn guided_diffusions_networks_answer_as_they_did() {
    let learned = guided("guided_learned", &[]);
    assert!(!learned.config().null_class);
    assert_eq!(learned.config().classes.len(), 5);
    guided("guided_default", &[]);
    let unconditional = guided("guided_unconditional", &[]);
    assert!(unconditional.config().classes.is_empty());
    assert!(unconditional.config().null_class);
}

/// The paper's network: as many parameters as openai/guided-diffusion's, and the same answer,
/// both where it is shown timesteps and where it is shown λ, as those that are trained here.
#[test]
fn the_papers_network_is_guided_diffusions() {
    let model = guided("guided_adm64", &["--null-class", "last"]);
    assert_eq!(model.config().classes.len(), 1000);

    let expected = Expected::of(&fixture("guided_adm64.expected.safetensors"));
    let preset: UNetConfig = serde_json::from_value(json!({
        "preset": "adm64", "base_channels": 4, "head_channels": 4, "norm_groups": 2,
    }))
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let flags = expected.metadata("flags");
    let out = folder.path().join("narrow");
    let further = ["--null-class", "last", "--flags", &flags];
    imported(
        "guided-diffusion",
        &fixture("guided_adm64.pt"),
        &out,
        &further,
    );
    let narrow = open(&out, |config| {
        config["network"] = serde_json::to_value(&preset).unwrap();
        config["network"]["kind"] = "unet".into();
    });
    // t = 1000 (20 − λ)/40.
    let log_snr: Vec<f64> = expected
        .values("timestep")
        .iter()
        .map(|t| 20.0 - t / 25.0)
        .collect();
    let error = expected.error(&narrow, &log_snr, &expected.classes(1000));
    println!("adm64, narrow: output off by {error:.1e}");
    assert!(error <= TOLERANCE, "{error}");

    let network = UNetConfig::adm64().init(64, 3, 1000, &Device::flex());
    let parameters = freeguide::bundle::parameters(&network);
    let count: usize = parameters
        .iter()
        .map(|p| p.shape.iter().product::<usize>())
        .sum();
    assert_eq!(count.to_string(), expected.metadata("adm64_parameters"));
}

/// `make_guided_diffusion_fixture.py CHECKOUT --full FILE` makes the files that FREEGUIDE_ADM64
/// names.
#[test]
#[ignore = "needs 1.2 GB of weights: see tests/pytorch/make_guided_diffusion_fixture.py"]
fn the_papers_network_in_full() {
    let file =
        PathBuf::from(std::env::var("FREEGUIDE_ADM64").expect("FREEGUIDE_ADM64 names a file"));
    let expected = Expected::of(&file.with_extension("expected.safetensors"));
    let folder = tempfile::tempdir().unwrap();
    let flags = expected.metadata("flags");
    let further = ["--null-class", "last", "--dtype", "f16", "--flags", &flags];
    let model = imported("guided-diffusion", &file, folder.path(), &further);
    let log_snr = expected.log_snr(model.config());
    let error = expected.error(&model, &log_snr, &expected.classes(1000));
    println!(
        "adm64: {} parameters, output off by {error:.1e}",
        model.config().provenance.parameters
    );
    assert!(error <= TOLERANCE, "{error}");
}
