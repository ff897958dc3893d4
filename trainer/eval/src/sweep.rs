//! What is asked of an evaluation, and the cells that come of it.

use std::path::PathBuf;

use freeguide::bundle::{Model, WRITTEN_BY, hex};
use freeguide::sampler::Solver;
use freeguide::settings::{ClassName, Guidance, Plan, Request, RequestError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Images that are drawn, looked at and kept together.
pub const CHUNK: usize = 64;

/// How often each class is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ClassBalance {
    /// As often as in the data set, which the Fréchet distance compares with.
    Data,
    /// All equally often.
    Uniform,
}

/// How the bytes of an image are put to an ONNX network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnnxInput {
    /// 0 … 1 less ImageNet's mean, over its deviation: PyTorch's models.
    Imagenet,
    /// −1 … 1.
    Symmetric,
    /// 0 … 1.
    Unit,
    /// 0 … 255.
    Bytes,
}

/// Everything that is asked; the same sweep gives the same figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The bundles.
    pub models: Vec<PathBuf>,
    /// The data set that they are compared with.
    pub data: PathBuf,
    /// The recipe whose `[data]` says how its images are prepared.
    pub recipe: Option<PathBuf>,
    /// w.
    pub guidance: Vec<f64>,
    /// T; empty for each model's own.
    pub steps: Vec<usize>,
    /// The solvers; empty for each model's own.
    pub samplers: Vec<Solver>,
    /// Images a cell.
    pub samples: usize,
    /// The seed: image k of a cell has the noise of image k of this seed.
    pub seed: u64,
    /// How often each class is drawn.
    pub classes: ClassBalance,
    /// The feature networks, as they were named.
    pub features: Vec<String>,
    /// How images are put to networks in ONNX.
    pub onnx_input: OnnxInput,
    /// Splits of the Inception Score.
    pub splits: usize,
    /// Standard deviations of the noise on real images that are measured as yardsticks, in 255ths.
    #[serde(default)]
    pub noise: Vec<f64>,
}

/// One point of the sweep: a model, sampled in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Which model.
    pub model: usize,
    /// The solver.
    pub sampler: Solver,
    /// T.
    pub steps: usize,
    /// w.
    pub guidance: f64,
}

impl Sweep {
    /// All cells, w fastest.
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

/// What an image of a cell depends on, beside its index.
#[derive(Serialize)]
struct Key<'a> {
    written_by: &'a str,
    weights: Vec<&'a str>,
    network: &'a freeguide::bundle::Network,
    diffusion: &'a freeguide::bundle::Diffusion,
    plan: String,
    classes: Vec<(&'a str, usize)>,
}

impl Cell {
    /// The plan for images of these classes (ids of the model), the first of which has that index.
    ///
    /// # Errors
    ///
    /// [`RequestError`] where the model cannot be asked for this.
    pub fn plan(
        &self,
        model: &Model,
        seed: u64,
        first_image: u64,
        classes: &[u32],
    ) -> Result<Plan, RequestError> {
        let classes = classes.iter().map(|&id| ClassName::Id(u64::from(id)));
        let mut request = Request::new(classes.collect());
        request.guidance = Some(Guidance::All(self.guidance));
        request.steps = Some(self.steps);
        request.sampler = Some(self.sampler);
        request.seed = seed;
        request.first_image = first_image;
        model.plan(&request)
    }

    /// The name under which the cell's images are kept: whatever changes an image changes it, and nothing else.
    ///
    /// `frequencies`: how often each class is drawn, by name.
    ///
    /// # Errors
    ///
    /// [`RequestError`] where the model cannot be asked for this.
    pub fn key(
        &self,
        model: &Model,
        seed: u64,
        frequencies: &[(&str, usize)],
    ) -> Result<String, RequestError> {
        let config = model.config();
        let key = Key {
            written_by: WRITTEN_BY,
            weights: config.weights.iter().map(|w| w.sha256.as_str()).collect(),
            network: &config.network,
            diffusion: &config.diffusion,
            // Every setting that there is, also those that this program learns later.
            plan: format!("{:?}", self.plan(model, seed, 0, &[0])?),
            classes: frequencies.to_vec(),
        };
        let json = serde_json::to_vec(&key).unwrap_or_default();
        Ok(hex(&Sha256::digest(json))[..20].to_owned())
    }
}
