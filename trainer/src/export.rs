//! From a run to a bundle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use clap::ValueEnum;
use freeguide::bundle::{
    CONFIG_FILE, Config, Diffusion, FORMAT_VERSION, ImageShape, MAX_SHARD_BYTES, Network,
    Provenance, WEIGHTS_FILE, WRITTEN_BY, WeightsFile, hex,
};
use freeguide::network::UNet;
use half::f16;
use safetensors::{Dtype, tensor::TensorView};
use sha2::{Digest, Sha256};

use crate::files::{create_folder, write_atomic};
use crate::output::tell;
use crate::recipe::Recipe;
use crate::train::{Average, RunFolder, RunInfo};

/// The type in which weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DType {
    /// 32-bit floating point: the weights as they were trained.
    F32,
    /// 16-bit floating point: half the size, and no visible difference.
    F16,
}

/// What was written.
#[derive(Debug, serde::Serialize)]
pub struct Exported {
    /// Training steps of the checkpoint.
    pub steps: u64,
    /// Parameters.
    pub parameters: u64,
    /// The decay of the average that the weights are.
    pub ema_decay: f64,
    /// Files and their bytes.
    pub files: Vec<(String, u64)>,
}

/// The configuration of a bundle of this run, without its weights, which are the average of this
/// decay.
pub fn config(recipe: &Recipe, info: &RunInfo, steps: u64, ema_decay: f64) -> Config {
    let mut config = Config {
        format_version: FORMAT_VERSION,
        written_by: WRITTEN_BY.to_owned(),
        name: recipe.name.clone(),
        image: ImageShape {
            size: recipe.data.size as usize,
            channels: recipe.data.channels as usize,
        },
        classes: info.classes.clone(),
        null_class: true,
        network: Network::UNet(recipe.network.clone()),
        diffusion: Diffusion {
            target: recipe.diffusion.target,
            log_snr: recipe.diffusion.log_snr,
        },
        sampling: recipe.sampling.clone(),
        weights: Vec::new(),
        provenance: Provenance {
            dataset: recipe.provenance.dataset.clone(),
            license: recipe.provenance.license.clone(),
            attribution: recipe.provenance.attribution.clone(),
            recipe: recipe.name.clone(),
            steps,
            images_seen: steps * recipe.train.batch as u64,
            p_uncond: recipe.diffusion.p_uncond,
            ema_decay,
            parameters: info.parameters,
            metrics: BTreeMap::new(),
        },
    };
    config.format_version = config.least_version();
    config
}

/// Exports the average of decay `ema`, or the recipe's first, of the last checkpoint of the run in
/// `run` to the bundle folder `out`.
pub fn export(run: &Path, out: &Path, dtype: DType, ema: Option<f64>) -> Result<Exported> {
    let folder = RunFolder::new(run);
    let (info, recipe) = (folder.info()?, folder.recipe()?);
    let device = Device::flex();
    let like = recipe.network.init(
        recipe.data.size as usize,
        recipe.data.channels as usize,
        info.classes.len(),
        &device,
    );
    let mut report = |line: String| tell!("warning: {line}");
    let found = Average::load_latest(&folder.checkpoints(), &like, &recipe, ema, &mut report)?;
    let Some(average) = found else {
        bail!(
            "{} holds no checkpoint yet: train longer, or with a smaller train.checkpoint_every",
            run.display()
        );
    };
    let mut config = config(&recipe, &info, average.step, average.decay);
    let mut files = write_weights(&average.network, dtype, &mut config)?;
    files.push((CONFIG_FILE.to_owned(), config.to_json().into_bytes()));
    install(out, &files)?;
    Ok(Exported {
        steps: average.step,
        parameters: info.parameters,
        ema_decay: average.decay,
        files: files
            .into_iter()
            .map(|(name, bytes)| (name, bytes.len() as u64))
            .collect(),
    })
}

/// Serialises the weights, in shards where they are large, and lists them in `config`.
pub fn write_weights(
    network: &UNet,
    dtype: DType,
    config: &mut Config,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut collector = Collector {
        path: Vec::new(),
        dtype,
        tensors: Vec::new(),
    };
    network.visit(&mut collector);
    let mut shards: Vec<Vec<Stored>> = vec![Vec::new()];
    let mut filled = 0;
    for tensor in collector.tensors {
        // A tensor that is larger than a shard gets one to itself.
        if filled > 0 && filled + tensor.bytes.len() as u64 > MAX_SHARD_BYTES {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += tensor.bytes.len() as u64;
        if let Some(shard) = shards.last_mut() {
            shard.push(tensor);
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
        let views = shard
            .iter()
            .map(|t| {
                Ok((
                    t.name.as_str(),
                    TensorView::new(dtype.stored(), t.shape.clone(), &t.bytes)?,
                ))
            })
            .collect::<Result<Vec<_>>>()?;
        let bytes = safetensors::serialize(views, None)?;
        places.extend(shard.iter().map(|t| (t.name.clone(), name.clone())));
        config.weights.push(WeightsFile {
            file: name.clone(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
        });
        files.push((name, bytes));
    }
    if count > 1 {
        // What other programs look for beside shards; our own loader needs config.json alone.
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

/// Writes the files into `out`, each whole or not at all and `config.json` last, so that a bundle
/// that is replaced stays usable until the new one is complete. Other files, such as a model
/// card, stay; weights of a bundle that was there before go.
pub fn install(out: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    create_folder(out)?;
    for (name, bytes) in files {
        write_atomic(&out.join(name), bytes)?;
    }
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

struct Stored {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

struct Collector {
    path: Vec<String>,
    dtype: DType,
    tensors: Vec<Stored>,
}

impl DType {
    fn stored(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
        }
    }
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        let values = data.iter::<f32>();
        let bytes = match self.dtype {
            DType::F32 => values.flat_map(f32::to_le_bytes).collect(),
            DType::F16 => values
                .flat_map(|v| f16::from_f32(v).to_le_bytes())
                .collect(),
        };
        self.tensors.push(Stored {
            name: self.path.join("."),
            shape: data.shape().to_vec(),
            bytes,
        });
    }
}
