//! The same images in every layout, made by tests/data/make.py with other people's libraries; what they come to was
//! computed there with Pillow and NumPy alone.

use std::path::{Path, PathBuf};

use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");

fn fixture(name: &str) -> PathBuf {
    Path::new(FIXTURES).join(name)
}

fn expected(key: &str) -> String {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    all[key].as_str().unwrap().to_owned()
}

/// Settings for a layout whose labels are numbers: the classes of the others.
fn named() -> DataRecipe {
    let names = [("0", "bird"), ("1", "cat"), ("2", "dog")];
    DataRecipe {
        class_names: names.map(|(id, name)| (id.into(), name.into())).into(),
        ..DataRecipe::new(32)
    }
}

fn plain() -> DataRecipe {
    DataRecipe::new(32)
}

fn flat() -> DataRecipe {
    DataRecipe {
        layout: recipe::Layout::Flat,
        ..plain()
    }
}

#[track_caller]
fn opened(name: &str, recipe: &DataRecipe) -> TrainingSet {
    let mut warnings = Vec::new();
    let set = TrainingSet::open(&fixture(name), recipe, &mut |w| warnings.push(w));
    let set = set.unwrap_or_else(|error| panic!("{name}: {error}"));
    let told = |w: &Warning| !matches!(w, Warning::ClassesWithoutImages { .. });
    assert!(!warnings.iter().any(told), "{name}: {warnings:?}");
    set
}

/// Layouts, the settings that each needs, and what the first line says of it.
fn layouts() -> Vec<(&'static str, DataRecipe, &'static str)> {
    vec![
        ("cifar", plain(), "2 binary batches of CIFAR-10"),
        (
            "cifar-py",
            plain(),
            "2 pickled batches of CIFAR-10 of the part \"train\" (not test_batch)",
        ),
        ("cifar100", plain(), "1 binary batch of CIFAR-100"),
        (
            "cifar100-py",
            plain(),
            "1 pickled batch of CIFAR-100 of the part \"train\" (not test)",
        ),
        (
            "imagenet-npz",
            named(),
            "2 NumPy archives of the part \"train\" (not val_data.npz)",
        ),
        (
            "imagenet-py",
            named(),
            "2 pickled batches of downsampled ImageNet of the part \"train\"",
        ),
        ("medmnist", named(), "1 NumPy archive of the part \"train\""),
        ("keras", named(), "1 NumPy archive of the part \"train\""),
        ("guided-npz", named(), "1 NumPy archive"),
        ("folders", plain(), "class folders"),
        ("folders-tgz", plain(), "class folders in 1 tar archive"),
        ("folders-zip", plain(), "class folders in 1 ZIP archive"),
        ("flat", flat(), "images with their classes in their names"),
        ("edm", named(), "images with their classes in dataset.json"),
        (
            "edm-zip",
            named(),
            "1 ZIP archive with classes in dataset.json",
        ),
        ("shards", plain(), "2 tar shards"),
        ("shards-json", plain(), "2 tar shards"),
        ("hub", plain(), "2 Parquet files of the part \"train\""),
    ]
}

#[test]
fn every_layout_comes_to_the_same_images_and_labels() {
    for (name, recipe, description) in layouts() {
        let set = opened(name, &recipe);
        let summary = set.summary();
        assert!(summary[0].contains(description), "{}", summary[0]);
        assert_eq!(set.fingerprint().unwrap(), expected("whole"), "{name}");
    }
}

/// Layouts with several labels an image, the settings that each needs, and whether it has numbers too.
fn with_attributes() -> Vec<(&'static str, DataRecipe, bool)> {
    let ages = |column: &str| DataRecipe {
        number_column: Some(column.into()),
        ..plain()
    };
    vec![
        ("attributes-celeba", plain(), false),
        ("attributes-edm", plain(), false),
        ("attributes-jsonl", plain(), false),
        ("attributes-jsonl", ages("age"), true),
        ("attributes-shards", ages("age"), true),
        ("attributes-hub", plain(), false),
        ("attributes-hub", ages("age"), true),
        ("attributes-npz", plain(), false),
        ("attributes-npz", ages("age"), true),
    ]
}

