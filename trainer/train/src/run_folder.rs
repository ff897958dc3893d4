//! The run folder: the files of a training, from which it can be resumed.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::metric::Metric;
use crate::run_info::RunInfo;
use freeguide_native::files::{create_folder, write_atomic};
use freeguide_recipe::Recipe;

/// The files of a run.
///
/// ```text
/// recipe.toml     the recipe as it was run, with every --set and every default
/// run.json        data set, classes, every start with its command and versions
/// metrics.jsonl   one line every few steps
/// tensorboard/    the same metrics and the grids as event files, one per start
/// loss.png        the loss curve
/// samples/        data.png, images as the network sees them; grids of samples at intervals
/// checkpoints/    the last two checkpoints, and those of train.keep_steps
/// ```
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// The folder at `path`.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Creates the folder and writes `recipe.toml` and `run.json`. This is repeated when a run is resumed, to record
    /// what may have changed, such as the number of steps.
    pub fn create(&self, recipe: &Recipe, info: &RunInfo) -> Result<()> {
        create_folder(&self.samples())?;
        self.put("recipe.toml", recipe.to_toml()?.as_bytes())?;
        self.put("run.json", &serde_json::to_vec_pretty(info)?)
    }

    /// Whether a training was started here.
    pub fn is_begun(&self) -> bool {
        self.0.join("run.json").exists() || self.checkpoints().exists()
    }

    /// Refuses to resume a run that does not exist, and to start one where another is. Ranks other than the `first` may
    /// see what it has just started.
    pub fn check_start(&self, resume: bool, first: bool) -> Result<()> {
        let place = self.0.display();
        match (resume, self.is_begun()) {
            (true, false) => bail!("there is no training in {place} to resume"),
            (false, true) if first => bail!(
                "{place} already holds a training: go on with --resume, or choose another --out"
            ),
            _ => Ok(()),
        }
    }

    /// The recipe that the run was started with.
    pub fn recipe(&self) -> Result<Recipe> {
        Recipe::load(&self.0.join("recipe.toml"), &[])
    }

    /// The description of the run.
    pub fn info(&self) -> Result<RunInfo> {
        let path = self.0.join("run.json");
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is not a run folder: cannot read {}",
                self.0.display(),
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} cannot be parsed", path.display()))
    }

    /// Refuses to resume with a recipe or with data that would give another model. Other data with the same classes may
    /// be allowed.
    pub fn check_resumable(
        &self,
        recipe: &Recipe,
        was: &RunInfo,
        info: &RunInfo,
        allow_other_data: bool,
    ) -> Result<()> {
        let old = self.recipe()?;
        if was.classes != info.classes {
            bail!(
                "the classes of the data set are {}, but this run was started with {}; train into another --out, with --init for the weights",
                info.classes.join(", "),
                was.classes.join(", ")
            );
        }
        if was.data_fingerprint != info.data_fingerprint && !allow_other_data {
            bail!(
                "this run was started with another data set: the fingerprint is {}, that of {} was {}; train into another --out, or continue with --allow-other-data",
                info.data_fingerprint,
                was.data.display(),
                was.data_fingerprint
            );
        }
        if let Some(init) = &info.init
            && was
                .init
                .as_ref()
                .is_none_or(|was| was.sha256 != init.sha256)
        {
            bail!(
                "this run did not start from the model in {}; train into another --out",
                init.model.display()
            );
        }
        for (section, same) in [
            ("data", old.data.same_images(&recipe.data)),
            ("network", old.network == recipe.network),
            ("diffusion", old.diffusion == recipe.diffusion),
        ] {
            if !same {
                bail!(
                    "this run was started with another [{section}] in its recipe; train into another --out"
                );
            }
        }
        if (old.train.seed, old.train.batch) != (recipe.train.seed, recipe.train.batch) {
            bail!(
                "train.seed and train.batch cannot change within a run; train into another --out"
            );
        }
        Ok(())
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The folder of sample grids.
    pub fn samples(&self) -> PathBuf {
        self.0.join("samples")
    }

    /// The last grid of samples, if one was drawn.
    pub fn last_grid(&self) -> Result<Option<PathBuf>> {
        let folder = self.samples();
        if !folder.is_dir() {
            return Ok(None);
        }
        let mut grids = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry.with_context(|| folder.display().to_string())?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with("step-") && name.ends_with(".png")) {
                grids.push(path);
            }
        }
        Ok(grids.into_iter().max())
    }

    /// The folder of event files.
    pub fn events(&self) -> PathBuf {
        self.0.join("tensorboard")
    }

    /// Writes a file of the run atomically.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_atomic(&self.0.join(name), bytes)
    }

    /// The metrics up to and including `step`. Later lines, whose steps will be repeated, are removed from the file,
    /// and so is a line that was cut off by a kill.
    pub fn rewind_metrics(&self, step: u64) -> Result<Vec<Metric>> {
        let path = self.metrics_path();
        let mut kept = Vec::new();
        if let Ok(file) = File::open(&path) {
            for line in BufReader::new(file).lines() {
                match serde_json::from_str::<Metric>(&line?) {
                    Ok(metric) if metric.step <= step => kept.push(metric),
                    _ => break,
                }
            }
        }
        let lines = kept
            .iter()
            .map(|m| Ok(serde_json::to_string(m)? + "\n"))
            .collect::<Result<String>>()?;
        self.put("metrics.jsonl", lines.as_bytes())?;
        Ok(kept)
    }

    /// Appends a line to the metrics.
    pub fn log(&self, metric: &Metric) -> Result<()> {
        let line = serde_json::to_string(metric)? + "\n";
        let path = self.metrics_path();
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn metrics_path(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }
}
