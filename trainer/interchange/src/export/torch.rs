//! Writes a state dict for the PyTorch module in tests/pytorch/unet.py, with the module beside it, so that a PyTorch
//! user can continue with a model.

use anyhow::{Result, bail};
use freeguide::bundle::{CONFIG_FILE, Config, Network, WEIGHTS_FILE, WeightKind, WeightsFile, hex};
use freeguide::network::{Conditions, UNet, UNetConfig};
use freeguide::prediction::Target;
use sha2::{Digest, Sha256};

use super::DType;
use super::bundle::{File, Stored, serialize};
use crate::weights::{Weight, Weights};

/// The module, as the tests use it.
const MODULE: &str = include_str!("../../../../tests/pytorch/unet.py");
/// The file name of the module.
const MODULE_FILE: &str = "freeguide_unet.py";

/// `model.safetensors` with PyTorch's names and layout, the module, and `config.json` as in a bundle. `import --from
/// freeguide-torch` turns them into a bundle again.
///
/// # Errors
///
/// If the network is not ADM's U-Net, which the module implements.
pub fn files(network: &UNet, dtype: DType, config: &Config) -> Result<Vec<File>> {
    let plain = match &config.network {
        Network::UNet(network) => {
            // The module has these too, which came with later formats of bundles.
            let whole = UNetConfig {
                patch: 1,
                input_skip: false,
                guidance: None,
                flow_map: None,
                conditions: Conditions::default(),
                number: None,
                ..network.clone()
            };
            whole.least_version() == 1
        }
        _ => false,
    };
    let target = config.diffusion.target;
    if !matches!(target, Target::Epsilon | Target::V) {
        bail!("the PyTorch module is for networks that predict epsilon or v: use --format onnx");
    }
    if !plain || !config.null_class {
        bail!(
            "the PyTorch module is ADM's U-Net with a null class, and this network is not: use --format diffusers or onnx"
        );
    }
    let weights = Weights::of(network);
    let stored: Vec<Stored> = weights
        .iter()
        .map(|weight| {
            let (name, shape, values) = torch_layout(weight);
            match dtype {
                DType::F16 => Stored::f16(&name, &shape, &values),
                DType::F32 | DType::Int8 => Stored::f32(&name, &shape, &values),
            }
        })
        .collect();
    let bytes = serialize(&stored)?;
    let mut config = config.clone();
    config.format_version = config.least_version(WeightKind::Floats);
    config.weights = vec![WeightsFile {
        file: WEIGHTS_FILE.to_owned(),
        bytes: bytes.len() as u64,
        sha256: hex(&Sha256::digest(&bytes)),
    }];
    Ok(vec![
        (WEIGHTS_FILE.to_owned(), bytes),
        (MODULE_FILE.to_owned(), MODULE.as_bytes().to_vec()),
        (CONFIG_FILE.to_owned(), config.to_json().into_bytes()),
    ])
}

/// A tensor in the form of torch.nn: `class`, a keyword of Python, becomes `class_`, and the weights of linear layers
/// are `[out, in]`.
fn torch_layout(weight: &Weight) -> (String, Vec<usize>, Vec<f32>) {
    let name = weight.name.replace("class.weight", "class_.weight");
    match is_linear(weight) {
        true => {
            let (shape, values) = transposed(weight);
            (name, shape, values)
        }
        false => (name, weight.shape.clone(), weight.values.clone()),
    }
}

/// Whether a tensor is the weight of a linear layer, `[in, out]` here.
pub(super) fn is_linear(weight: &Weight) -> bool {
    weight.shape.len() == 2 && !weight.name.ends_with("class.weight")
}

/// Transposes a matrix.
pub(super) fn transposed(weight: &Weight) -> (Vec<usize>, Vec<f32>) {
    let [rows, columns] = [weight.shape[0], weight.shape[1]];
    let values = (0..rows * columns)
        .map(|i| weight.values[i % rows * columns + i / rows])
        .collect();
    (vec![columns, rows], values)
}
