//! Writes bundles: `config.json` and safetensors files, in shards if they are large.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use freeguide::bundle::{
    CONFIG_FILE, Config, MAX_SHARD_BYTES, SCALE_SUFFIX, WEIGHTS_FILE, WeightKind, WeightsFile, hex,
};
use freeguide::network::UNet;
use half::f16;
use safetensors::{Dtype, tensor::TensorView};
use sha2::{Digest, Sha256};

use super::DType;
use crate::quantize::quantize;
use crate::weights::{Weight, Weights};
use freeguide_native::files::{create_folder, write_atomic};

/// A file of an export: its name and its bytes.
pub type File = (String, Vec<u8>);

/// All files of a bundle of this network. `config` is its configuration without the weights files.
pub fn files(network: &UNet, dtype: DType, mut config: Config) -> Result<Vec<File>> {
    let mut files = write_weights(network, dtype, &mut config)?;
    files.push((CONFIG_FILE.to_owned(), config.to_json().into_bytes()));
    Ok(files)
}

/// Serialises the weights, in shards if they are large, and lists them in `config`.
pub fn write_weights(network: &UNet, dtype: DType, config: &mut Config) -> Result<Vec<File>> {
    config.weights.clear();
    config.format_version = config.least_version(match dtype {
        DType::F32 | DType::F16 => WeightKind::Floats,
        DType::Int8 => WeightKind::Int8,
    });
    let weights = Weights::of(network);
    write_shards(weights.iter().map(|w| Stored::of(w, dtype)), config)
}

/// Serialises tensors, one file per item, and lists the files in `config`.
pub(super) fn write_shards(
    tensors: impl Iterator<Item = Vec<Stored>>,
    config: &mut Config,
) -> Result<Vec<File>> {
    let mut shards: Vec<Vec<Stored>> = vec![Vec::new()];
    let mut filled = 0;
    for tensors in tensors {
        let bytes: u64 = tensors.iter().map(|t| t.bytes.len() as u64).sum();
        // A tensor larger than a shard gets its own shard.
        if filled > 0 && filled + bytes > MAX_SHARD_BYTES {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.extend(tensors);
        }
    }
    let count = shards.len();
    let mut files = Vec::new();
    let mut places = BTreeMap::new();
    for (i, shard) in shards.iter().enumerate() {
        let name = match count {
            1 => WEIGHTS_FILE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
        };
        let bytes = serialize(shard)?;
        places.extend(shard.iter().map(|t| (t.name.clone(), name.clone())));
        config.weights.push(WeightsFile {
            file: name.clone(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
        });
        files.push((name, bytes));
    }
    if count > 1 {
        // The index that other programs need for shards. Our own loader only needs config.json.
        let total: u64 = config.weights.iter().map(|w| w.bytes).sum();
        let index =
            serde_json::json!({ "metadata": { "total_size": total }, "weight_map": places });
        files.push((
            "model.safetensors.index.json".to_owned(),
            serde_json::to_vec_pretty(&index)?,
        ));
    }
    Ok(files)
}

/// Writes the files into `out`, each atomically and in order. `config.json` comes last, so an old bundle stays usable
/// until the new one is complete. Weights files of the old bundle are removed; other files, such as a model card, are
/// kept.
pub fn install(out: &Path, files: &[File]) -> Result<()> {
    write(out, files)?;
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let weights = name.starts_with("model")
            && (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"));
        if weights && !files.iter().any(|(written, _)| *written == name) {
            fs::remove_file(&path)
                .with_context(|| format!("cannot remove the old {}", path.display()))?;
        }
    }
    Ok(())
}

/// Like [`install`], but keeps all old files.
pub fn write(out: &Path, files: &[File]) -> Result<()> {
    create_folder(out)?;
    for (name, bytes) in files {
        let path = out.join(name);
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        write_atomic(&path, bytes)?;
    }
    Ok(())
}

/// A tensor in a file.
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: Dtype,
    pub(super) bytes: Vec<u8>,
}

impl Stored {
    /// The number of its values.
    pub(super) fn numbers(&self) -> usize {
        self.shape.iter().product()
    }

    /// Converts a tensor to a type. In 8 bits, its scale comes before it.
    fn of(weight: &Weight, dtype: DType) -> Vec<Self> {
        let Weight {
            name,
            shape,
            values,
        } = weight;
        let quantized = match dtype {
            DType::F32 => return vec![Self::f32(name, shape, values)],
            DType::F16 => return vec![Self::f16(name, shape, values)],
            DType::Int8 => quantize(weight),
        };
        let Some(quantized) = quantized else {
            return vec![Self::f32(name, shape, values)];
        };
        let scale = Self::f32(
            &format!("{name}{SCALE_SUFFIX}"),
            &quantized.scale_shape(shape),
            &quantized.scales,
        );
        let integers = quantized.integers.iter();
        let integers = Self {
            name: name.clone(),
            shape: shape.clone(),
            dtype: Dtype::I8,
            bytes: integers.flat_map(|v| v.to_le_bytes()).collect(),
        };
        vec![scale, integers]
    }

    pub(super) fn f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype: Dtype::F32,
            bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    pub(super) fn f16(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let halves = values.iter().map(|&v| f16::from_f32(v));
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype: Dtype::F16,
            bytes: halves.flat_map(f16::to_le_bytes).collect(),
        }
    }
}

/// A safetensors file. Larger types come first, so the scales of 8-bit tensors precede them, as the loader requires.
pub(super) fn serialize(tensors: &[Stored]) -> Result<Vec<u8>> {
    let views = tensors
        .iter()
        .map(|t| {
            let view = TensorView::new(t.dtype, t.shape.clone(), &t.bytes)?;
            Ok((t.name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(safetensors::serialize(views, None)?)
}
