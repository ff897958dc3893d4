//! Readers of files that may be hostile: no file makes them crash, hang or take more memory than
//! twice its size and a constant. fuzz/README.md says how to run this for longer.

mod large;
mod memory;
mod mutate;
mod readers;

use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use freeguide::bundle::{Config, Loader, hex};
use freeguide::classifier::Classifier;
use freeguide_eval::features::{OnnxNetwork, Unrecognised, Weights, recognise};
use freeguide_readers::diffusers;
use freeguide_readers::onnx::{Signature, claims};
use serde_json::json;
use sha2::{Digest, Sha256};

use memory::peak;
use mutate::{Random, mutate};
use readers::within;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// Files of each seed where nobody says how long.
const FILES: u64 = 400;

/// Up to that size files are changed, which keeps many of them in a second.
const MAX_BYTES: usize = 1 << 20;

/// The files of a corpus, in order.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
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
    let (mut files, mut slowest) = (0, Duration::ZERO);
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
        let start = Instant::now();
        read(&keep.1);
        slowest = slowest.max(start.elapsed());
        files += 1;
    }
    println!("{name}: {files} files, the slowest in {slowest:.1?}");
}

#[test]
fn checkpoints() {
    fuzz("weights", readers::weights);
}

/// The same of a megabyte, in which twice the file's size is more than what is allowed beside it.
#[test]
fn large_checkpoints() {
    for (name, file) in large::headers().into_iter().chain(large::checkpoints()) {
        eprintln!("{name}: {} bytes", file.len());
        readers::weights(&file);
    }
}

/// The weights of a feature network, as `eval --features` takes them: from the file to the network.
fn feature_network(bytes: &[u8]) {
    // In the place of a file, and so not counted.
    let file = Cursor::new(bytes.to_vec());
    let taken = peak(|| {
        let weights = Weights::read(file).map_err(Unrecognised::from);
        drop(weights.and_then(|weights| recognise(&weights, &Device::flex())));
    });
    within("a feature network", taken, 2 * bytes.len());
}

#[test]
fn feature_networks() {
    let good = corpus("features").into_iter().filter(|file| {
        let weights = Weights::read(Cursor::new(file.clone()));
        weights.is_ok_and(|weights| recognise(&weights, &Device::flex()).is_ok())
    });
    assert_eq!(good.count(), 2);
    fuzz("features", feature_network);
}

#[test]
fn large_feature_networks() {
    for (name, file) in large::headers().into_iter().chain(large::networks()) {
        eprintln!("{name}: {} bytes", file.len());
        feature_network(&file);
    }
}

/// The classifier beside a bundle, as a page reads it.
fn classifier(bytes: &[u8]) {
    let taken = peak(|| drop(Classifier::read(bytes, &Device::flex())));
    within("classifier.safetensors", taken, 2 * bytes.len());
}

#[test]
fn classifiers_of_bundles() {
    let good = |file: &Vec<u8>| Classifier::read(file, &Device::flex()).is_ok();
    assert_eq!(
        corpus("features").iter().filter(|file| good(file)).count(),
        1
    );
    fuzz("features", classifier);
}

#[test]
fn large_classifiers_of_bundles() {
    for (name, file) in large::headers().into_iter().chain(large::networks()) {
        eprintln!("{name}: {} bytes", file.len());
        classifier(&file);
    }
}

#[test]
fn configurations() {
    fuzz("config", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        configuration(text);
    });
}

fn configuration(text: &str) {
    let taken = peak(|| drop(Config::parse(text)));
    within("config.json", taken, 2 * text.len());
}

