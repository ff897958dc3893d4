//! The settings of an evaluation, and its cells.

use std::path::{Path, PathBuf};

use freeguide::bundle::{Config, Model, WRITTEN_BY, hex};
use freeguide::sampler::Solver;
use freeguide::settings::{ClassName, PerImage, Plan, Request, RequestError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::damage::Damage;

/// The number of images that are drawn, evaluated and stored together.
pub const CHUNK: usize = 64;

/// How often each class is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ClassBalance {
    /// As often as in the data set with which the Fréchet distance compares.
    Data,
    /// All equally often.
    Uniform,
}

/// How the bytes of an image are scaled for an ONNX network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnnxInput {
    /// 0 … 1, normalised with the mean and standard deviation of ImageNet, as in PyTorch's models.
    Imagenet,
    /// −1 … 1.
    Symmetric,
    /// 0 … 1.
    Unit,
    /// 0 … 255.
    Bytes,
}

/// All settings. The same sweep gives the same figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The bundles.
    pub models: Vec<PathBuf>,
    /// The bundles that guide each of them, of which `none` is the model's own unconditional estimate; empty for that
    /// alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guides: Vec<PathBuf>,
    /// A classifier of noisy images that guides them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<PathBuf>,
    /// Its strengths, of which 0 is without it; empty for 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classifier_guidance: Vec<f64>,
    /// The data set to compare with.
    pub data: PathBuf,
    /// The recipe whose `[data]` says how images are prepared.
    pub recipe: Option<PathBuf>,
    /// w.
    pub guidance: Vec<f64>,
    /// The numbers of steps; empty for each model's own.
    pub steps: Vec<usize>,
    /// The solvers; empty for each model's own.
    pub samplers: Vec<Solver>,
    /// The number of images per cell.
    pub samples: usize,
    /// The seed: image k of a cell has the noise of image k of this seed.
    pub seed: u64,
    /// How many images of each class are drawn.
    pub classes: ClassBalance,
    /// The names of the feature networks.
    pub features: Vec<String>,
    /// How images are scaled for networks in ONNX.
    pub onnx_input: OnnxInput,
    /// The number of splits of the Inception Score.
    pub splits: usize,
    /// The standard deviations of the noise on real images that are measured for scale, in 255ths.
    #[serde(default)]
    pub noise: Vec<f64>,
    /// The standard deviations of the blur of real images that are measured for scale, in pixels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blur: Vec<f64>,
}

/// One point of the sweep: a model, sampled in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The index of the model.
    pub model: usize,
    /// The solver.
    pub sampler: Solver,
    /// T.
    pub steps: usize,
    /// w.
    pub guidance: f64,
}

/// A model and what guides it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column<'a> {
    /// The bundle.
    pub model: &'a Path,
    /// Another bundle that guides it.
    pub guide: Option<&'a Path>,
    /// A classifier that guides it, with its strength.
    pub classifier: Option<(&'a Path, f64)>,
}

impl Sweep {
    /// How real images are made worse, for scale.
    pub fn damages(&self) -> Vec<Damage> {
        let noise = self.noise.iter().copied().map(Damage::Noise);
        noise
            .chain(self.blur.iter().copied().map(Damage::Blur))
            .collect()
    }

    /// Each model with each guide and each strength of the classifier, in the order of
    /// `Inputs::models`.
    pub fn columns(&self) -> Vec<Column<'_>> {
        let guides: Vec<Option<&Path>> = match self.guides.as_slice() {
            [] => vec![None],
            guides => guides
                .iter()
                .map(|path| (path.as_os_str() != "none").then_some(path.as_path()))
                .collect(),
        };
        let strengths = or(&self.classifier_guidance, 1.0);
        let classifiers: Vec<_> = match &self.classifier {
            None => vec![None],
            Some(file) => strengths
                .iter()
                .map(|&strength| (strength > 0.0).then_some((file.as_path(), strength)))
                .collect(),
        };
        let mut columns = Vec::new();
        for model in &self.models {
            for &guide in &guides {
                columns.extend(classifiers.iter().map(|&classifier| Column {
                    model,
                    guide,
                    classifier,
                }));
            }
        }
        columns
    }

    /// All cells; w varies fastest.
    pub fn cells(&self, models: &[Model]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (model, bundle) in models.iter().enumerate() {
            let own = &bundle.config().sampling;
            let samplers = or(&self.samplers, own.sampler);
            let steps = or(&self.steps, own.steps);
            for &sampler in &samplers {
                for &steps in &steps {
                    cells.extend(self.guidance.iter().map(|&guidance| Cell {
                        model,
                        sampler,
                        steps,
                        guidance,
                    }));
                }
            }
        }
        cells
    }
}

fn or<T: Copy>(given: &[T], own: T) -> Vec<T> {
    if given.is_empty() {
        vec![own]
    } else {
        given.to_vec()
    }
}

/// Everything that an image of a cell depends on, except its index.
#[derive(Serialize)]
struct Key<'a> {
    written_by: &'a str,
    weights: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guide: Option<(Vec<String>, &'a freeguide::bundle::Network)>,
    /// The SHA-256 of the classifier that guides, whose strength is part of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    classifier: Option<&'a str>,
    network: &'a freeguide::bundle::Network,
    diffusion: &'a freeguide::bundle::Diffusion,
    plan: String,
    classes: Vec<(&'a str, usize)>,
}

impl Cell {
    /// The plan for images of these classes (ids of the model), starting at this index.
    ///
    /// # Errors
    ///
    /// [`RequestError`], if the model does not support the request.
    pub fn plan(
        &self,
        model: &Model,
        seed: u64,
        first_image: u64,
        classes: &[u32],
    ) -> Result<Plan, RequestError> {
        let classes = classes.iter().map(|&id| ClassName::Id(u64::from(id)));
        let mut request = Request::new(classes.collect());
        request.guidance = Some(PerImage::All(self.guidance));
        request.steps = Some(self.steps);
        request.sampler = Some(self.sampler);
        request.seed = seed;
        request.first_image = first_image;
        model.plan(&request)
    }

    /// The key of the cell's images in the store. It changes exactly if an image changes.
    ///
    /// `frequencies` gives how often each class is drawn, by name, and `classifier` is the SHA-256 of the sweep's.
    ///
    /// # Errors
    ///
    /// [`RequestError`], if the model does not support the request.
    pub fn key(
        &self,
        model: &Model,
        seed: u64,
        frequencies: &[(&str, usize)],
        classifier: Option<&str>,
    ) -> Result<String, RequestError> {
        let config = model.config();
        let weights = |config: &Config| -> Vec<String> {
            config.weights.iter().map(|w| w.sha256.clone()).collect()
        };
        let key = Key {
            written_by: WRITTEN_BY,
            weights: weights(config),
            guide: model.guide().map(|guide| (weights(guide), &guide.network)),
            classifier: classifier.filter(|_| model.classifier().is_some()),
            network: &config.network,
            diffusion: &config.diffusion,
            // All settings, including those that are added to the program later.
            plan: format!("{:?}", self.plan(model, seed, 0, &[0])?),
            classes: frequencies.to_vec(),
        };
        let json = serde_json::to_vec(&key).unwrap_or_default();
        Ok(hex(&Sha256::digest(json))[..20].to_owned())
    }
}
