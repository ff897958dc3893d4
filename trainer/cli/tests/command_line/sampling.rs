//! Pictures from the command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::process::*;
use serde_json::Value;

/// `sample` from the tiny model.
pub fn sample(out: &str, more: &[&str]) -> Ran {
    let model = tiny_model();
    let mut arguments = vec!["sample", "--model", &model, "--out", out];
    if !more.contains(&"--device") {
        arguments.extend(["--device", "cpu"]);
    }
    arguments.extend(more);
    run(&arguments)
}

/// Samples into a folder and returns its files by name.
fn drawn(more: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let place = tempfile::tempdir().unwrap();
    sample(&format!("{}/deep/er/", place.path().display()), more).ok();
    let folder = place.path().join("deep/er");
    names(&folder)
        .into_iter()
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

#[test]
fn a_seed_gives_the_same_bytes_in_any_company() {
    for options in [
        &["--class", "disc", "--guidance", "2"][..],
        &["--class", "triangle", "--guidance", "0"],
        &[
            "--class",
            "disc",
            "--class",
            "none",
            "--class",
            "square",
            "--class",
            "triangle",
            "--sampler",
            "ancestral",
        ],
        &["--class", "square", "--guidance", "-0.5", "--no-clip"],
        &[
            "--class",
            "disc:0.5,square:0.25,triangle:0.25",
            "--class",
            "disc",
            "--class",
            "square:0.5,disc:0.5",
            "--class",
            "triangle",
            "--guidance",
            "1",
        ],
    ] {
        let with =
            |more: &[&str]| drawn(&[options, more, &["--seed", "7", "--steps", "6"]].concat());
        let eight = with(&["--count", "8"]);
        assert_eq!(eight.len(), 8);
        assert!(eight == with(&["--count", "8"]), "{options:?}");
        let in_order: Vec<_> = eight.keys().map(String::as_str).collect();
        assert_eq!(in_order[..2], ["00000.png", "00001.png"]);
        assert_ne!(eight["00000.png"], eight["00004.png"]);
        for more in [
            &["--count", "4"][..],
            &["--count", "8", "--batch", "1"],
            &["--count", "7", "--batch", "3"],
            // Classes take turns from the first image that is drawn.
            &["--count", "4", "--first-image", "4"],
        ] {
            for (name, bytes) in with(more) {
                assert!(bytes == eight[&name], "{name} with {more:?} of {options:?}");
            }
        }
        let other = drawn(&[options, &["--seed", "8", "--steps", "6", "--count", "1"]].concat());
        assert_ne!(other["00000.png"], eight["00000.png"]);
    }
}

#[test]
fn between_two_seeds_lie_other_pictures() {
    let one = |seed: &str, more: &[&str]| {
        let options = ["--class", "disc", "--count", "1", "--steps", "4", "--seed"];
        let mut files = drawn(&[&options[..], &[seed], more].concat());
        files.remove("00000.png").unwrap()
    };
    // What a PNG says of its seeds differs, its pixels do not.
    let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().to_rgb8();
    let (first, last) = (pixels(&one("7", &[])), pixels(&one("8", &[])));
    assert_eq!(pixels(&one("7", &["--toward", "8:0"])), first);
    assert_eq!(pixels(&one("7", &["--toward", "8:1"])), last);
    let middle = one("7", &["--toward", "8"]);
    assert!(middle == one("7", &["--toward", "8:0.5"]));
    assert!(![&first, &last].contains(&&pixels(&middle)));
    let says = String::from_utf8_lossy(&middle).into_owned();
    assert!(says.contains(r#""toward":{"seed":8,"t":0.5}"#), "{says}");

    let place = tempfile::tempdir().unwrap();
    let out = text(place.path()).to_owned() + "/";
    sample(&out, &["--toward", "8:1.5"]).refused(2, &["t from 0 to 1"]);
    sample(&out, &["--toward", "x"]).refused(2, &[]);
}

#[test]
fn a_mix_lies_between_its_classes() {
    let one = |class: &str| {
        let options = ["--count", "1", "--steps", "4", "--seed", "7", "--class"];
        let mut files = drawn(&[&options[..], &[class]].concat());
        files.remove("00000.png").unwrap()
    };
    let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().to_rgb8();
    let (disc, square) = (pixels(&one("disc")), pixels(&one("square")));
    assert_eq!(pixels(&one("disc:1,square:0")), disc);
    assert_eq!(pixels(&one("disc:0,1:1")), pixels(&one("1")));
    let mixed = one("disc:0.75,square:0.25");
    let distance = |other: &image::RgbImage| -> u32 {
        let pairs = pixels(&mixed).into_raw().into_iter().zip(other.as_raw());
        pairs.map(|(a, &b)| u32::from(a.abs_diff(b))).sum()
    };
    assert!(distance(&disc) > 0 && distance(&square) > distance(&disc));
    let says = String::from_utf8_lossy(&mixed).into_owned();
    assert!(
        says.contains(r#""class":{"disc":0.75,"square":0.25}"#),
        "{says}"
    );

    let place = tempfile::tempdir().unwrap();
    let out = text(place.path()).to_owned() + "/";
    let refused = |class: &str, words: &[&str]| {
        sample(&out, &["--class", class]).refused(2, words);
    };
    refused(
        "disc:0.7,square:0.2",
        &["must add up to 1", "add up to 0.9"],
    );
    refused("disc:1.5,square:-0.5", &["weight of disc", "from 0 to 1"]);
    refused("disc:0.5,cow:0.5", &["no class \"cow\"", "square"]);
    refused("disc:0.5,none:0.5", &["not of `none`"]);
}

#[test]
fn a_dynamic_threshold_saturates_less_than_clipping() {
    let place = tempfile::tempdir().unwrap();
    let model = shipped_model("emoji16");
    let saturated = |more: &[&str]| {
        let out = text(place.path()).to_owned() + "/pictures/";
        let options = [
            "sample",
            "--model",
            &model,
            "--device",
            "cpu",
            "--out",
            &out,
            "--class",
            "symbols",
            "--count",
            "6",
            "--seed",
            "4",
            "--steps",
            "12",
            "--guidance",
            "8",
        ];
        run(&[&options[..], more].concat()).ok();
        let all = (0..6).flat_map(|at| {
            let file = place.path().join(format!("pictures/{at:05}.png"));
            image::open(file).unwrap().to_rgb8().into_raw()
        });
        all.filter(|value| [0, 255].contains(value)).count()
    };
    let (clipped, dynamic) = (saturated(&[]), saturated(&["--dynamic-threshold", "0.9"]));
    assert!(dynamic < clipped, "{dynamic} of {clipped}");
    let first = fs::read(place.path().join("pictures/00000.png")).unwrap();
    assert!(String::from_utf8_lossy(&first).contains(r#""dynamic_threshold":0.9"#));
    let out = text(place.path()).to_owned() + "/";
    sample(&out, &["--dynamic-threshold", "1.5"]).refused(2, &["above 0 and at most 1"]);
    sample(&out, &["--dynamic-threshold", "0.9", "--no-clip"]).refused(2, &["a way of clipping"]);
}

/// How much pixels of an image differ from their neighbours across opposite edges, relative to inner neighbours.
fn seam(image: &image::RgbImage) -> f64 {
    let (width, height) = image.dimensions();
    let difference = |a: (u32, u32), b: (u32, u32)| -> f64 {
        let pair = image
            .get_pixel(a.0, a.1)
            .0
            .into_iter()
            .zip(image.get_pixel(b.0, b.1).0);
        pair.map(|(a, b)| f64::from(a.abs_diff(b))).sum()
    };
    let (mut inner, mut across) = (0.0, 0.0);
    for y in 0..height {
        for x in 0..width {
            let right = difference((x, y), ((x + 1) % width, y));
            let below = difference((x, y), (x, (y + 1) % height));
            *(if x + 1 < width {
                &mut inner
            } else {
                &mut across
            }) += right;
            *(if y + 1 < height {
                &mut inner
            } else {
                &mut across
            }) += below;
        }
    }
    across * f64::from(width - 1) / inner
}

#[test]
fn opposite_edges_of_tileable_pictures_match_as_inner_neighbours_do() {
    let place = tempfile::tempdir().unwrap();
    let model = shipped_model("cifar10-small");
    let ratio = |more: &[&str]| {
        let out = text(place.path()).to_owned() + "/pictures/";
        let options = [
            "sample",
            "--model",
            &model,
            "--device",
            "cpu",
            "--out",
            &out,
            "--class",
            "ship",
            "--class",
            "deer",
            "--class",
            "truck",
            "--class",
            "frog",
            "--count",
            "12",
            "--seed",
            "3",
            "--sampler",
            "ddim",
            "--steps",
            "24",
            "--guidance",
            "1",
        ];
        run(&[&options[..], more].concat()).ok();
        let all = (0..12).map(|at| {
            let file = place.path().join(format!("pictures/{at:05}.png"));
            seam(&image::open(file).unwrap().to_rgb8())
        });
        all.sum::<f64>() / 12.0
    };
    let (plain, tileable) = (ratio(&[]), ratio(&["--tileable"]));
    assert!(plain > 2.0, "{plain}");
    assert!(tileable < 1.4, "{tileable}");
    let first = fs::read(place.path().join("pictures/00000.png")).unwrap();
    assert!(String::from_utf8_lossy(&first).contains(r#""tileable":true"#));
}

#[test]
fn a_run_starts_from_a_picture_and_keeps_what_a_mask_leaves_out() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, of: fn(u32, u32) -> [u8; 3]| {
        let path = place.path().join(name);
        image::RgbImage::from_fn(8, 8, |x, y| image::Rgb(of(x, y)))
            .save(&path)
            .unwrap();
        text(&path).to_owned()
    };
    let picture = file("picture.png", |x, y| [200, (20 * x) as u8, (20 * y) as u8]);
    let left = file("left.png", |x, _| if x < 4 { [255; 3] } else { [0; 3] });
    let black = file("black.png", |_, _| [0; 3]);
    let options = [
        "--class", "disc", "--count", "1", "--steps", "8", "--image", &picture,
    ];
    let one = |more: &[&str]| {
        let mut files = drawn(&[&options[..], more].concat());
        let png = files.remove("00000.png").unwrap();
        let says = String::from_utf8_lossy(&png).into_owned();
        (image::load_from_memory(&png).unwrap().to_rgb8(), says)
    };
    let (near, says) = one(&["--strength", "0.2"]);
    assert!(says.contains(r#""strength":0.2"#), "{says}");
    let (far, _) = one(&["--strength", "0.9"]);
    assert_ne!(near, far);
    let (filled, says) = one(&["--mask", &left, "--sampler", "ddim", "--resampling", "2"]);
    assert!(says.contains(r#""resampling":2"#), "{says}");
    let size = filled.width();
    let kept = |x: u32| {
        image::open(&picture)
            .unwrap()
            .to_rgb8()
            .get_pixel(x * 8 / size, 0)
            .0
    };
    assert_eq!(filled.get_pixel(size - 1, 0).0, kept(size - 1));
    assert_ne!(filled.get_pixel(0, 0).0, kept(0));

    let out = text(place.path()).to_owned() + "/out/";
    let refused = |more: &[&str], words: &str| {
        sample(&out, more).refused(2, &[words]);
    };
    refused(&["--mask", &left], "--mask needs --image");
    refused(&["--image", &picture, "--mask", &black], "covers nothing");
    refused(&["--strength", "0.5"], "strength needs a picture");
    sample(&out, &["--image", "missing.png"]).refused(1, &["missing.png: "]);
}

#[test]
fn guidance_leads_away_from_a_class() {
    let options = ["--class", "disc", "--count", "1", "--steps", "4"];
    let away = drawn(&[&options[..], &["--negative", "1"]].concat());
    assert_ne!(away["00000.png"], drawn(&options)["00000.png"]);
    let place = tempfile::tempdir().unwrap();
    let out = text(place.path()).to_owned() + "/";
    sample(&out, &["--negative", "unicorn"]).refused(2, &["there is no class \"unicorn\""]);
}

#[test]
fn classes_are_names_ids_or_none() {
    let one = |class: &str| {
        drawn(&["--class", class, "--count", "1", "--steps", "4"])
            .remove("00000.png")
            .unwrap()
    };
    let disc = one("disc");
    assert!(disc == one("0"));
    assert!(disc != one("2"));
    // The unconditional model: w has no meaning for it, but it is part of the settings.
    let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().to_rgb8().into_raw();
    let none = |w: &str| {
        drawn(&["--class", "none", "--guidance", w, "--count", "1"])
            .remove("00000.png")
            .unwrap()
    };
    assert_eq!(pixels(&none("0")), pixels(&none("3")));

    // What the fixture draws is what it is called.
    let mean = |class: &str, channel: usize| {
        let files = drawn(&["--class", class, "--count", "6", "--guidance", "1"]);
        let all = files
            .values()
            .flat_map(|png| pixels(png))
            .skip(channel)
            .step_by(3);
        all.map(f64::from).sum::<f64>() / (6.0 * 64.0)
    };
    for (class, channel) in [("disc", 0), ("square", 1), ("triangle", 2)] {
        for other in (0..3).filter(|&c| c != channel) {
            assert!(mean(class, channel) > mean(class, other) + 10.0, "{class}");
        }
    }
}

#[test]
fn a_picture_carries_the_settings_that_made_it() {
    let place = tempfile::tempdir().unwrap();
    let folder = format!("{}/", place.path().display());
    let options = [
        "--class",
        "1",
        "--guidance",
        "1.5",
        "--steps",
        "3",
        "--seed",
        "9007199254740991",
    ];
    let json = sample(
        &folder,
        &[&options[..], &["--count", "2", "--json"]].concat(),
    )
    .ok();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["files"].as_array().unwrap().len(), 2);

    let file = json["files"][1].as_str().unwrap();
    let settings: Value = serde_json::from_str(&run(&["inspect", file]).ok().out).unwrap();
    assert_eq!(settings, json["images"][1]);
    for (key, value) in [
        ("model", serde_json::json!("tiny")),
        ("class", serde_json::json!("square")),
        ("guidance", serde_json::json!(1.5)),
        ("steps", serde_json::json!(3)),
        ("sampler", serde_json::json!("ddim")),
        ("seed", serde_json::json!(9_007_199_254_740_991u64)),
        ("image", serde_json::json!(1)),
        ("clip", serde_json::json!(true)),
    ] {
        assert_eq!(settings[key], value, "{key}");
    }
    // A grid carries those of every picture on it; without --json nothing is printed for programs.
    let grid = place.path().join("grid.png");
    let ran = sample(text(&grid), &["--count", "5", "--class", "none"]).ok();
    assert!(ran.out.is_empty() && ran.err.contains("5 images"));
    let settings: Value = serde_json::from_str(&run(&["inspect", text(&grid)]).ok().out).unwrap();
    assert_eq!(settings.as_array().unwrap().len(), 5);
    assert_eq!(settings[4]["class"], Value::Null);
    assert!(image::open(&grid).unwrap().width() > 100);

    let plain = format!("{}/disc/000.png", data());
    run(&["inspect", &plain]).refused(1, &["000.png", "no settings"]);
}

#[test]
fn what_cannot_be_drawn_is_bad_usage() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("x.png");
    let known = "0 disc, 1 square, 2 triangle";
    for (options, words) in [
        (&["--class", "zebra"][..], &["\"zebra\"", known][..]),
        (&["--class", "3"], &["no class 3", known]),
        (&["--class", ""], &["\"\"", known]),
        (&["--class", "99999999999999999999"], &[known]),
        (&["--count", "0"], &["--count is 0"]),
        (&["--count", "100000"], &["--count is 100000", "4096"]),
        (&["--count", "18446744073709551615"], &["--count", "4096"]),
        (&["--count", "-1"], &["-1"]),
        (&["--steps", "0"], &["steps is 0"]),
        (&["--steps", "10001"], &["steps is 10001", "10000"]),
        (&["--guidance", "NaN"], &["NaN", "a finite number"]),
        (&["--guidance", "inf"], &["inf", "a finite number"]),
        (&["--guidance", "1e300"], &["guidance is 1e300"]),
        (&["--guidance", "strong"], &["strong"]),
        (
            &["--variance-interpolation", "1.5"],
            &["variance_interpolation is 1.5"],
        ),
        (
            &["--variance-interpolation", "nan"],
            &["nan", "a finite number"],
        ),
        (
            &["--seed", "9007199254740992"],
            &["seed is 9007199254740992"],
        ),
        (&["--seed", "-1"], &["-1"]),
        (
            &["--first-image", "9007199254740991", "--count", "2"],
            &["first_image"],
        ),
        (&["--batch", "0"], &["--batch"]),
        (&["--sampler", "euler"], &["euler", "ddim, ancestral"]),
        (
            &["--device", "abacus"],
            &["\"abacus\"", "freeguide devices"],
        ),
    ] {
        sample(text(&out), options).refused(2, words);
    }
    assert_eq!(names(place.path()), [""; 0]);
    run(&["sample", "--model", &tiny_model()]).refused(2, &["required"]);
}

#[test]
fn where_nothing_can_be_written_nothing_is_drawn() {
    // A file in the place of a folder: refused to every user, root included.
    let file = recipe();
    for out in [
        format!("{file}/x.png"),
        format!("{file}/"),
        format!("{file}/deep/er/"),
    ] {
        sample(&out, &[]).refused(1, &["cannot create the folder", "tiny.toml"]);
    }
    train(Path::new(&file), &[]).refused(1, &["cannot create the folder", "tiny.toml"]);
    let place = tempfile::tempdir().unwrap();
    for out in ["", ".", text(place.path())] {
        sample(out, &[]).refused(2, &["--out", "ends in /"]);
    }
}
