//! Every way in which a bundle can be broken, made by breaking tests/fixtures/tiny-model in memory.
//! There is a model or there is an error that names what is wrong; nothing is half-loaded.

use burn::tensor::Device;
use freeguide::bundle::{BundleError, Config, Loader, Model, hex};
use freeguide::settings::Plan;
use half::f16;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const CONFIG: &str = include_str!("fixtures/tiny-model/config.json");
const WEIGHTS: &[u8] = include_bytes!("fixtures/tiny-model/model.safetensors");
const FILE: &str = "model.safetensors";
const SHARDS: [&str; 2] = [
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
];

/// A bundle in memory: what `config.json` says, and the files.
#[derive(Clone)]
struct Bundle {
    config: Value,
    files: Vec<(String, Vec<u8>)>,
}

#[derive(Clone)]
struct Stored {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Bundle {
    /// The fixture as it is.
    fn whole() -> Self {
        let config = serde_json::from_str(CONFIG).unwrap();
        Self {
            config,
            files: vec![(FILE.to_owned(), WEIGHTS.to_vec())],
        }
    }

    /// The fixture with a change to its configuration.
    fn with(change: impl FnOnce(&mut Value)) -> Self {
        let mut bundle = Self::whole();
        change(&mut bundle.config);
        bundle
    }

    /// The fixture with other weights files, whose lengths and hashes the configuration knows.
    fn of_files(files: &[(&str, Vec<u8>)]) -> Self {
        let mut bundle = Self::whole();
        bundle.config["weights"] = files
            .iter()
            .map(|(name, bytes)| {
                let sha256 = hex(&Sha256::digest(bytes));
                json!({ "file": name, "bytes": bytes.len(), "sha256": sha256 })
            })
            .collect();
        bundle.files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.clone()))
            .collect();
        bundle
    }

    /// The fixture with other tensors, in one file.
    fn of_tensors(tensors: &[Stored]) -> Self {
        Self::of_files(&[(FILE, written(tensors))])
    }

    /// Loads the bundle, handing over `chunk` bytes at a time.
    fn load_by(&self, chunk: usize) -> Result<Model, BundleError> {
        self.load_with(chunk, |loader| loader)
    }

    /// By a loader that `prepare` has changed.
    fn load_with(
        &self,
        chunk: usize,
        prepare: impl FnOnce(Loader) -> Loader,
    ) -> Result<Model, BundleError> {
        let mut loader = prepare(Loader::new(&self.config.to_string(), &Device::flex())?);
        for (name, bytes) in &self.files {
            loader.begin(name)?;
            for chunk in bytes.chunks(chunk) {
                loader.push(chunk)?;
            }
            loader.end()?;
        }
        loader.finish()
    }

    fn load(&self) -> Result<Model, BundleError> {
        self.load_by(1 << 16)
    }

    /// Asserts that the bundle is refused with this kind of error and a message that names all of
    /// `words`, however it is cut into chunks.
    #[track_caller]
    fn refused(&self, kind: &str, words: &[&str]) {
        for chunk in [1 << 16, 4096, 13] {
            let error = self.load_by(chunk).expect_err("it must not load");
            assert_eq!(error.kind(), kind, "{error}");
            let message = error.to_string();
            for word in words {
                assert!(message.contains(word), "{word:?} is not in: {message}");
            }
            assert!(
                message.contains(' ') && !message.contains('\n') && !message.ends_with('.'),
                "no line of prose: {message}"
            );
        }
    }
}

