//! `freeguide import`: models of other programs' own code, small and with random weights, become
//! bundles that answer as they did. tests/pytorch says how the fixtures are made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn::tensor::{Device, Int, Tensor, TensorData};
use freeguide::bundle::{Config, Loader, Model, Network};
use freeguide::network::UNetConfig;
use freeguide::prediction::Target;
use freeguide::settings::{ClassName, Guidance, Request, RequestError};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

/// How far an output, of the order of 1, may be from the other program's.
const TOLERANCE: f64 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/import")
        .join(name)
}

fn freeguide(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_freeguide");
    let output = Command::new(program).args(arguments).output();
    output.expect("freeguide starts")
}

/// The bundle that an import writes.
fn imported(from: &str, file: &Path, out: &Path, further: &[&str]) -> Model {
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let arguments = [&["import", "--from", from, file, "--out", out], further].concat();
    let output = freeguide(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    open(Path::new(out), |_| {})
}

/// Opens a bundle, with a change of its configuration.
fn open(folder: &Path, change: impl FnOnce(&mut Value)) -> Model {
    let json = fs::read_to_string(folder.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&json).unwrap();
    change(&mut config);
    let mut loader = Loader::new(&config.to_string(), &Device::flex()).unwrap();
    for file in loader.files().to_vec() {
        loader.begin(&file.file).unwrap();
        loader
            .push(&fs::read(folder.join(&file.file)).unwrap())
            .unwrap();
        loader.end().unwrap();
    }
    loader.finish().unwrap()
}

/// What the other program computed.
struct Expected {
    bytes: Vec<u8>,
}

impl Expected {
    fn of(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { bytes }
    }

    fn metadata(&self, key: &str) -> String {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).unwrap();
        header.metadata().as_ref().unwrap()[key].clone()
    }

    fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes)
            .unwrap()
            .tensor(name)
            .is_ok()
    }

    fn values(&self, name: &str) -> Vec<f64> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F32 => data
                .as_chunks()
                .0
                .iter()
                .map(|&b| f32::from_le_bytes(b).into())
                .collect(),
            Dtype::F64 => data
                .as_chunks()
                .0
                .iter()
                .map(|&b| f64::from_le_bytes(b))
                .collect(),
            Dtype::I32 => data
                .as_chunks()
                .0
                .iter()
                .map(|&b| i32::from_le_bytes(b).into())
                .collect(),
            other => panic!("{name} is {other:?}"),
        }
    }

    fn images(&self) -> Tensor<4> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let shape = tensors.tensor("x").unwrap().shape().to_vec();
        let values: Vec<f32> = self.values("x").into_iter().map(|v| v as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// How far a model's answer is from the other program's, at these λ and classes.
    fn error(&self, model: &Model, log_snr: &[f64], classes: &[u32]) -> f64 {
        let device = Device::flex();
        let log_snr: Vec<f32> = log_snr.iter().map(|&l| l as f32).collect();
        let classes: Vec<i32> = classes.iter().map(|&c| c as i32).collect();
        let rows = log_snr.len();
        let output = model.network().forward(
            self.images(),
            Tensor::from_data(TensorData::new(log_snr, [rows]), &device),
            Tensor::<1, Int>::from_data(TensorData::new(classes, [rows]), &device),
        );
        let output: Vec<f64> = output.into_data().iter::<f64>().collect();
        let expected = self.values("output");
        assert_eq!(output.len(), expected.len());
        let differences = output.iter().zip(&expected).map(|(o, e)| (o - e).abs());
        differences.fold(0.0, |worst, d| if d <= worst { worst } else { d })
    }

    /// λ of every row, by its timestep: between two timesteps, between their levels.
    fn log_snr(&self, config: &Config) -> Vec<f64> {
        let Network::UNet(network) = &config.network else {
            panic!("an import is a U-Net");
        };
        let timesteps = network.timesteps.as_ref().unwrap();
        let levels = timesteps.levels();
        let shown = self.values("timestep").into_iter();
        shown
            .map(|t| {
                let t = t / timesteps.scale;
                let (whole, part) = (t.floor() as usize, t.fract());
                let next = levels[(whole + 1).min(levels.len() - 1)];
                levels[whole].0 * (1.0 - part) + next.0 * part
            })
            .collect()
    }

    fn classes(&self, null: u32) -> Vec<u32> {
        match self.has("class") {
            true => self.values("class").into_iter().map(|c| c as u32).collect(),
            false => vec![null; self.values("timestep").len()],
        }
    }
}

