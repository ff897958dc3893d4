//! Null classes in any place, and models without one or without classes.

use std::fs;

use freeguide::settings::{ClassName, PerImage, Request, RequestError};

use crate::support::{Expected, TOLERANCE, fixture, freeguide, imported};

/// A class in the middle that was trained as ∅ goes to the end, and the others move up.
#[test]
fn any_class_can_be_the_null_class() {
    let expected = Expected::of(&fixture("diffusers_class.expected.safetensors"));
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.txt");
    fs::write(&names, "cat\ndog\nowl\n").unwrap();
    let further = [
        "--null-class",
        "1",
        "--classes",
        names.to_str().unwrap(),
        "--license",
        "MIT",
    ];
    let out = folder.path().join("animals");
    let model = imported("diffusers", &fixture("diffusers_class"), &out, &further);
    let config = model.config();
    assert_eq!((config.name.as_str(), config.null_class), ("animals", true));
    assert_eq!(
        config.classes.iter().collect::<Vec<_>>(),
        ["cat", "dog", "owl"]
    );
    assert_eq!(config.provenance.license, "MIT");
    let moved: Vec<u32> = expected
        .classes(0)
        .iter()
        .map(|&c| [0, 3, 1, 2][c as usize])
        .collect();
    let error = expected.error(&model, &expected.log_snr(config), &moved);
    assert!(error <= TOLERANCE, "{error}");
    let request = Request {
        guidance: Some(PerImage::All(2.0)),
        ..Request::new(vec![ClassName::Name("owl".to_owned())])
    };
    model.plan(&request).unwrap();
}

#[test]
fn a_model_without_a_null_class_refuses_guidance() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("only");
    let model = imported("diffusers", &fixture("diffusers_class"), &out, &[]);
    let mut request = Request::new(vec![ClassName::Id(1)]);
    model.plan(&request).unwrap();
    request.guidance = Some(PerImage::All(1.0));
    let refused = model.plan(&request).unwrap_err();
    assert!(
        matches!(refused, RequestError::NoNullClass { .. }),
        "{refused}"
    );

    let (model, picture) = (out.to_str().unwrap(), folder.path().join("x.png"));
    let draw = |further: &[&str]| {
        let out = picture.to_str().unwrap();
        let common = [
            "sample", "--model", model, "--count", "2", "--steps", "2", "--out", out,
        ];
        freeguide(&[&common, further].concat())
    };
    assert!(draw(&[]).status.success());
    for asked in [&["--guidance", "2"][..], &["--class", "none"]] {
        let output = draw(asked);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("no null class") && errors.lines().count() == 1,
            "{errors}"
        );
    }
}

#[test]
fn a_model_without_classes_draws() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("ddpm");
    imported("diffusers", &fixture("diffusers_ddpm"), &out, &[]);
    let picture = folder.path().join("x.png");
    let arguments = [
        "sample",
        "--model",
        out.to_str().unwrap(),
        "--count",
        "2",
        "--steps",
        "2",
    ];
    let output = freeguide(&[&arguments[..], &["--out", picture.to_str().unwrap()]].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(picture.is_file());
}