#[test]
fn every_layout_comes_to_the_same_attributes_and_numbers() {
    for (name, recipe, has_numbers) in with_attributes() {
        let set = opened(name, &recipe);
        let print = set.fingerprint().unwrap();
        let wanted = if has_numbers { "ages" } else { "attributes" };
        assert_eq!(print, expected(wanted), "{name}");
        assert_eq!(set.labels_of(6), [0, 1, 2], "{name}");
        assert_eq!(set.labels_of(7), [0u32; 0], "{name}");
        assert_eq!(set.number_of(3), has_numbers.then_some(2.5), "{name}");
        assert_eq!(set.number_of(4), None, "{name}");
        let summary = set.summary();
        assert!(
            summary[1].contains("12 images of 3 attributes"),
            "{summary:?}"
        );
        assert_eq!(summary.len(), 5 + usize::from(has_numbers), "{summary:?}");
    }
}

#[test]
fn the_partition_of_celeba() {
    let split = DataRecipe {
        split: "test".into(),
        ..plain()
    };
    let set = opened("attributes-celeba", &split);
    assert_eq!(
        (set.len(), set.labels_of(0), set.labels_of(1)),
        (2, &[2][..], &[0][..])
    );
}

#[test]
fn a_column_of_numbers_that_is_not_there_is_named() {
    for name in ["attributes-hub", "attributes-npz"] {
        let recipe = DataRecipe {
            number_column: Some("weight".into()),
            ..plain()
        };
        let error = TrainingSet::open(&fixture(name), &recipe, &mut |_| ());
        let error = error.err().unwrap().to_string();
        assert!(
            error.contains("data.number_column is \"weight\""),
            "{error}"
        );
        assert!(error.contains("age"), "{error}");
    }
}

#[test]
fn streamed_and_in_memory_are_the_same() {
    let several = with_attributes().into_iter();
    let several = several.map(|(name, recipe, _)| (name, recipe, ""));
    for (name, recipe, _) in layouts().into_iter().chain(several) {
        let memory = opened(name, &recipe);
        let streaming = DataRecipe {
            memory: 0,
            workers: 2,
            ..recipe
        };
        let streamed = opened(name, &streaming);
        let (order, flips) = ([11, 3, 0, 7], [false, true, false, false]);
        let one = memory.batch(&order, &flips).unwrap();
        assert_eq!(streamed.batch(&order, &flips).unwrap(), one, "{name}");
        assert_eq!(streamed.beside, memory.beside, "{name}");
        let print = streamed.fingerprint().unwrap();
        assert_eq!(print, opened(name, &streaming).fingerprint().unwrap());
    }
}

#[test]
fn the_test_part_of_every_layout() {
    for (name, recipe, split) in [
        ("cifar", plain(), "test"),
        ("cifar-py", plain(), "test"),
        ("cifar100", plain(), "test"),
        ("cifar100-py", plain(), "test"),
        ("imagenet-npz", named(), "validation"),
        ("imagenet-py", named(), "val"),
        ("medmnist", named(), "test"),
        ("keras", named(), "test"),
        ("hub", plain(), "test"),
    ] {
        let recipe = DataRecipe {
            split: split.into(),
            ..recipe
        };
        let set = opened(name, &recipe);
        assert_eq!(set.fingerprint().unwrap(), expected("test"), "{name}");
    }
    let other = DataRecipe {
        split: "validation".into(),
        ..plain()
    };
    assert_eq!(opened("medmnist", &other).len(), 2);
    let error = TrainingSet::open(&fixture("keras"), &other, &mut |_| ());
    let error = error.err().unwrap().to_string();
    assert!(error.contains("no part \"validation\""), "{error}");
}

#[test]
fn mnist_is_grey_and_compressed() {
    let set = opened("mnist", &plain());
    assert!(set.summary()[0].contains("1 idx file of images of the part \"train\""));
    assert_eq!(set.fingerprint().unwrap(), expected("grey"));
    let test = DataRecipe {
        split: "test".into(),
        ..plain()
    };
    assert_eq!(opened("mnist", &test).labels, [2, 0]);
}

