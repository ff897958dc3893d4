//! The bundle of a network compiled by `cargo xtask compile-onnx`: the weights that burn-onnx read from an ONNX file,
//! with the metadata of the file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn_pack::{DType, Reader};
use freeguide::bundle::{
    CONFIG_FILE, Compiled, Config, Diffusion, FORMAT_VERSION, ImageShape, Network, Provenance,
    WRITTEN_BY, hex,
};
use freeguide::noise_level::LogSnrRange;
use sha2::{Digest, Sha256};

use super::File;
use super::bundle::{Stored, write_shards};
use freeguide_readers::onnx::Signature;

/// The prefix of the runtime's parameters before burn-onnx's own names.
const PREFIX: &str = "network.";

/// The files of the bundle of the ONNX file `onnx`, from which burn-onnx wrote `weights`.
pub fn files(onnx: &Path, weights: &Path) -> Result<Vec<File>> {
    let shown = onnx.display();
    let bytes = fs::read(onnx).with_context(|| format!("cannot read {shown}"))?;
    let mut config = config(&bytes).with_context(|| shown.to_string())?;
    let tensors = tensors(weights).with_context(|| shown.to_string())?;
    let numbers: usize = tensors.iter().map(Stored::numbers).sum();
    config.provenance.parameters = numbers as u64;
    let tensors = tensors.into_iter().map(|tensor| vec![tensor]);
    let mut files = write_shards(tensors, &mut config)?;
    let json = config.to_json();
    // Find errors now that the runtime would find later.
    Config::parse(&json).with_context(|| shown.to_string())?;
    files.push((CONFIG_FILE.to_owned(), json.into_bytes()));
    Ok(files)
}

/// Checks that the ONNX file has the signature and the metadata of a denoiser.
pub fn check(onnx: &Path) -> Result<()> {
    let shown = onnx.display();
    let bytes = fs::read(onnx).with_context(|| format!("cannot read {shown}"))?;
    config(&bytes)
        .with_context(|| shown.to_string())
        .map(|_| ())
}

fn config(onnx: &[u8]) -> Result<Config> {
    let signature = Signature::read(onnx)?;
    let text = |key: &str| signature.optional(key).unwrap_or_default().to_owned();
    let number = |key: &str, default: f64| match signature.optional(key) {
        Some(text) => text.parse().with_context(|| {
            format!("its metadata entry {key} is {text:?}, which is not a number")
        }),
        None => Ok(default),
    };
    let classes = signature.needed("classes")?;
    let target = signature.needed("target")?;
    let sampling = signature.optional("sampling").unwrap_or("{}");
    Ok(Config {
        format_version: FORMAT_VERSION,
        written_by: WRITTEN_BY.to_owned(),
        name: signature.optional("name").unwrap_or("onnx").to_owned(),
        image: ImageShape {
            size: signature.size,
            channels: signature.channels,
        },
        classes: serde_json::from_str(classes)
            .context("its metadata entry classes is not a JSON list of names")?,
        null_class: signature.optional("null_class") != Some("none"),
        network: Network::Compiled(Compiled {
            onnx_sha256: hex(&Sha256::digest(onnx)),
        }),
        diffusion: Diffusion {
            target: serde_json::from_value(target.into())
                .context("its metadata entry target is neither epsilon nor v")?,
            log_snr: LogSnrRange {
                min: number("log_snr_min", LogSnrRange::PAPER.min)?,
                max: number("log_snr_max", LogSnrRange::PAPER.max)?,
            },
        },
        sampling: serde_json::from_str(sampling)
            .context("its metadata entry sampling is not a valid set of sampling settings")?,
        weights: Vec::new(),
        provenance: Provenance {
            dataset: text("dataset"),
            license: text("license"),
            attribution: text("attribution"),
            ..Provenance::default()
        },
    })
}

/// The weights that burn-onnx wrote.
fn tensors(burnpack: &Path) -> Result<Vec<Stored>> {
    let shown = burnpack.display();
    let reader = Reader::from_file(burnpack).with_context(|| format!("cannot read {shown}"))?;
    let mut tensors = Vec::new();
    for tensor in reader.into_tensors()? {
        let (name, dtype, shape, _, bytes) = tensor.into_parts()?;
        if dtype != DType::F32 {
            bail!("its constant {name} is {dtype:?}, but weights must be 32-bit floats");
        }
        let dtype = safetensors::Dtype::F32;
        tensors.push(Stored {
            name: format!("{PREFIX}{name}"),
            shape: shape.to_vec(),
            dtype,
            bytes: bytes.to_vec(),
        });
    }
    Ok(tensors)
}
