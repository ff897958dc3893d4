//! NVlabs/edm's own EDMPrecond, narrow and with random weights: tests/pytorch/make_edm_fixture.py.

use std::fs;

use burn::tensor::{Device, Int, Tensor, TensorData};
use freeguide::clip::Clip;
use freeguide::denoiser::Denoiser;
use freeguide::noise_level::LogSnr;
use freeguide::prediction::Target;

use crate::support::{Expected, TOLERANCE, fixture, imported, refused};

/// Imports a fixture and compares what the network answers, and what the denoiser makes of it.
fn agrees(name: &str, further: &[&str]) -> freeguide::bundle::Model {
    let folder = tempfile::tempdir().unwrap();
    let expected = Expected::of(&fixture(&format!("{name}.expected.safetensors")));
    let flags = expected.metadata("flags");
    let further = [&["--flags", &flags], further].concat();
    let out = folder.path().join("model");
    let model = imported("edm", &fixture(&format!("{name}.pt")), &out, &further);
    let log_snr: Vec<f64> = expected
        .values("timestep")
        .iter()
        .map(|t| -8.0 * t)
        .collect();
    let null = model.config().classes.len() as u32;
    let classes = expected.classes(null);
    let error = expected.error(&model, &log_snr, &classes);
    println!("{name}: output off by {error:.1e}");
    assert!(error <= TOLERANCE, "{name}: {error}");

    // The denoiser's answer to images x + σ n, each at its own level, through the target here.
    assert_eq!(model.config().diffusion.target, Target::Edm);
    let (images, denoised) = (expected.images(), expected.values("denoised"));
    let values = denoised.len() / log_snr.len();
    for (row, (&log_snr, &class)) in log_snr.iter().zip(&classes).enumerate() {
        let level = LogSnr(log_snr);
        let sigma = level.sigma() / level.alpha();
        let z = images.clone().narrow(0, row, 1) * (sigma * level.alpha());
        let device = Device::flex();
        let answer = model.network().predict(
            Target::Edm.input(z.clone(), level),
            Tensor::from_data(TensorData::new(vec![log_snr as f32], [1]), &device),
            Tensor::<1, Int>::from_data(TensorData::new(vec![class as i32], [1]), &device),
        );
        let x = Target::Edm.read(answer, &z, level, Clip::Off).x;
        let wanted = &denoised[row * values..(row + 1) * values];
        for (found, wanted) in x.into_data().iter::<f64>().zip(wanted) {
            let most = TOLERANCE * (1.0 + wanted.abs());
            assert!(
                (found - wanted).abs() <= most,
                "{name}: {found} for {wanted}"
            );
        }
    }
    model
}

#[test]
fn its_network_after_adm_answers_alike() {
    let model = agrees("edm_adm", &[]);
    let config = model.config();
    assert_eq!((config.classes.len(), config.null_class), (4, false));
    assert_eq!((config.image.size, config.image.channels), (16, 3));
    let range = config.diffusion.log_snr;
    // σ from 0.002 to 80.
    assert!((range.min + 8.764).abs() < 1e-3 && (range.max - 12.429).abs() < 1e-3);
    assert_eq!(config.sampling.sampler.name(), "heun");
    agrees("edm_unconditional", &[]);
}

#[test]
fn a_vector_of_zeros_may_be_the_null_class() {
    let model = agrees("edm_adm", &["--null-class", "zeros"]);
    assert_eq!(
        (model.config().classes.len(), model.config().null_class),
        (4, true)
    );
}

#[test]
fn what_has_no_counterpart_is_refused_by_name() {
    let path = |name: &str| fixture(name).to_str().unwrap().to_owned();
    let from = |file: &str, flags: &str, code, words: &[&str]| {
        refused(code, &["--from", "edm", file, "--flags", flags], words);
    };
    let narrow = "--norm_groups 2 --head_channels 4";
    from(
        &path("edm_song.pt"),
        narrow,
        1,
        &["edm_song.pt", "SongUNet", "DhariwalUNet"],
    );
    from(
        &path("edm_adm.pt"),
        "",
        1,
        &["8 channels in 2 groups and wider layers in 32"],
    );
    from(
        &path("edm_adm.pt"),
        "--precond vp",
        1,
        &["preconditioning vp"],
    );
    from(&path("edm_adm.pt"), "--arch=ncsnpp", 1, &["SongUNet"]);
    from(
        &path("edm_adm.pt"),
        "--groups 2",
        2,
        &["the flags are --precond"],
    );
    from(
        &path("guided_default.pt"),
        narrow,
        1,
        &["not a state dictionary of EDM's"],
    );

    // What `pickle.dumps` makes of an object of EDM's persistence, with the source of its class.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edm.pkl");
    let pickle = b"\x80\x03ctorch_utils.persistence\n_reconstruct_persistent_obj\n}\x85R.";
    fs::write(&file, pickle).unwrap();
    let words = ["edm.pkl", "import pickle, torch", "['ema'].state_dict()"];
    from(file.to_str().unwrap(), narrow, 1, &words);
}