/// The tensors of the fixture.
fn tensors() -> Vec<Stored> {
    let file = safetensors::SafeTensors::deserialize(WEIGHTS).unwrap();
    let mut tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| Stored {
            name,
            dtype: "F32".to_owned(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        })
        .collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

/// The fixture's tensors with a change to the one called `name`.
fn tensors_with(name: &str, change: impl FnOnce(&mut Stored)) -> Vec<Stored> {
    let mut tensors = tensors();
    change(tensors.iter_mut().find(|t| t.name == name).unwrap());
    tensors
}

/// A safetensors file with this header and these bytes, whether or not they go together.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// An honest safetensors file. (The crate's own writer would refuse half of what is wanted here.)
fn written(tensors: &[Stored]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for Stored {
        name,
        dtype,
        shape,
        bytes,
    } in tensors
    {
        let end = data.len() + bytes.len();
        entries.push(format!(
            "{}:{}",
            json!(name),
            json!({ "dtype": dtype, "shape": shape, "data_offsets": [data.len(), end] })
        ));
        data.extend(bytes);
    }
    file(&format!("{{{}}}", entries.join(",")), &data)
}

/// What a model draws: a picture of each class and an unconditional one.
fn drawn(model: &Model) -> Vec<f32> {
    let plan = Plan::new(vec![Some(0), Some(1), Some(2), None], 8)
        .with_guidance(1.0)
        .with_seed(5);
    let mut run = model.run(plan);
    while run.advance() {}
    run.denoised().into_data().try_to_vec().unwrap()
}

#[test]
fn chunks_of_any_size_give_the_same_model() {
    let bundle = Bundle::whole();
    let expected = drawn(&bundle.load_by(usize::MAX).unwrap());
    for chunk in [1, 8, 1000, WEIGHTS.len() - 1] {
        assert_eq!(drawn(&bundle.load_by(chunk).unwrap()), expected, "{chunk}");
    }
    // The crate's own writer and this file's agree.
    let again = Bundle::of_tensors(&tensors());
    assert_eq!(drawn(&again.load().unwrap()), expected);
    // As a model it makes sense: the three classes are pictures on white, and differ.
    let (disc, square) = (&expected[..192], &expected[192..384]);
    assert!(disc.iter().sum::<f32>() / 192.0 > 0.2 && disc != square);
}

#[test]
fn two_shards_are_one_model() {
    let all = tensors();
    let (first, second) = all.split_at(all.len() / 3);
    let files = [(SHARDS[0], written(first)), (SHARDS[1], written(second))];
    let sharded = Bundle::of_files(&files);
    assert_eq!(
        drawn(&sharded.load().unwrap()),
        drawn(&Bundle::whole().load().unwrap())
    );

    let mut cut_short = sharded.clone();
    cut_short.files.pop();
    cut_short.refused("missing-file", &[SHARDS[1]]);
    let mut swapped = sharded.clone();
    swapped.files.swap(0, 1);
    swapped.refused("order", &SHARDS);

    let mut overlapping = second.to_vec();
    overlapping.push(first[0].clone());
    let twice = Bundle::of_files(&[
        (SHARDS[0], written(first)),
        (SHARDS[1], written(&overlapping)),
    ]);
    twice.refused("duplicate-tensor", &[SHARDS[1], &first[0].name]);
}

#[test]
fn half_precision_draws_nearly_the_same() {
    let mut halves = tensors();
    for tensor in &mut halves {
        tensor.dtype = "F16".to_owned();
        tensor.bytes = tensor
            .bytes
            .chunks_exact(4)
            .map(|b| f16::from_f32(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
            .flat_map(f16::to_le_bytes)
            .collect();
    }
    let bundle = Bundle::of_tensors(&halves);
    let model = bundle.load().unwrap();
    assert!(!model.computes_in_half());
    let half = drawn(&model);
    let full = drawn(&Bundle::whole().load().unwrap());
    let worst = |a: &[f32], b: &[f32]| {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max)
    };
    let rounded = worst(&half, &full);
    assert!(rounded > 0.0 && rounded < 0.05, "{rounded}");

    // Computed with in 16 bits too, on a device that does.
    let kept = bundle.load_with(1 << 16, Loader::keep_half).unwrap();
    assert!(kept.computes_in_half());
    let computed = worst(&drawn(&kept), &half);
    assert!(computed > 0.0 && computed < 0.05, "{computed}");

    // Both types in one file, as other programs write them.
    let mixed: Vec<_> = halves
        .into_iter()
        .zip(tensors())
        .enumerate()
        .map(|(i, (half, full))| if i % 2 == 0 { half } else { full })
        .collect();
    let mixed = Bundle::of_tensors(&mixed);
    let model = mixed.load().unwrap();
    // A network computes in one type.
    let kept = mixed.load_with(1 << 16, Loader::keep_half).unwrap();
    assert!(!kept.computes_in_half());
    assert_eq!(drawn(&kept), drawn(&model));
}

#[test]
fn metadata_in_the_header_is_allowed() {
    let header_bytes = u64::from_le_bytes(WEIGHTS[..8].try_into().unwrap()) as usize;
    let header: &str = std::str::from_utf8(&WEIGHTS[8..8 + header_bytes]).unwrap();
    let more = header.replacen('{', r#"{"__metadata__":{"format":"pt"},"#, 1);
    let bundle = Bundle::of_files(&[(FILE, file(&more, &WEIGHTS[8 + header_bytes..]))]);
    bundle.load().unwrap();
}

#[test]
fn what_is_not_json_is_said_with_its_place() {
    for (text, place) in [
        ("", "line 1"),
        ("{", "line 1"),
        ("{\n\"a\": }", "line 2"),
        ("\u{feff}{}", "line 1"),
    ] {
        let error = Loader::new(text, &Device::flex()).unwrap_err();
        assert_eq!(error.kind(), "bad-json", "{text:?}");
        let message = error.to_string();
        assert!(
            message.contains("config.json") && message.contains(place),
            "{message}"
        );
    }
    // JSON without end does not end the stack either, nor is it read.
    let deep = Loader::new(&"[".repeat(1_000_000), &Device::flex()).unwrap_err();
    assert_eq!(deep.kind(), "bad-config");
    assert!(deep.to_string().contains("1000000 deep"), "{deep}");
    for json in ["[]", "1", "null", "\"model\"", "{}"] {
        let error = Loader::new(json, &Device::flex()).unwrap_err();
        assert_eq!(error.kind(), "bad-config", "{json}: {error}");
    }
}

#[test]
fn unknown_fields_are_refused_at_every_level() {
    for level in [
        "",
        "/image",
        "/network",
        "/network/log_snr_embedding",
        "/diffusion",
        "/diffusion/log_snr",
        "/sampling",
        "/weights/0",
        "/provenance",
    ] {
        let bundle = Bundle::with(|c| c.pointer_mut(level).unwrap()["colour"] = json!(1));
        bundle.refused("bad-config", &["colour"]);
    }
    Bundle::with(|c| c["network"]["kind"] = json!("perceptron"))
        .refused("bad-config", &["perceptron"]);
    Bundle::with(|c| c["diffusion"]["target"] = json!("score")).refused("bad-config", &["score"]);
}

#[test]
fn missing_and_ill_typed_fields_are_named() {
    for (level, fields) in [
        (
            "",
            &[
                "written_by",
                "name",
                "image",
                "classes",
                "network",
                "diffusion",
                "weights",
                "provenance",
            ][..],
        ),
        ("/image", &["size", "channels"]),
        (
            "/network",
            &[
                "kind",
                "base_channels",
                "channel_multipliers",
                "residual_blocks",
            ],
        ),
        ("/diffusion", &["target"]),
        ("/diffusion/log_snr", &["min", "max"]),
        ("/weights/0", &["file", "bytes", "sha256"]),
    ] {
        for field in fields {
            let bundle = Bundle::with(|c| {
                c.pointer_mut(level)
                    .unwrap()
                    .as_object_mut()
                    .unwrap()
                    .remove(*field)
                    .unwrap();
            });
            bundle.refused("bad-config", &[field]);
        }
    }
    Bundle::with(|c| {
        c.as_object_mut().unwrap().remove("format_version");
    })
    .refused("bad-config", &["format_version"]);
    for value in [json!("1"), json!(1.5), json!(-1), json!(0), json!(null)] {
        Bundle::with(|c| c["format_version"] = value).refused("bad-config", &[]);
    }
    Bundle::with(|c| c["image"]["size"] = json!(-8)).refused("bad-config", &["-8"]);
    Bundle::with(|c| c["image"]["size"] = json!("8")).refused("bad-config", &["\"8\""]);
    Bundle::with(|c| c["weights"][0]["bytes"] = json!(-1)).refused("bad-config", &["-1"]);
    // Sampling defaults have defaults of their own.
    let mut bundle = Bundle::whole();
    bundle.config.as_object_mut().unwrap().remove("sampling");
    assert_eq!(bundle.load().unwrap().config().sampling.steps, 32);
}

#[test]
fn senseless_values_are_refused() {
    for (pointer, value, words) in [
        ("/image/size", json!(0), &["image.size", "0"][..]),
        ("/image/size", json!(1_000_000), &["image.size", "1000000"]),
        ("/image/channels", json!(2), &["image.channels", "1 or 3"]),
        (
            "/classes",
            json!([]),
            &["format_version is 1", "needs version 2"],
        ),
        (
            "/classes",
            json!(["disc", "disc", "square"]),
            &["disc", "twice"],
        ),
        (
            "/classes",
            json!(["disc", "", "square"]),
            &["class 1", "empty"],
        ),
        (
            "/diffusion/log_snr/min",
            json!(30.0),
            &["diffusion.log_snr"],
        ),
        ("/sampling/steps", json!(0), &["sampling", "steps"]),
        ("/sampling/guidance", json!(1e9), &["sampling", "guidance"]),
        (
            "/sampling/variance_interpolation",
            json!(2.0),
            &["variance_interpolation"],
        ),
        ("/weights", json!([]), &["weights", FILE]),
        ("/weights/0/sha256", json!("abc"), &["SHA-256", FILE]),
        (
            "/weights/0/sha256",
            json!("G".repeat(64)),
            &["SHA-256", FILE],
        ),
    ] {
        Bundle::with(|c| *c.pointer_mut(pointer).unwrap() = value).refused("bad-config", words);
    }
    let entry = Bundle::whole().config["weights"][0].clone();
    Bundle::with(|c| c["weights"] = json!([entry, entry])).refused("bad-config", &[FILE, "twice"]);
}

#[test]
fn a_file_name_is_no_path() {
    for name in [
        "../model.safetensors",
        "/etc/passwd",
        "weights/model.safetensors",
        "..",
        ".hidden",
        "",
        "a\\b",
        "C:model",
        "model.safetensors?x=1",
        "https://example.com/model.safetensors",
        "mod\u{202e}el",
        "a b",
        "a\0b",
    ] {
        Bundle::with(|c| c["weights"][0]["file"] = json!(name))
            .refused("bad-config", &["plain file name"]);
    }
}

#[test]
fn a_newer_version_names_who_wrote_it() {
    let newer = |change: &dyn Fn(&mut Value)| {
        Bundle::with(|c| {
            c["format_version"] = json!(9);
            c["written_by"] = json!("freeguide 9.1.0");
            change(c);
        })
    };
    let words = ["version 9", "freeguide 9.1.0", "up to version 4"];
    newer(&|_| ()).refused("newer-version", &words);
    // Whatever else it holds, for instance fields that did not exist before.
    newer(&|c| c["tokenizer"] = json!({})).refused("newer-version", &words);
    newer(&|c| c["image"] = json!("large")).refused("newer-version", &words);
    newer(&|c| c["written_by"] = json!(7)).refused("newer-version", &["unnamed program"]);
}

#[test]
fn a_network_that_cannot_be_built_is_refused() {
    for (field, value, word) in [
        ("base_channels", json!(0), "base_channels"),
        ("base_channels", json!(1u64 << 40), "base_channels"),
        ("channel_multipliers", json!([]), "channel_multipliers"),
        (
            "channel_multipliers",
            json!([1, 2, 2, 2, 2]),
            "multiple of 16",
        ),
        ("residual_blocks", json!(1_000_000_000), "residual_blocks"),
        ("norm_groups", json!(0), "norm_groups"),
        ("norm_groups", json!(3), "norm_groups"),
        ("head_channels", json!(0), "head_channels"),
        ("attention_resolutions", json!([3]), "attention_resolutions"),
        ("patch", json!(0), "patch"),
        ("patch", json!(3), "multiple of 6"),
        ("patch", json!(1u64 << 60), "patch"),
        ("dropout", json!(1.0), "dropout"),
        (
            "log_snr_embedding",
            json!({ "min": 1.0, "max": 1.0, "scale": 1.0 }),
            "log_snr_embedding",
        ),
        (
            "guidance",
            json!({ "kind": "input", "min": 0.5, "max": 4.0 }),
            "network.guidance",
        ),
        (
            "number",
            json!({ "name": "age", "min": 4.0, "max": 4.0 }),
            "network.number",
        ),
    ] {
        Bundle::with(|c| {
            // The newest version has every field.
            c["format_version"] = json!(4);
            c["network"][field] = value;
        })
        .refused("network", &[word]);
    }
}

#[test]
fn a_model_that_enlarges_is_refused_where_it_cannot() {
    let with = |version: u64, side: u64| {
        let bundle = Bundle::with(|c| {
            c["format_version"] = json!(version);
            c["network"]["low_resolution"] = json!(side);
        });
        Config::parse(&bundle.config.to_string())
    };
    let config = with(5, 4).unwrap();
    assert_eq!(config.low_resolution(), Some((4, 0.5)));
    let refused = config.draws_alone().unwrap_err();
    assert_eq!(refused, BundleError::NeedsPicture { side: 4 });
    assert_eq!(refused.kind(), "needs-picture");
    let words = refused.to_string();
    assert!(
        words.contains("4×4") && words.contains("freeguide upscale"),
        "{words}"
    );
    // Older programs read up to version 4.
    let old = with(4, 4).unwrap_err().to_string();
    assert!(old.contains("needs version 5"), "{old}");
    let odd = with(5, 3).unwrap_err().to_string();
    assert!(odd.contains("network.low_resolution is 3"), "{odd}");
    let alone = Config::parse(&Bundle::whole().config.to_string()).unwrap();
    assert_eq!(alone.draws_alone(), Ok(()));
}

#[test]
fn a_huge_network_costs_nothing_until_its_weights_come() {
    // Terabytes, if anybody allocated what the configuration describes.
    let bundle = Bundle::with(|c| {
        c["network"]["base_channels"] = json!(4096);
        c["network"]["channel_multipliers"] = json!([64, 64]);
        c["network"]["residual_blocks"] = json!(32);
    });
    bundle.refused("shape", &[]);
    let mut empty = bundle;
    empty.files.clear();
    empty.refused("missing-file", &[FILE]);
}

#[test]
fn a_missing_file_is_named() {
    let mut bundle = Bundle::whole();
    bundle.files.clear();
    bundle.refused("missing-file", &[FILE, "missing"]);
    // One that was begun and not ended is not there either.
    let mut loader = Loader::new(CONFIG, &Device::flex()).unwrap();
    loader.begin(FILE).unwrap();
    loader.push(WEIGHTS).unwrap();
    assert_eq!(loader.finish().unwrap_err().kind(), "missing-file");
}

#[test]
fn files_come_in_order() {
    let order = |error: BundleError| {
        assert_eq!(error.kind(), "order", "{error}");
        error.to_string()
    };
    let loader = || Loader::new(CONFIG, &Device::flex()).unwrap();
    assert!(order(loader().begin("other.safetensors").unwrap_err()).contains("other.safetensors"));
    assert!(order(loader().push(b"bytes").unwrap_err()).contains("beginning of a file"));
    assert!(order(loader().end().unwrap_err()).contains("beginning of a file"));
    let mut open = loader();
    open.begin(FILE).unwrap();
    assert!(order(open.begin(FILE).unwrap_err()).contains("the end of"));
    let mut done = loader();
    done.begin(FILE).unwrap();
    done.push(WEIGHTS).unwrap();
    done.end().unwrap();
    assert!(order(done.begin(FILE).unwrap_err()).contains("no further file"));
}

#[test]
fn a_file_of_another_length_is_refused() {
    let length = |bytes: Vec<u8>| {
        let mut bundle = Bundle::whole();
        bundle.files[0].1 = bytes;
        bundle.refused("length", &[FILE, &WEIGHTS.len().to_string()]);
    };
    for cut in [0, 1, 7, 8, 100, WEIGHTS.len() - 1] {
        length(WEIGHTS[..cut].to_vec());
    }
    length([WEIGHTS, &[0]].concat());
    length(WEIGHTS.repeat(2));
}

#[test]
fn a_file_with_another_hash_is_refused_for_good() {
    let mut bundle = Bundle::whole();
    let last = WEIGHTS.len() - 3;
    bundle.files[0].1[last] ^= 1;
    let expected = Bundle::whole().config["weights"][0]["sha256"]
        .as_str()
        .unwrap()
        .to_owned();
    bundle.refused("hash", &[FILE, &expected, "damaged"]);

    // Nobody gets a model by not listening, nor by handing the right file in afterwards.
    let mut loader = Loader::new(CONFIG, &Device::flex()).unwrap();
    loader.begin(FILE).unwrap();
    loader.push(&bundle.files[0].1).unwrap();
    let error = loader.end().unwrap_err();
    assert_eq!(loader.begin(FILE), Err(error.clone()));
    assert_eq!(loader.push(WEIGHTS), Err(error.clone()));
    assert_eq!(loader.end(), Err(error.clone()));
    assert_eq!(loader.finish().unwrap_err(), error);
}

#[test]
fn a_header_that_lies_is_refused_before_anything_is_allocated() {
    let refused = |bytes: Vec<u8>, word: &str| {
        Bundle::of_files(&[(FILE, bytes)]).refused("bad-weights", &[FILE, word]);
    };
    let entry = |shape: &str, from: u64, to: u64| {
        format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    };
    let one = |entry: &str| format!(r#"{{"output.bias":{entry}}}"#);
    let data = [0u8; 12];

    // The length of the header.
    for claim in [u64::MAX, u64::MAX - 7, 1 << 40, 17 << 20, 100] {
        let bytes = [&claim.to_le_bytes()[..], b"{}"].concat();
        refused(bytes, &claim.to_string());
    }
    // A header that is none.
    refused(file("", &data), "header");
    refused(file("pickle", &data), "header");
    refused(file("[]", &data), "header");
    refused(file("{\"output.bias\": 3}", &data), "output.bias");
    refused(
        file(&one(r#"{"shape":[3],"data_offsets":[0,12]}"#), &data),
        "dtype",
    );
    refused(
        file(
            &one(r#"{"dtype":"F32","shape":[-3],"data_offsets":[0,12]}"#),
            &data,
        ),
        "output.bias",
    );
    refused(
        file(
            &one(r#"{"dtype":"F32","shape":[3],"data_offsets":[0]}"#),
            &data,
        ),
        "output.bias",
    );
    refused(file(&"[".repeat(100_000), &data), "header");
    // Offsets beyond the file, backwards, beyond all numbers.
    refused(file(&one(&entry("[3]", 0, 1 << 50)), &data), "output.bias");
    refused(
        file(&one(&entry("[1125899906842624]", 0, 1 << 52)), &data),
        "output.bias",
    );
    refused(
        file(&one(&entry("[4611686018427387904]", 0, 0)), &data),
        "output.bias",
    );
    refused(
        file(
            &one(&entry("[4611686018427387903]", 0, u64::MAX - 3)),
            &data,
        ),
        "output.bias",
    );
    refused(
        file(&one(&entry("[3]", u64::MAX - 11, 0)), &data),
        "output.bias",
    );
    refused(file(&one(&entry("[3]", 12, 0)), &data), "output.bias");
    refused(file(&one(&entry("[2]", 0, 12)), &data), "output.bias");
    // A gap at the start, between, at the end; an overlap.
    refused(file(&one(&entry("[2]", 4, 12)), &data), "output.bias");
    refused(file(&one(&entry("[2]", 0, 8)), &data), "8 bytes");
    let two = |a: String, b: String| format!(r#"{{"output.bias":{a},"output.weight":{b}}}"#);
    refused(
        file(&two(entry("[1]", 0, 4), entry("[1]", 8, 12)), &data),
        "output.weight",
    );
    refused(
        file(&two(entry("[2]", 0, 8), entry("[2]", 4, 12)), &data),
        "output.weight",
    );
    refused(
        file(&two(entry("[3]", 0, 12), entry("[3]", 0, 12)), &data),
        "output.weight",
    );
    refused(file("{}", &data), "0 bytes");
    refused([written(&tensors()), vec![0; 5]].concat(), "bytes");
}

#[test]
fn a_configuration_that_promises_too_much_is_found_out() {
    // Header and configuration agree on a petabyte, and the network on three numbers: none is waited for.
    let elements = 1u64 << 48;
    let header = format!(
        r#"{{"output.bias":{{"dtype":"F32","shape":[{elements}],"data_offsets":[0,{}]}}}}"#,
        4 * elements
    );
    let bytes = file(&header, &[0; 4096]);
    let mut bundle = Bundle::of_files(&[(FILE, bytes)]);
    bundle.config["weights"][0]["bytes"] = json!(8 + header.len() as u64 + 4 * elements);
    bundle.refused("shape", &["output.bias", "[3]"]);
}

#[test]
fn tensors_must_be_those_of_the_network() {
    let bias = "output.bias";
    let change = |change: &dyn Fn(&mut Stored)| Bundle::of_tensors(&tensors_with(bias, change));
    change(&|t| t.shape = vec![1, 3]).refused("shape", &[bias, "[1, 3]", "[3]"]);
    change(&|t| t.shape = vec![3, 1]).refused("shape", &[bias]);
    change(&|t| t.name = "output.shift".to_owned())
        .refused("unknown-tensor", &[FILE, "output.shift"]);
    for dtype in ["BF16", "F64", "I64", "F8_E4M3", "float32", ""] {
        change(&|t| t.dtype = dtype.to_owned()).refused("dtype", &[bias, dtype]);
    }

    let mut fewer = tensors();
    fewer.retain(|t| t.name != bias);
    Bundle::of_tensors(&fewer).refused("missing-tensor", &[bias, "1 "]);
    fewer.retain(|t| !t.name.starts_with("output."));
    Bundle::of_tensors(&fewer).refused("missing-tensor", &["output.", "2 "]);
    Bundle::of_tensors(&[]).refused("missing-tensor", &[]);

    let mut more = tensors();
    more.push(Stored {
        name: "optimizer.step".to_owned(),
        dtype: "F32".to_owned(),
        shape: vec![],
        bytes: vec![0; 4],
    });
    Bundle::of_tensors(&more).refused("unknown-tensor", &[FILE, "optimizer.step"]);
    let mut twice = tensors();
    twice.push(twice[0].clone());
    Bundle::of_tensors(&twice).refused("duplicate-tensor", &[FILE, &twice[0].name]);
}

#[test]
fn every_weight_is_a_number() {
    let set = |at: usize, bytes: [u8; 4]| {
        let weight = "conditioning.class.weight";
        let broken = tensors_with(weight, |t| {
            t.bytes[4 * at..4 * at + 4].copy_from_slice(&bytes)
        });
        Bundle::of_tensors(&broken).refused("not-finite", &[weight]);
    };
    set(0, f32::NAN.to_le_bytes());
    set(5, f32::INFINITY.to_le_bytes());
    set(7, f32::NEG_INFINITY.to_le_bytes());
    let broken = tensors_with("output.bias", |t| {
        t.dtype = "F16".to_owned();
        t.bytes = [f16::ONE, f16::INFINITY, f16::ONE]
            .into_iter()
            .flat_map(f16::to_le_bytes)
            .collect();
    });
    Bundle::of_tensors(&broken).refused("not-finite", &["output.bias"]);
}

#[test]
fn class_names_and_weights_agree_on_how_many_there_are() {
    Bundle::with(|c| c["classes"] = json!(["disc", "square"]))
        .refused("class-count", &["2 classes", "for 3"]);
    Bundle::with(|c| c["classes"] = json!(["a", "b", "c", "d"]))
        .refused("class-count", &["4 classes", "for 3"]);
}
