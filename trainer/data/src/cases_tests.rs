//! Data sets that are valid and easily misread, made by tests/data/make_cases.py. Picture n is one colour, red 10·n.

use std::fs;
use std::path::{Path, PathBuf};

use image::DynamicImage;

use super::*;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/cases");

fn case(name: &str) -> PathBuf {
    Path::new(CASES).join(name)
}

fn loaded(name: &str, recipe: &DataRecipe) -> (Result<Dataset, DataError>, Vec<String>) {
    let mut warnings = Vec::new();
    let result = load(&case(name), recipe, &mut |w| warnings.push(w.to_string()));
    (result, warnings)
}

/// The number of every picture and the name of its class.
fn pairs(data: &Dataset) -> Vec<(u8, &str)> {
    (0..data.len())
        .map(|index| {
            let class = &data.classes[data.labels[index] as usize];
            (data.image(index)[0] / 10, class.as_str())
        })
        .collect()
}

/// Loads what must come without a warning.
#[track_caller]
fn silent(name: &str, recipe: &DataRecipe) -> Dataset {
    let (data, warnings) = loaded(name, recipe);
    assert_eq!(warnings, Vec::<String>::new(), "{name}");
    data.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn refused(name: &str, recipe: &DataRecipe, words: &[&str]) {
    let error = loaded(name, recipe).0.unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

fn recipe() -> DataRecipe {
    DataRecipe::new(4)
}

fn of_split(split: &str) -> DataRecipe {
    DataRecipe {
        split: split.into(),
        ..recipe()
    }
}

#[test]
fn an_integer_is_a_place_in_the_list_of_classes() {
    let data = silent("numeric_class_names", &recipe());
    assert_eq!(data.len(), 78);
    for (picture, class) in pairs(&data) {
        assert_eq!(picture.to_string(), class);
    }
}

#[test]
fn texts_that_look_like_numbers_are_names() {
    let data = silent("numeral_strings", &recipe());
    assert_eq!(data.classes, ["1990", "2005"]);
    assert_eq!(data.labels, [0, 1, 0, 1, 0, 1]);
    let data = silent("zero_padded", &recipe());
    assert_eq!(data.classes, ["08", "09", "10"]);
    assert_eq!(data.labels, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn parts_are_told_apart_by_the_names_of_files() {
    for (name, counts) in [("split_names", [4, 2]), ("train_and_val", [6, 3])] {
        let other = match name {
            "split_names" => "test",
            _ => "validation",
        };
        assert_eq!(silent(name, &recipe()).len(), counts[0]);
        assert_eq!(silent(name, &of_split(other)).len(), counts[1]);
        let found = recognise::recognise(&case(name), &recipe(), &mut |_| ()).unwrap();
        assert!(found.description.contains("of the part \"train\" (not "));
    }
    refused(
        "train_and_val",
        &of_split("test"),
        &["no part \"test\"", "set-val-000000.tar"],
    );
}

#[test]
fn samples_without_a_picture_that_is_read_are_counted() {
    let (data, warnings) = loaded("unread_half", &recipe());
    assert_eq!(data.unwrap().len(), 6);
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(
        warning.starts_with("left out 6 samples: .avif is not read, such as "),
        "{warning}"
    );
}

#[test]
fn hard_links_in_an_archive_are_followed() {
    let data = silent("hardlinks", &recipe());
    let read: Vec<u8> = pairs(&data).iter().map(|(picture, _)| *picture).collect();
    assert_eq!(read, [0, 1, 2, 3, 4, 5, 0, 1, 2]);
}

#[test]
fn two_classes_of_one_name_are_refused_until_one_is_renamed() {
    refused(
        "duplicate_names",
        &recipe(),
        &["classes 0 and 2", "\"crane\"", "data.class_names=\"{ 2 ="],
    );
    let renamed = DataRecipe {
        class_names: [("2".into(), "crane (bird)".into())].into(),
        ..recipe()
    };
    let data = silent("duplicate_names", &renamed);
    assert_eq!(data.classes, ["crane", "dog", "crane (bird)"]);
}

#[test]
fn every_compression_of_parquet_is_read() {
    for name in ["brotli", "lz4", "gzip"] {
        let data = silent(name, &recipe());
        assert_eq!(pairs(&data), [(0, "0"), (1, "1"), (2, "0"), (3, "1")]);
    }
}

#[test]
fn images_that_a_table_only_names_are_read_beside_it() {
    let data = silent("paths_only", &recipe());
    assert_eq!(pairs(&data), [(0, "0"), (1, "1"), (2, "0"), (3, "1")]);
    // Without the files the sentence names one.
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("train.parquet");
    fs::copy(case("paths_only").join("train.parquet"), &table).unwrap();
    let error = load(folder.path(), &recipe(), &mut |_| ()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("the file images/0.png that it names"),
        "{error}"
    );
}

#[test]
fn stand_ins_of_git_lfs_are_called_so() {
    for name in ["pointer_parquet", "pointer_tar", "pointer_bin"] {
        refused(name, &recipe(), &["Git LFS pointer", "git lfs pull"]);
    }
    let (data, warnings) = loaded("pointer_image", &recipe());
    assert_eq!(data.unwrap().len(), 3);
    assert!(
        warnings[0].contains("3.png: it is a Git LFS pointer"),
        "{warnings:?}"
    );
}

#[test]
fn names_of_members_may_have_several_dots() {
    let data = silent("several_dots", &recipe());
    let labels: Vec<&str> = pairs(&data).iter().map(|(_, class)| *class).collect();
    assert_eq!(labels, ["0", "1", "0", "1", "0", "1"]);
    let of_text = DataRecipe {
        label_column: Some("txt".into()),
        image_column: Some("input.png".into()),
        ..recipe()
    };
    let data = silent("several_dots", &of_text);
    assert_eq!(data.classes, ["kind 0", "kind 1", "kind 2"]);
    let absent = DataRecipe {
        label_column: Some("caption".into()),
        ..recipe()
    };
    refused(
        "several_dots",
        &absent,
        &["none of 6 images", "lies .label.cls and .txt"],
    );
}

#[test]
fn gif_bmp_tiff_and_webp_are_read() {
    let data = silent("other_formats", &recipe());
    let read: Vec<u8> = pairs(&data).iter().map(|(picture, _)| *picture).collect();
    assert_eq!(read, [0, 1, 2, 3]);
}

#[test]
fn class_folders_in_an_archive() {
    let (data, warnings) = loaded("folders_in_tar", &recipe());
    let expected = [(0, "cats"), (2, "cats"), (1, "dogs"), (3, "dogs")];
    assert_eq!(pairs(&data.unwrap()), expected);
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(
        warning.contains("left out 1 file not named .png"),
        "{warning}"
    );
}

/// The largest difference of two pictures, of 255.
fn difference(one: &DynamicImage, other: &DynamicImage) -> u8 {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let (one, other) = (one.to_rgb8(), other.to_rgb8());
    let both = one.as_raw().iter().zip(other.as_raw());
    both.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// Every way in which colours are sampled and scanned, against libjpeg-turbo. Decoders may interpolate colours that are
/// stored at half the size in their own way, up to 11 of 255 in zune-jpeg's; what is misread differs by more than 100.
#[test]
fn jpegs_are_read_as_libjpeg_turbo_reads_them() {
    let mut read = 0;
    for entry in fs::read_dir(case("jpeg")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "jpg") {
            continue;
        }
        let stored = Stored::Encoded(fs::read(&path).unwrap());
        let image = decode::decode(stored).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let expected = image::open(path.with_extension("png")).unwrap();
        let most = difference(&image, &expected);
        assert!(most <= 12, "{} differs by {most}", path.display());
        read += 1;
    }
    assert_eq!(read, 32);
}

/// Records of which the decoder panics at one, as decoders of dependencies do at some valid pictures.
struct Panicking(Vec<u32>, Vec<String>);

impl records::Records for Panicking {
    fn labels(&self) -> &[u32] {
        &self.0
    }

    fn classes(&self) -> &[String] {
        &self.1
    }

    fn name(&self, index: usize) -> String {
        format!("picture {index}")
    }

    fn stored_len(&self, _: usize) -> Option<u64> {
        None
    }

    fn read(&self, index: usize) -> Result<Stored, String> {
        assert!(index != 2, "on purpose");
        let pixels = image::RgbImage::from_pixel(4, 4, image::Rgb([10 * index as u8, 0, 0]));
        Ok(Stored::Pixels(pixels.into()))
    }
}

#[test]
fn a_decoder_that_panics_skips_one_picture() {
    let records = || Panicking(vec![0; 5], vec!["one".into()]);
    let expected = Warning::Unreadable {
        name: "picture 2".into(),
        reason: "its decoder fails at it".into(),
    };
    let mut warnings = Vec::new();
    let transform = recipe().transform();
    let data = memory::decode_all(&records(), &transform, &mut |w| warnings.push(w)).unwrap();
    let read: Vec<u8> = (0..data.len()).map(|k| data.image(k)[0] / 10).collect();
    assert_eq!(read, [0, 1, 3, 4]);
    assert_eq!(warnings, std::slice::from_ref(&expected));

    let streamed = streamed::Streamed::new(Box::new(records()), &recipe()).unwrap();
    let images = streamed.images(&[1, 2, 4]).unwrap();
    let taken: Vec<usize> = images.iter().map(|(index, _)| *index).collect();
    assert_eq!(taken, [1, 3, 4]);
    assert_eq!(streamed.take_warnings(), [expected]);
    let print = fingerprint::sampled(streamed.records(), streamed.transform());
    assert_eq!(print.unwrap().len(), 64);
}