/// Imports a fixture and compares what it answers, and its noise levels.
fn agrees(from: &str, file: &str, name: &str, further: &[&str]) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let model = imported(from, &fixture(file), &folder.path().join("model"), further);
    let expected = Expected::of(&fixture(&format!("{name}.expected.safetensors")));
    let config = model.config();
    let Network::UNet(network) = &config.network else {
        panic!("an import is a U-Net");
    };
    let levels = network.timesteps.as_ref().unwrap().levels();
    let theirs = expected.values("levels");
    assert_eq!(levels.len(), theirs.len());
    for (ours, theirs) in levels.iter().zip(theirs) {
        // diffusers multiplies its levels in 32-bit floats, and at the clean end they cancel.
        assert!(
            (ours.0 - theirs).abs() < 2e-2_f64.min(1e-6 * ours.0.exp() + 1e-4),
            "{ours:?} {theirs}"
        );
    }
    let range = config.diffusion.log_snr;
    assert!((range.max - levels[0].0).abs() < 1e-9);
    assert!((range.min - levels[levels.len() - 1].0).abs() < 1e-9);
    let null = config.classes.len() as u32;
    let (log_snr, classes) = (expected.log_snr(config), expected.classes(null));
    let error = expected.error(&model, &log_snr, &classes);
    println!("{name}: output off by {error:.1e}");
    assert!(error <= TOLERANCE, "{name}: {error}");
    model
}

fn guided(name: &str, further: &[&str]) -> Model {
    let expected = Expected::of(&fixture(&format!("{name}.expected.safetensors")));
    let flags = expected.metadata("flags");
    let further = [&["--flags", &flags], further].concat();
    agrees("guided-diffusion", &format!("{name}.pt"), name, &further)
}

#[test]
fn guided_diffusions_networks_answer_as_they_did() {
    let learned = guided("guided_learned", &[]);
    assert!(!learned.config().null_class);
    assert_eq!(learned.config().classes.len(), 5);
    guided("guided_default", &[]);
    let unconditional = guided("guided_unconditional", &[]);
    assert!(unconditional.config().classes.is_empty());
    assert!(unconditional.config().null_class);
}

/// The paper's network: as many parameters as openai/guided-diffusion's, and the same answer,
/// both where it is shown timesteps and where it is shown λ, as those that are trained here.
#[test]
fn the_papers_network_is_guided_diffusions() {
    let model = guided("guided_adm64", &["--null-class", "last"]);
    assert_eq!(model.config().classes.len(), 1000);

    let expected = Expected::of(&fixture("guided_adm64.expected.safetensors"));
    let preset: UNetConfig = serde_json::from_value(json!({
        "preset": "adm64", "base_channels": 4, "head_channels": 4, "norm_groups": 2,
    }))
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let flags = expected.metadata("flags");
    let out = folder.path().join("narrow");
    let further = ["--null-class", "last", "--flags", &flags];
    imported(
        "guided-diffusion",
        &fixture("guided_adm64.pt"),
        &out,
        &further,
    );
    let narrow = open(&out, |config| {
        config["network"] = serde_json::to_value(&preset).unwrap();
        config["network"]["kind"] = "unet".into();
    });
    // t = 1000 (20 − λ)/40.
    let log_snr: Vec<f64> = expected
        .values("timestep")
        .iter()
        .map(|t| 20.0 - t / 25.0)
        .collect();
    let error = expected.error(&narrow, &log_snr, &expected.classes(1000));
    println!("adm64, narrow: output off by {error:.1e}");
    assert!(error <= TOLERANCE, "{error}");

    let network = UNetConfig::adm64().init(64, 3, 1000, &Device::flex());
    let parameters = freeguide::bundle::parameters(&network);
    let count: usize = parameters
        .iter()
        .map(|p| p.shape.iter().product::<usize>())
        .sum();
    assert_eq!(count.to_string(), expected.metadata("adm64_parameters"));
}

