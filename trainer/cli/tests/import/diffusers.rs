//! Folders of diffusers, and its grids.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use freeguide::bundle::{Model, Network};
use freeguide::prediction::Target;
use freeguide::settings::Request;
use safetensors::SafeTensors;
use serde_json::json;

use crate::support::{Expected, TOLERANCE, agrees, fixture, imported, open, refused};

#[test]
fn folders_of_diffusers_answer_as_they_did() {
    let class = agrees("diffusers", "diffusers_class", "diffusers_class", &[]);
    assert_eq!(
        (class.config().classes.len(), class.config().null_class),
        (4, false)
    );
    assert_eq!(class.config().diffusion.target, Target::Epsilon);
    // The folder of the network alone will do; its schedule is in the folder beside it.
    agrees("diffusers", "diffusers_class/unet", "diffusers_class", &[]);
    let ddpm = agrees("diffusers", "diffusers_ddpm", "diffusers_ddpm", &[]);
    assert!(ddpm.config().classes.is_empty() && ddpm.config().null_class);
    let resnet = agrees("diffusers", "diffusers_resnet", "diffusers_resnet", &[]);
    assert_eq!(resnet.config().diffusion.target, Target::V);
    assert_eq!(resnet.config().image.channels, 1);
    agrees("diffusers", "diffusers_learned", "diffusers_learned", &[]);
}

/// As data parallelism and `torch.compile` leave the names, and a file of averaged and plain weights.
#[test]
fn what_wrappers_put_before_the_names_is_taken_off() {
    let source = fixture("diffusers_learned");
    let bytes = fs::read(source.join("diffusion_pytorch_model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for prefixes in [
        &["module."][..],
        &["_orig_mod.module."],
        &["ema.", "model."],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        fs::create_dir(&copy).unwrap();
        for name in ["config.json", "scheduler_config.json"] {
            fs::copy(source.join(name), copy.join(name)).unwrap();
        }
        let named = tensors.tensors().into_iter();
        let views: Vec<_> = named
            .flat_map(|(name, view)| {
                let names = prefixes.iter().map(move |prefix| format!("{prefix}{name}"));
                names.map(move |name| (name, view.clone()))
            })
            .collect();
        let written = safetensors::serialize(views, None).unwrap();
        fs::write(copy.join("diffusion_pytorch_model.safetensors"), written).unwrap();
        let out = folder.path().join("out");
        let model = imported("diffusers", &copy, &out, &[]);
        let expected = Expected::of(&fixture("diffusers_learned.expected.safetensors"));
        let log_snr = expected.log_snr(model.config());
        let error = expected.error(&model, &log_snr, &expected.classes(0));
        assert!(error <= TOLERANCE, "{prefixes:?}: {error}");
    }
}

/// Large models are saved in several files, with an index.
#[test]
fn weights_in_several_files_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let source = fixture("diffusers_learned");
    for name in ["config.json", "scheduler_config.json"] {
        fs::copy(source.join(name), copy.join(name)).unwrap();
    }
    let bytes = fs::read(source.join("diffusion_pytorch_model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let file = |part: usize| format!("diffusion_pytorch_model-0000{part}-of-00002.safetensors");
    let mut map = BTreeMap::new();
    for part in [1, 2] {
        let named = tensors.tensors().into_iter().enumerate();
        let chosen = named.filter(|(place, _)| place % 2 == part - 1);
        let views: Vec<_> = chosen.map(|(_, named)| named).collect();
        map.extend(views.iter().map(|(name, _)| (name.clone(), file(part))));
        let written = safetensors::serialize(views, None).unwrap();
        fs::write(copy.join(file(part)), written).unwrap();
    }
    let index = copy.join("diffusion_pytorch_model.safetensors.index.json");
    fs::write(
        &index,
        json!({ "metadata": {}, "weight_map": map }).to_string(),
    )
    .unwrap();
    let expected = Expected::of(&fixture("diffusers_learned.expected.safetensors"));
    let model = imported("diffusers", &copy, &folder.path().join("out"), &[]);
    let log_snr = expected.log_snr(model.config());
    let error = expected.error(&model, &log_snr, &expected.classes(0));
    assert!(error <= TOLERANCE, "{error}");

    let path = copy.to_str().unwrap();
    fs::write(&index, r#"{"weight_map": {"x": "../x.safetensors"}}"#).unwrap();
    refused(
        1,
        &["--from", "diffusers", path],
        &["not a plain file name"],
    );
    fs::write(&index, r#"{"weight_map": {}}"#).unwrap();
    refused(1, &["--from", "diffusers", path], &["lists no file"]);
}

#[test]
fn the_grids_of_diffusers_visit_its_timesteps() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let model = imported("diffusers", &fixture("diffusers_class"), &out, &[]);
    let Network::UNet(network) = &model.config().network else {
        panic!("it is a U-Net");
    };
    let all = network.timesteps.as_ref().unwrap().levels();
    let plan = |model: &Model, json: &str| {
        let request: Request = serde_json::from_str(json).unwrap();
        model.plan(&request).map_err(|e| e.to_string())
    };
    let visited = |spacing: &str, timesteps: [usize; 4]| {
        let json = format!(r#"{{"classes": [0], "steps": 4, "grid": {{"spacing": "{spacing}"}}}}"#);
        let plan = plan(&model, &json).unwrap();
        let levels = plan.levels(model.config().diffusion.log_snr);
        assert_eq!(levels, timesteps.map(|t| all[t]), "{spacing}");
    };
    visited("leading", [750, 500, 250, 0]);
    visited("trailing", [999, 749, 499, 249]);

    let many = r#"{"classes": [0], "steps": 1001, "grid": {"spacing": "leading"}}"#;
    let error = plan(&model, many).unwrap_err();
    assert!(error.contains("steps is 1001"), "{error}");
    let range =
        r#"{"classes": [0], "grid": {"spacing": "trailing", "log_snr": {"min": -1, "max": 1}}}"#;
    let error = plan(&model, range).unwrap_err();
    assert!(error.contains("grid.log_snr does not go with"), "{error}");
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-model");
    let error = plan(
        &open(&tiny, |_| {}),
        r#"{"classes": [0], "grid": {"spacing": "leading"}}"#,
    );
    let error = error.unwrap_err();
    assert!(error.contains("continuous time"), "{error}");
}
