//! What all of them do: import a fixture, open what comes of it, compare its answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn::tensor::{Device, Int, Tensor, TensorData};
use freeguide::bundle::{Config, Loader, Model, Network};
use freeguide::denoiser::Denoiser;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// How far an output, of the order of 1, may be from the other program's.
pub const TOLERANCE: f64 = 1e-4;

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/import")
        .join(name)
}

pub fn freeguide(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_freeguide");
    let output = Command::new(program).args(arguments).output();
    output.expect("freeguide starts")
}

/// The bundle that an import writes.
pub fn imported(from: &str, file: &Path, out: &Path, further: &[&str]) -> Model {
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let arguments = [&["import", "--from", from, file, "--out", out], further].concat();
    let output = freeguide(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    open(Path::new(out), |_| {})
}

/// Opens a bundle, with a change of its configuration.
pub fn open(folder: &Path, change: impl FnOnce(&mut Value)) -> Model {
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
pub struct Expected {
    bytes: Vec<u8>,
}

impl Expected {
    pub fn of(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { bytes }
    }

    pub fn metadata(&self, key: &str) -> String {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).unwrap();
        header.metadata().as_ref().unwrap()[key].clone()
    }

    pub fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes)
            .unwrap()
            .tensor(name)
            .is_ok()
    }

    pub fn values(&self, name: &str) -> Vec<f64> {
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

    pub fn images(&self) -> Tensor<4> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let shape = tensors.tensor("x").unwrap().shape().to_vec();
        let values: Vec<f32> = self.values("x").into_iter().map(|v| v as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// How far a model's answer is from the other program's, at these λ and classes.
    pub fn error(&self, model: &Model, log_snr: &[f64], classes: &[u32]) -> f64 {
        let device = Device::flex();
        let log_snr: Vec<f32> = log_snr.iter().map(|&l| l as f32).collect();
        let classes: Vec<i32> = classes.iter().map(|&c| c as i32).collect();
        let rows = log_snr.len();
        let output = model.network().predict(
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
    pub fn log_snr(&self, config: &Config) -> Vec<f64> {
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

    pub fn classes(&self, null: u32) -> Vec<u32> {
        match self.has("class") {
            true => self.values("class").into_iter().map(|c| c as u32).collect(),
            false => vec![null; self.values("timestep").len()],
        }
    }
}

/// Imports a fixture and compares what it answers, and its noise levels.
pub fn agrees(from: &str, file: &str, name: &str, further: &[&str]) -> Model {
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

/// One sentence, and exit code 1 for what is wrong with a file, 2 for what is wrong with what was
/// asked.
pub fn refused(code: i32, arguments: &[&str], words: &[&str]) {
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
