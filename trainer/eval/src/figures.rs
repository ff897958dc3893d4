//! The figures of an evaluation.

use freeguide::sampler::Solver;
use serde::{Deserialize, Serialize};

/// All figures of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The program.
    pub written_by: String,
    /// The processor on which the speeds were measured.
    pub machine: String,
    /// The command, as it was typed.
    pub command: String,
    /// The path of the data set.
    pub data: String,
    /// The number of its images.
    pub real_images: usize,
    /// The number of images per cell.
    pub samples: usize,
    /// The seed.
    pub seed: u64,
    /// The models.
    pub models: Vec<ModelInfo>,
    /// The figures of each feature network.
    pub networks: Vec<NetworkFigures>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name in the tables.
    pub label: String,
    /// The p_uncond that it was trained with.
    pub p_uncond: f64,
    /// The number of images that it was trained on, with repetitions.
    pub images_seen: u64,
    /// The number of its parameters.
    pub parameters: u64,
    /// The name of the model that guided it, where it was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guide: Option<String>,
    /// The strength of the classifier that guided it, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier_guidance: Option<f64>,
}

/// The figures of one feature network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkFigures {
    /// The network's name.
    pub name: String,
    /// The SHA-256 of its weights.
    pub sha256: String,
    /// The height and width of its input in pixels.
    pub input: usize,
    /// The length of its feature vectors.
    pub features: usize,
    /// The name of its Fréchet distance.
    pub distance: String,
    /// The name of its Inception Score.
    pub score: String,
    /// The name of its kernel distance.
    pub kernel: String,
    /// Its accuracy on images that it was not trained on, if its file states it.
    pub held_out_accuracy: Option<f64>,
    /// Why there is no class accuracy, as a sentence, if there is none.
    #[serde(default)]
    pub no_accuracy: Option<String>,
    /// The number of images processed per second.
    pub images_per_second: f64,
    /// Real images against other real images: approximately what a perfect model would reach.
    pub floor: Floor,
    /// The same comparison with noise on the images that take the place of generated ones, which gives a visible scale.
    #[serde(default)]
    pub noise: Vec<WorseFloor>,
    /// And with a Gaussian blur.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blur: Vec<WorseFloor>,
    /// The cells.
    pub cells: Vec<CellFigures>,
}

/// Real against real: images of the data set in place of generated ones, against all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// The number of images in place of generated ones: the sample count, or half of the data set if that is less.
    pub images: usize,
    /// The number of the other images.
    pub against: usize,
    /// Their metrics.
    pub metrics: Metrics,
}

/// The floor with noise on the images that take the place of generated ones, or with a blur.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorseFloor {
    /// The standard deviation of the noise in 255ths, or of the blur in pixels.
    pub deviation: f64,
    /// Their metrics.
    pub metrics: Metrics,
}

/// The figures of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellFigures {
    /// The index of the model.
    pub model: usize,
    /// The solver.
    pub sampler: Solver,
    /// T.
    pub steps: usize,
    /// w.
    pub guidance: f64,
    /// The number of network evaluations per image.
    pub evaluations: usize,
    /// The number of evaluations of the classifier's gradient per image.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gradient_evaluations: usize,
    /// The number of images drawn per second.
    pub images_per_second: f64,
    /// The metrics.
    pub metrics: Metrics,
}

/// The metrics of a set of images against the real ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The Fréchet distance; lower is better.
    pub frechet_distance: f64,
    /// Its standard deviation, by the bootstrap over the images. Older reports have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frechet_distance_deviation: Option<f64>,
    /// The Inception Score; higher is better.
    pub inception_score: f64,
    /// Its standard deviation over the splits.
    pub inception_score_deviation: f64,
    /// Kernel distance.
    pub kernel_distance: f64,
    /// Its standard deviation over the subsets.
    pub kernel_distance_deviation: f64,
    /// Fidelity: the share of images within the real manifold.
    pub precision: f64,
    /// Diversity: the share of real images within the generated manifold.
    pub recall: f64,
    /// Fidelity, less sensitive to outliers.
    pub density: f64,
    /// Diversity.
    pub coverage: f64,
    /// The share of images that the classifier assigns to the requested class, if it knows the classes.
    pub accuracy: Option<f64>,
    /// The share of images that are farther from their nearest real image than that image is from its own nearest
    /// neighbour.
    pub authenticity: f64,
    /// The median distance to the nearest real image.
    pub nearest_distance: f64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}