/// `make_guided_diffusion_fixture.py CHECKOUT --full FILE` makes the files that FREEGUIDE_ADM64
/// names.
#[test]
#[ignore = "needs 1.2 GB of weights: see tests/pytorch/make_guided_diffusion_fixture.py"]
fn the_papers_network_in_full() {
    let file =
        PathBuf::from(std::env::var("FREEGUIDE_ADM64").expect("FREEGUIDE_ADM64 names a file"));
    let expected = Expected::of(&file.with_extension("expected.safetensors"));
    let folder = tempfile::tempdir().unwrap();
    let flags = expected.metadata("flags");
    let further = ["--null-class", "last", "--dtype", "f16", "--flags", &flags];
    let model = imported("guided-diffusion", &file, folder.path(), &further);
    let log_snr = expected.log_snr(model.config());
    let error = expected.error(&model, &log_snr, &expected.classes(1000));
    println!(
        "adm64: {} parameters, output off by {error:.1e}",
        model.config().provenance.parameters
    );
    assert!(error <= TOLERANCE, "{error}");
}

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
        guidance: Some(Guidance::All(2.0)),
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
    request.guidance = Some(Guidance::All(1.0));
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

/// Our own network in PyTorch's layout, and back.
#[test]
fn our_own_weights_come_back_from_pytorchs_layout() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-model");
    let folder = tempfile::tempdir().unwrap();
    let torch = folder.path().join("torch");
    fs::create_dir(&torch).unwrap();
    fs::copy(tiny.join("config.json"), torch.join("config.json")).unwrap();
    let bytes = fs::read(tiny.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut turned = BTreeMap::new();
    for (name, view) in tensors.tensors() {
        let (mut shape, size) = (view.shape().to_vec(), view.dtype().bitsize() / 8);
        let mut data = view.data().to_vec();
        let linear = [
            "log_snr_in",
            "log_snr_out",
            "modulation",
            "qkv",
            "attention.output",
        ];
        let layer = name.strip_suffix(".weight").unwrap_or_default();
        if linear.iter().any(|linear| layer.ends_with(linear)) {
            let [rows, columns] = [shape[0], shape[1]];
            let place = |row: usize, column: usize| (row * columns + column) * size;
            let old = data.clone();
            data.clear();
            for column in 0..columns {
                for row in 0..rows {
                    data.extend(&old[place(row, column)..place(row, column) + size]);
                }
            }
            shape = vec![columns, rows];
        }
        turned.insert(
            name.replace(".class.", ".class_."),
            (view.dtype(), shape, data),
        );
    }
    let views = turned.iter().map(|(name, (dtype, shape, data))| {
        let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), data);
        (name.clone(), view.unwrap())
    });
    let file = safetensors::serialize(views, None).unwrap();
    fs::write(torch.join("model.safetensors"), file).unwrap();

    let out = folder.path().join("tiny");
    let dtype = match tensors.tensors()[0].1.dtype() {
        Dtype::F16 => "f16",
        _ => "f32",
    };
    imported("freeguide-torch", &torch, &out, &["--dtype", dtype]);
    let again = fs::read(out.join("model.safetensors")).unwrap();
    let again = SafeTensors::deserialize(&again).unwrap();
    assert_eq!(again.len(), tensors.len());
    for (name, view) in tensors.tensors() {
        let found = again.tensor(&name).unwrap();
        assert_eq!(
            (found.shape(), found.data()),
            (view.shape(), view.data()),
            "{name}"
        );
    }
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
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-model");
    let error = plan(
        &open(&tiny, |_| {}),
        r#"{"classes": [0], "grid": {"spacing": "leading"}}"#,
    );
    let error = error.unwrap_err();
    assert!(error.contains("continuous time"), "{error}");
}

/// What `export --format safetensors` writes comes back as the same model.
#[test]
fn our_own_export_to_pytorch_comes_back() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-model");
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (tiny, torch, back) = (tiny.to_str().unwrap(), place("torch"), place("back"));
    let ok = |arguments: &[&str]| {
        let output = freeguide(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    };
    ok(&[
        "export",
        "--model",
        tiny,
        "--format",
        "safetensors",
        "--out",
        &torch,
    ]);
    ok(&[
        "import",
        "--from",
        "freeguide-torch",
        &torch,
        "--out",
        &back,
    ]);
    let pictures = [tiny, &back].map(|model| {
        let out = place("pictures/");
        let request = [
            "--count",
            "3",
            "--seed",
            "7",
            "--steps",
            "4",
            "--guidance",
            "1.5",
        ];
        ok(&[&["sample", "--model", model, "--out", &out], &request[..]].concat());
        let picture = |k| image::open(format!("{out}{k:05}.png")).unwrap().to_rgb8();
        (0..3).map(picture).collect::<Vec<_>>()
    });
    assert!(pictures[0] == pictures[1]);
}

