//! Data sets that may be damaged or hostile: none makes a reader crash, hang or take more memory than twice the bytes of
//! its files and 256 KiB, beside what Parquet's and tar's readers and decoders of images take. fuzz/README.md says how to
//! run this for longer.

#[path = "../../../trainer/cli/tests/fuzz/memory.rs"]
mod memory;
#[path = "../../../trainer/cli/tests/fuzz/mutate.rs"]
mod mutate;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memory::peak;
use mutate::{Random, mutate};

use super::recognise::recognise;
use super::*;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");

/// Bytes beyond twice the files' size: buffers, and what tables are made with.
const CONSTANT: usize = 256 << 10;

/// Changed files of each data set where nobody says how long.
const FILES: u64 = 40;

/// All files of a folder, with their paths in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name();
    let entries = walk.into_iter().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_file());
    let read = files.map(|entry| {
        let inside = entry.path().strip_prefix(folder).unwrap().to_path_buf();
        (inside, fs::read(entry.path()).unwrap())
    });
    read.collect()
}

fn write(folder: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Recognises a data set and reads some of its records; `bounded` says whether all that reads it is ours.
fn read(folder: &Path, recipe: &DataRecipe, bytes: usize, bounded: bool) {
    let mut found = None;
    let taken = peak(|| found = recognise(folder, recipe, &mut |_| ()).ok());
    if bounded {
        assert!(
            taken <= 2 * bytes + CONSTANT,
            "{}: {taken} bytes of memory for {bytes}",
            folder.display()
        );
    }
    let Some(found) = found else {
        return;
    };
    let count = found.records.labels().len();
    assert!(count > 0);
    for index in 0..count.min(6) {
        let _ = decode::stored(&*found.records, index);
        assert!(!found.records.name(index).is_empty());
    }
}

/// Hands the readers the data set `name` as it is and with one file changed in many ways.
fn fuzz(name: &str, recipe: &DataRecipe, bounded: bool) {
    let only = std::env::var("FREEGUIDE_FUZZ_ONLY").ok();
    if only.is_some_and(|only| !only.split(',').any(|wanted| wanted == name)) {
        return;
    }
    let whole = files(&Path::new(FIXTURES).join(name));
    let seconds = std::env::var("FREEGUIDE_FUZZ_SECONDS").ok();
    let until = seconds.map(|s| Instant::now() + Duration::from_secs(s.parse().expect("seconds")));
    let scratch = tempfile::tempdir().unwrap();
    write(scratch.path(), &whole);
    let size = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(_, bytes)| bytes.len()).sum();
    read(scratch.path(), recipe, size(&whole), bounded);
    let mut done = 0;
    for seed in 0.. {
        match until {
            Some(until) if Instant::now() >= until => break,
            None if seed >= FILES => break,
            _ => done += 1,
        }
        let mut random = Random::new(seed + 1);
        let place = random.below(whole.len());
        let mut changed = whole[place].1.clone();
        let other = &whole[random.below(whole.len())].1;
        mutate(&mut changed, other, &mut random);
        let path = scratch.path().join(&whole[place].0);
        fs::write(&path, &changed).unwrap();
        let bytes = size(&whole) - whole[place].1.len() + changed.len();
        read(scratch.path(), recipe, bytes, bounded);
        fs::write(&path, &whole[place].1).unwrap();
    }
    println!("{name}: {done} files");
}

#[test]
fn changed_data_sets() {
    let plain = DataRecipe::new(32);
    let flat = DataRecipe {
        layout: recipe::Layout::Flat,
        ..plain.clone()
    };
    for name in [
        "cifar",
        "cifar-py",
        "cifar100",
        "cifar100-py",
        "imagenet-npz",
        "imagenet-py",
        "medmnist",
        "keras",
        "guided-npz",
        "folders",
        "folders-zip",
        "edm",
        "edm-zip",
        "mnist",
        "attributes-celeba",
        "attributes-edm",
    ] {
        fuzz(name, &plain, true);
    }
    fuzz("flat", &flat, true);
    let ages = DataRecipe {
        number_column: Some("age".into()),
        ..plain.clone()
    };
    for name in ["attributes-jsonl", "attributes-npz"] {
        fuzz(name, &ages, true);
    }
    for name in ["attributes-shards", "attributes-hub"] {
        fuzz(name, &ages, false);
    }
    for name in [
        "folders-tgz",
        "shards",
        "shards-json",
        "hub",
        "cases/paths_only",
    ] {
        fuzz(name, &plain, false);
    }
}

/// Pickles and directories that have as much as they can of something small.
#[test]
fn large_files_of_many_small_things() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = files(&Path::new(FIXTURES).join("cifar-py"));
    write(scratch.path(), &whole);
    let rest: usize = whole.iter().map(|(_, bytes)| bytes.len()).sum();
    let pieces: [&[u8]; 8] = [
        b"N", b"]", b"}", b")", b"K\x01", b"C\x00", b"NN\x86", b"]K\x01a",
    ];
    for piece in pieces {
        let pickle = [
            b"\x80\x02",
            &piece.repeat((1 << 20) / piece.len())[..],
            b".",
        ]
        .concat();
        fs::write(scratch.path().join("data_batch_1"), &pickle).unwrap();
        read(
            scratch.path(),
            &DataRecipe::new(32),
            rest + pickle.len(),
            true,
        );
        let list = [
            b"\x80\x02](",
            &piece.repeat((1 << 20) / piece.len())[..],
            b"e.",
        ]
        .concat();
        fs::write(scratch.path().join("data_batch_1"), &list).unwrap();
        read(
            scratch.path(),
            &DataRecipe::new(32),
            rest + list.len(),
            true,
        );
    }
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("0")).unwrap();
    fs::write(scratch.path().join("0/a.png"), b"x").unwrap();
    let several = format!(r#"["0/a.png",[{}0]],"#, "0,".repeat(4000));
    for pair in [
        r#"["a",0],"#,
        r#"["0/a.png",1],"#,
        r#"[[]],"#,
        "0,",
        &several,
    ] {
        let json = format!("{{\"labels\": [{}0]}}", pair.repeat((1 << 20) / pair.len()));
        fs::write(scratch.path().join("dataset.json"), &json).unwrap();
        read(scratch.path(), &DataRecipe::new(32), json.len(), true);
    }
}