#[test]
fn the_coarse_classes_of_cifar100() {
    let coarse = DataRecipe {
        label_column: Some("coarse".into()),
        ..plain()
    };
    for name in ["cifar100", "cifar100-py"] {
        let set = opened(name, &coarse);
        assert_eq!(set.fingerprint().unwrap(), expected("coarse"), "{name}");
    }
}

/// Shards in whose folders no label is found are no class folders.
#[test]
fn samples_without_a_label_stay_samples() {
    let absent = DataRecipe {
        label_column: Some("absent".into()),
        ..plain()
    };
    let error = TrainingSet::open(&fixture("shards-json"), &absent, &mut |_| ());
    let error = error.err().unwrap().to_string();
    assert!(error.contains("none of 12 images in "), "{error}");
}

/// As torchvision leaves a download: the batches beside the archive that they came in.
#[test]
fn an_archive_beside_what_it_held_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["data_batch_1", "data_batch_2", "batches.meta"] {
        let from = fixture("cifar-py").join(name);
        std::fs::copy(from, folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("cifar-10-python.tar.gz"), "packed").unwrap();
    // A file of that name that lists no labels.
    std::fs::write(folder.path().join("dataset.json"), "{\"name\": \"x\"}").unwrap();
    let data = load(folder.path(), &plain(), &mut |_| ()).unwrap();
    assert_eq!(data.fingerprint(), expected("whole"));
}

#[test]
fn a_flat_folder_is_suggested() {
    let error = TrainingSet::open(&fixture("flat"), &plain(), &mut |_| ());
    let error = error.err().unwrap().to_string();
    assert!(error.contains("--set data.layout=flat"), "{error}");
}

#[test]
fn a_pickle_that_would_run_code_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let code = b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.";
    for name in ["data_batch_1", "batches.meta"] {
        std::fs::write(folder.path().join(name), code).unwrap();
    }
    let error = load(folder.path(), &plain(), &mut |_| ()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("posix.system"), "{error}");
}

#[test]
fn labels_of_many_columns_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = zip_of_arrays(&[("images", "|u1", &[2, 4, 4]), ("labels", "<f4", &[2, 3])]);
    std::fs::write(folder.path().join("a.npz"), &archive).unwrap();
    let refused = || {
        load(folder.path(), &plain(), &mut |_| ())
            .unwrap_err()
            .to_string()
    };
    let error = refused();
    assert!(error.contains("no array of labels, but"), "{error}");
    assert!(error.contains("labels (<f4, 2×3)"), "{error}");
    archive = zip_of_arrays(&[("images", "<f4", &[2, 4, 4]), ("labels", "|u1", &[2])]);
    std::fs::write(folder.path().join("a.npz"), &archive).unwrap();
    let error = refused();
    assert!(
        error.contains("no array of images, but images (<f4, 2×4×4)"),
        "{error}"
    );
}

/// An archive of arrays of zeros, stored as they are.
fn zip_of_arrays(arrays: &[(&str, &str, &[usize])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, descr, dims) in arrays {
        let dims: Vec<String> = dims.iter().map(|d| format!("{d},")).collect();
        let dims = dims.concat();
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}\n");
        let mut array = b"\x93NUMPY\x01\x00".to_vec();
        array.extend((text.len() as u16).to_le_bytes());
        array.extend(text.as_bytes());
        array.resize(array.len() + 1024, 0);
        let name = format!("{name}.npy");
        let length = (array.len() as u32).to_le_bytes();
        let about = [[0; 4], length, length].concat();
        let name_length = (name.len() as u16).to_le_bytes();
        directory.extend(b"PK\x01\x02");
        directory.extend([0; 12]);
        directory.extend(&about);
        directory.extend(name_length);
        directory.extend([0; 12]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend([0; 10]);
        file.extend(&about);
        file.extend(name_length);
        file.extend([0; 2]);
        file.extend(name.as_bytes());
        file.extend(&array);
    }
    let (start, size) = (file.len() as u32, directory.len() as u32);
    file.extend(directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend([(arrays.len() as u16).to_le_bytes(); 2].concat());
    file.extend(size.to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}