/// One sentence, and exit code 1 for what is wrong with a file, 2 for what is wrong with what was
/// asked.
fn refused(code: i32, arguments: &[&str], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let arguments = [&["import", "--out", out.to_str().unwrap()], arguments].concat();
    let output = freeguide(&arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for word in words {
        assert!(errors.contains(word), "{word:?} is not in {errors}");
    }
    assert!(!out.join("config.json").exists());
}

#[test]
fn damaged_and_hostile_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let whole = fs::read(fixture("guided_default.pt")).unwrap();
    let flags = Expected::of(&fixture("guided_default.expected.safetensors")).metadata("flags");
    let guided = |path: &str, words: &[&str]| {
        refused(
            1,
            &["--from", "guided-diffusion", path, "--flags", &flags],
            words,
        );
    };
    guided(
        &file("cut.pt", &whole[..whole.len() / 2]),
        &["cut.pt", "cut off"],
    );
    guided(
        &file("text.pt", b"hello"),
        &["text.pt", "neither a safetensors"],
    );
    guided(
        &file("empty.pt", b""),
        &["empty.pt", "neither a safetensors"],
    );
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n";
    guided(&file("pointer.pt", pointer), &["git lfs pull"]);
    // What `pickle.dumps` makes of an object whose reconstruction calls os.system.
    let mut hostile = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec();
    hostile.extend(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.");
    guided(
        &file("hostile.pt", &hostile),
        &["would run code", "posix.system"],
    );
    let enormous = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    guided(
        &file("enormous.safetensors", &enormous),
        &["its header claims"],
    );
    let header =
        br#"{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    let claims = [&(header.len() as u64).to_le_bytes()[..], header].concat();
    guided(
        &file("claims.safetensors", &claims),
        &["fit neither its shape nor the file"],
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let path = fixture("guided_default.pt");
    let path = path.to_str().unwrap();
    let flags = Expected::of(&fixture("guided_default.expected.safetensors")).metadata("flags");
    let with = |flags: &str, words: &[&str], code: i32| {
        refused(
            code,
            &["--from", "guided-diffusion", path, "--flags", flags],
            words,
        );
    };
    with(
        &flags.replace("num_channels 8", "num_channels 16"),
        &["wanted", "another network"],
        1,
    );
    with(
        &flags.replace("num_res_blocks 2", "num_res_blocks 1"),
        &["no place for"],
        1,
    );
    with(
        &flags.replace("num_channels 8", "num_chanels 8"),
        &["did you mean --num_channels"],
        2,
    );
    with(
        &format!("{flags} --predict_xstart True"),
        &["predict_xstart"],
        1,
    );
    let further = [
        "--from",
        "guided-diffusion",
        path,
        "--flags",
        &flags,
        "--null-class",
        "9",
    ];
    refused(2, &further, &["--null-class 9", "below 3"]);
    refused(
        1,
        &["--from", "diffusers", "/no/such/folder"],
        &["is not there"],
    );

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(fixture("diffusers_learned")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let path = copy.to_str().unwrap();
    let change = |file: &str, key: &str, value: Value, words: &[&str]| {
        let file = copy.join(file);
        let before = fs::read_to_string(&file).unwrap();
        let mut json: Value = serde_json::from_str(&before).unwrap();
        json[key] = value;
        fs::write(&file, json.to_string()).unwrap();
        refused(1, &["--from", "diffusers", path], words);
        fs::write(&file, before).unwrap();
    };
    change(
        "config.json",
        "time_embedding_type",
        json!("fourier"),
        &["fourier", "no counterpart"],
    );
    change("config.json", "act_fn", json!("gelu"), &["gelu"]);
    let blocks = json!(["DownBlock2D", "CrossAttnDownBlock2D"]);
    change(
        "config.json",
        "down_block_types",
        blocks,
        &["CrossAttnDownBlock2D"],
    );
    change(
        "config.json",
        "norm_num_groups",
        json!(5),
        &["norm_groups is 5"],
    );
    change(
        "scheduler_config.json",
        "prediction_type",
        json!("sample"),
        &["predicts the sample"],
    );
    change(
        "scheduler_config.json",
        "beta_schedule",
        json!("sigmoid"),
        &["sigmoid"],
    );
    fs::remove_file(copy.join("scheduler_config.json")).unwrap();
    refused(2, &["--from", "diffusers", path], &["--scheduler"]);
}
