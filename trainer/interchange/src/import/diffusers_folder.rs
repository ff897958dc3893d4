//! The layout of a diffusers folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use super::scheduler::SCHEDULER_FILE;
use super::{Options, json, open};
use freeguide_native::usage::Usage;
use freeguide_readers::diffusers::Index;
use freeguide_readers::weights::Weights;

/// The file names of weights; safetensors come first.
const WEIGHTS: [&str; 3] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
];
/// The index that says which file has which tensor.
const INDEX: &str = "diffusion_pytorch_model.safetensors.index.json";

/// The folder of a network.
pub struct Folder(PathBuf);

impl Folder {
    /// The given folder or, if that is a pipeline, the folder of its network.
    pub fn find(options: &Options) -> Result<Self> {
        let folder = &options.file;
        if folder.is_file() {
            let what = format!(
                "{} is a file: name the folder that diffusers saved",
                folder.display()
            );
            return Err(Usage(what).into());
        }
        Ok(Self(match folder.join("unet").is_dir() {
            true => folder.join("unet"),
            false => folder.clone(),
        }))
    }

    /// The file that describes the network.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// The schedule: the given file, or the one beside the network or in the folder of the pipeline.
    pub fn schedule(&self, options: &Options) -> Result<PathBuf> {
        if let Some(path) = &options.scheduler {
            return Ok(path.clone());
        }
        let mut beside = ["", "scheduler", "../scheduler"]
            .iter()
            .map(|folder| self.0.join(folder).join(SCHEDULER_FILE));
        beside.find(|path| path.is_file()).ok_or_else(|| {
            let folder = self.0.display();
            let what = format!("{folder} has no {SCHEDULER_FILE}: name one with --scheduler");
            Usage(what).into()
        })
    }

    /// The weights, from one file or from those that an index lists.
    pub fn weights(&self) -> Result<Weights> {
        let mut files = WEIGHTS.iter().map(|name| self.0.join(name));
        if let Some(file) = files.find(|path| path.is_file()) {
            return open(&file);
        }
        let path = self.0.join(INDEX);
        if !path.is_file() {
            bail!("{} has no {}", self.0.display(), WEIGHTS.join(" or "));
        }
        let index: Index = json(&path)?;
        let mut whole: Option<Weights> = None;
        for name in &index.files {
            // A name, not a path, because an index must not refer outside its folder.
            if Path::new(name)
                .file_name()
                .is_none_or(|file| file != name.as_str())
            {
                bail!("{}: {name:?} is not a plain file name", path.display());
            }
            let file = self.0.join(name);
            let part = open(&file)?;
            whole = Some(match whole {
                None => part,
                Some(whole) => whole
                    .join(part)
                    .map_err(|e| anyhow!("{} {e}", file.display()))?,
            });
        }
        whole.ok_or_else(|| anyhow!("{} lists no file", path.display()))
    }
}