/// What takes the most room beside its text: lists of what is short, as long as they may be and longer, and texts that
/// are read letter by letter.
#[test]
fn configurations_of_much_that_is_short() {
    let seed = corpus("config").swap_remove(1);
    let seed: serde_json::Value = serde_json::from_slice(&seed).unwrap();
    let with = |place: &str, what: &str| {
        let mut config = seed.clone();
        *config.pointer_mut(place).expect(place) = json!("HERE");
        configuration(&config.to_string().replace("\"HERE\"", what));
    };
    let list = |what: &str, times: usize| format!("[{}0]", format!("{what},").repeat(times));
    let counts = [
        1000, 4097, 8193, 9999, 16_385, 65_537, 99_999, 131_073, 1_000_000,
    ];
    for count in counts {
        let names: Vec<String> = (0..count).map(|id| format!("{id:x}")).collect();
        with("/classes", &json!(names).to_string());
        with("/classes", &list(r#""a""#, count));
        with("/classes", &list(r#""\n""#, count));
        for place in [
            "/network",
            "/network/channel_multipliers",
            "/sampling",
            "/weights",
        ] {
            with(place, &list("0", count));
            with(place, &list("{}", count));
            with(place, &list("[]", count));
        }
        for object in ["/network", "/sampling", "/provenance"] {
            let mut config = seed.clone();
            config[&object[1..]]["timesteps"] = json!("HERE");
            let betas = list("0.1", count);
            for inner in [
                format!(r#"{{"count":10000,"betas":{{"kind":"list","values":{betas}}}}}"#),
                format!(r#"{{"count":10000,"betas":{{"values":{betas},"kind":"list"}}}}"#),
                format!(r#"{{"betas":{betas}}}"#),
            ] {
                configuration(&config.to_string().replace("\"HERE\"", &inner));
            }
        }
        let policy = format!(r#"{{"guidance_policy":{{"a":{}}}}}"#, list("0", count));
        with("/sampling", &policy);
        let metrics: String = (0..count).map(|id| format!("\"{id:x}\":0,")).collect();
        with(
            "/provenance",
            &format!(r#"{{"metrics":{{{metrics}"":0}}}}"#),
        );
        let file = format!(r#"{{"file":"a","bytes":0,"sha256":"{}"}}"#, "0".repeat(64));
        with("/weights", &list(&file, count.min(100_000)));
        with("/name", &format!("\"{}\"", r"\na".repeat(count)));
        let (strange, text) = ("\u{200b}".repeat(count), "a".repeat(count));
        with("/network/kind", &json!(strange).to_string());
        with("/network", &format!(r#"{{"preset":"{strange}"}}"#));
        with("/network", &format!(r#"{{"{strange}":"\n{text}"}}"#));
        with("/network", &format!(r#"{{"{text}\n{text}\n":0}}"#));
        with("/network", &"[".repeat(count));
        with(
            "/provenance",
            &format!(r#"{{"dataset":"{text}\n{text}\n"}}"#),
        );
        with("/weights/0/file", &json!(strange).to_string());
    }
}

/// What describes a network and a schedule in a folder of diffusers.
#[test]
fn diffusers_descriptions() {
    fuzz("diffusers", |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            description(text);
        }
    });
}

fn description(text: &str) {
    let taken = peak(|| {
        drop(diffusers::parse::<diffusers::Network>(text));
        drop(diffusers::parse::<diffusers::Scheduler>(text));
        drop(diffusers::parse::<diffusers::Index>(text));
    });
    within("a description", taken, 2 * text.len());
}

#[test]
fn large_descriptions() {
    for (name, text) in large::descriptions() {
        eprintln!("{name}: {} bytes", text.len());
        description(&text);
    }
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

/// What a network may compute of an image here, so that none takes long.
const VALUES: usize = 1 << 20;

/// A classifier in ONNX through tract, from the file to its first answer. It may take what its messages take as structs, its
/// weights some times over, and so many times what it computes.
#[test]
fn onnx_classifiers() {
    for (place, file) in corpus("classifiers").iter().enumerate() {
        let read = OnnxNetwork::read(file, VALUES);
        assert!(read.is_ok(), "file {place}: {:?}", read.err());
    }
    fuzz("classifiers", |bytes| {
        let taken = peak(|| drop(OnnxNetwork::read(bytes, VALUES)));
        let room = claims::MAX_DECODED + 8 * bytes.len() + 4 * 4 * VALUES;
        within("classifier.onnx", taken, room);
    });
}

/// A weights file through the loader of bundles, which knows its length and hash from config.json.
#[test]
fn bundles() {
    fuzz("bundle", |bytes| bundle(bytes, bytes.len()));
}

/// In one piece, and in pieces as a network delivers them.
#[test]
fn large_bundles() {
    for (name, file) in large::headers().into_iter().chain(large::networks()) {
        eprintln!("{name}: {} bytes", file.len());
        bundle(&file, file.len());
        bundle(&file, 1 << 14);
    }
}

fn bundle(bytes: &[u8], piece: usize) {
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
        for piece in bytes.chunks(piece.max(1)) {
            let _ = loader.push(piece);
        }
        let _ = loader.end();
        drop(loader.finish());
    });
    within("model.safetensors", taken, 2 * bytes.len());
}
