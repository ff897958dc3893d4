//! The fixtures that tests/pytorch/make_unet_fixture.py writes; what they hold is said there.

use burn::tensor::{Device, Int, Tensor, TensorData};
use freeguide::bundle::{Loader, WEIGHTS_FILE, hex};
use freeguide::network::UNet;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the names of parameters begin with.
const WEIGHT: &str = "weight.";

/// One file.
pub struct Fixture {
    bytes: Vec<u8>,
    /// `network` and `image` as in a bundle's configuration, and the number of `classes`.
    config: Value,
}

impl Fixture {
    pub fn open(name: &str) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let path = format!("{folder}/unet_{name}.safetensors");
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().clone().unwrap();
        let config = serde_json::from_str(&metadata["config"]).unwrap();
        Self { bytes, config }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    /// The names of all parameters, as in a bundle.
    pub fn parameters(&self) -> Vec<String> {
        let tensors = self.tensors();
        let names = tensors.names();
        names
            .iter()
            .filter_map(|name| name.strip_prefix(WEIGHT))
            .map(str::to_owned)
            .collect()
    }

    /// The values of an f32 tensor, which fails where there is none of that name.
    pub fn values(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let tensor = tensors
            .tensor(name)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        let bytes = tensor.data().chunks_exact(4);
        bytes
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    /// An f32 tensor on `device`.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let values = self.values(name);
        let shape = self.tensors().tensor(name).unwrap().shape().to_vec();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// The class of every row.
    pub fn classes(&self) -> Vec<u32> {
        let tensors = self.tensors();
        let tensor = tensors.tensor("class").unwrap();
        assert_eq!(tensor.dtype(), Dtype::I32);
        let bytes = tensor.data().chunks_exact(4);
        bytes
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    /// The network's input: z, λ and the classes.
    pub fn input(&self, device: &Device) -> (Tensor<4>, Tensor<1>, Tensor<1, Int>) {
        let classes: Vec<i32> = self.classes().into_iter().map(|c| c as i32).collect();
        let count = classes.len();
        (
            self.tensor("z", device),
            self.tensor("log_snr", device),
            Tensor::from_data(TensorData::new(classes, [count]), device),
        )
    }

    /// The network with its weights, through the loader of bundles; `change` may alter the
    /// configuration of the network before.
    pub fn network(&self, device: &Device, change: impl FnOnce(&mut Value)) -> UNet {
        let tensors = self.tensors();
        let weights = tensors
            .iter()
            .filter_map(|(name, view)| Some((name.strip_prefix(WEIGHT)?, view)));
        let file = safetensors::serialize(weights, None).unwrap();
        let mut network = self.config["network"].clone();
        change(&mut network);
        let classes = self.config["classes"].as_u64().unwrap();
        let classes: Vec<String> = (0..classes).map(|i| format!("class {i}")).collect();
        let config = json!({
            "format_version": match () {
                () if network.get("low_resolution").is_some() => 5,
                () if network.get("conditions").is_some() => 4,
                () if network.get("guidance").is_some() => 3,
                () if network.get("patch").is_some() => 2,
                () => 1,
            },
            "written_by": "tests/pytorch/make_unet_fixture.py",
            "name": "fixture",
            "image": self.config["image"],
            "classes": classes,
            "network": network,
            "diffusion": { "target": "v" },
            // A number of steps that any network takes.
            "sampling": { "steps": 4 },
            "weights": [{
                "file": WEIGHTS_FILE,
                "bytes": file.len(),
                "sha256": hex(&Sha256::digest(&file)),
            }],
            "provenance": {},
        });
        let mut loader = Loader::new(&config.to_string(), device).unwrap();
        loader.begin(WEIGHTS_FILE).unwrap();
        loader.push(&file).unwrap();
        loader.end().unwrap();
        loader.finish().unwrap().network().clone()
    }
}
