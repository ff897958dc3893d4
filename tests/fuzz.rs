//! Readers of files that may be hostile: no file makes them crash, hang or take more memory than
//! twice its size and a constant. fuzz/README.md says how to run this for longer.

#[path = "../trainer/src/import/diffusers_config.rs"]
#[allow(dead_code)]
mod diffusers_config;
#[path = "fuzz/memory.rs"]
mod memory;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/readers.rs"]
mod readers;
#[path = "../trainer/src/onnx/signature.rs"]
#[allow(dead_code)]
mod signature;
#[path = "../trainer/src/import/weights/mod.rs"]
#[allow(dead_code)]
mod weights;
#[path = "../trainer/src/onnx/wire.rs"]
#[allow(dead_code)]
mod wire;

use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use freeguide::bundle::{Config, Loader, hex};
use memory::peak;
use mutate::{Random, mutate};
use readers::within;
use serde_json::json;
use sha2::{Digest, Sha256};
use signature::Signature;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// Files of each seed where nobody says how long.
const FILES: u64 = 400;

/// Up to that size files are changed, which keeps many of them in a second.
const MAX_BYTES: usize = 1 << 20;

/// The files of a corpus, in order.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .into_iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Hands `read` every file of the corpus as it is and changed in many ways; for so many seconds if
/// FREEGUIDE_FUZZ_SECONDS says how many. What `read` panics at is left in target/tmp.
fn fuzz(name: &str, read: impl Fn(&[u8])) {
    struct Keep<'a>(&'a str, Vec<u8>);
    impl Drop for Keep<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let path = format!("{}/fuzz-{}", env!("CARGO_TARGET_TMPDIR"), self.0);
                let kept = std::fs::write(&path, &self.1);
                eprintln!("the file is {path} ({kept:?})");
            }
        }
    }
    let corpus = corpus(name);
    let mut keep = Keep(name, Vec::new());
    for file in &corpus {
        keep.1.clone_from(file);
        read(&keep.1);
    }
    let seconds = std::env::var("FREEGUIDE_FUZZ_SECONDS").ok();
    let until = seconds.map(|s| Instant::now() + Duration::from_secs(s.parse().expect("seconds")));
    let mut files = 0;
    for seed in 0.. {
        match until {
            Some(until) if Instant::now() >= until => break,
            None if seed >= FILES * corpus.len() as u64 => break,
            _ => {}
        }
        let mut random = Random::new(seed + 1);
        keep.1.clone_from(&corpus[random.below(corpus.len())]);
        let other = &corpus[random.below(corpus.len())];
        mutate(&mut keep.1, other, &mut random);
        keep.1.truncate(MAX_BYTES);
        read(&keep.1);
        files += 1;
    }
    println!("{name}: {files} files");
}

#[test]
fn checkpoints() {
    fuzz("weights", readers::weights);
}

#[test]
fn configurations() {
    fuzz("config", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        let taken = peak(|| drop(Config::parse(text)));
        // A list of names takes a few dozens of bytes for each.
        within("config.json", taken, 16 * bytes.len());
    });
}

/// What describes a network and a schedule in a folder of diffusers.
#[test]
fn diffusers_descriptions() {
    fuzz("diffusers", |bytes| {
        let taken = peak(|| {
            drop(serde_json::from_slice::<diffusers_config::Network>(bytes));
            drop(serde_json::from_slice::<diffusers_config::Scheduler>(bytes));
        });
        within("a description", taken, 2 * bytes.len());
    });
}

/// An ONNX file of one's own, as `cargo xtask compile-onnx` reads it before burn-onnx does.
#[test]
fn onnx_signatures() {
    fuzz("onnx", |bytes| {
        let taken = peak(|| {
            let Ok(signature) = Signature::read(bytes) else {
                return;
            };
            assert!(matches!(signature.channels, 1 | 3));
            for key in ["classes", "target", "name"] {
                let _ = signature.needed(key);
            }
        });
        within("model.onnx", taken, 2 * bytes.len());
    });
}

/// A weights file through the loader of bundles, which knows its length and hash from config.json.
#[test]
fn bundles() {
    fuzz("bundle", |bytes| {
        let config = json!({
            "format_version": 1,
            "written_by": "tests/fuzz.rs",
            "name": "fuzz",
            "image": { "size": 4, "channels": 1 },
            "classes": ["one"],
            "network": {
                "kind": "unet", "base_channels": 2, "channel_multipliers": [1],
                "residual_blocks": 1, "head_channels": 2, "norm_groups": 1,
            },
            "diffusion": { "target": "v" },
            "weights": [{
                "file": "model.safetensors",
                "bytes": bytes.len(),
                "sha256": hex(&Sha256::digest(bytes)),
            }],
            "provenance": {},
        });
        let mut loader = Loader::new(&config.to_string(), &Device::flex()).unwrap();
        loader.begin("model.safetensors").unwrap();
        let taken = peak(|| {
            let _ = loader.push(bytes);
            let _ = loader.end();
            drop(loader.finish());
        });
        within("model.safetensors", taken, 2 * bytes.len());
    });
}
