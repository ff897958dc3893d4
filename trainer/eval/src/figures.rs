//! The figures of an evaluation, as they are computed and reported.

use freeguide::sampler::Solver;
use serde::{Deserialize, Serialize};

/// Everything that a report says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The program.
    pub written_by: String,
    /// The processor, on which the speeds were taken.
    pub machine: String,
    /// The command, as it was typed.
    pub command: String,
    /// Where the data set was.
    pub data: String,
    /// Its images.
    pub real_images: usize,
    /// Images a cell.
    pub samples: usize,
    /// The seed.
    pub seed: u64,
    /// The models.
    pub models: Vec<ModelInfo>,
    /// What each feature network measured.
    pub networks: Vec<NetworkFigures>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name in the tables.
    pub label: String,
    /// The probability of an empty class that it was trained with.
    pub p_uncond: f64,
    /// Images that it had seen.
    pub images_seen: u64,
    /// Its parameters.
    pub parameters: u64,
}

/// The figures of one feature network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkFigures {
    /// The network's name.
    pub name: String,
    /// SHA-256 of its weights.
    pub sha256: String,
    /// Height and width of its input.
    pub input: usize,
    /// The length of its feature vectors.
    pub features: usize,
    /// The name of its Fréchet distance.
    pub distance: String,
    /// The name of its Inception Score.
    pub score: String,
    /// The name of its kernel distance.
    pub kernel: String,
    /// Its accuracy on images that it was not trained on, where its file says so.
    pub held_out_accuracy: Option<f64>,
    /// Why there is no class accuracy, as a sentence, where there is none.
    #[serde(default)]
    pub no_accuracy: Option<String>,
    /// Images that it looked at in a second.
    pub images_per_second: f64,
    /// Real images against other real images: what a perfect model would get, about.
    pub floor: Floor,
    /// The same comparison with noise on the images in the place of generated ones: what a figure is worth, in a
    /// damage that one can see.
    #[serde(default)]
    pub noise: Vec<NoisyFloor>,
    /// The cells.
    pub cells: Vec<CellFigures>,
}

/// Real against real: images of the data set in the place of generated ones, against all others of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Images in the place of generated ones: the sample count, or half of the data set where that is less.
    pub images: usize,
    /// The others.
    pub against: usize,
    /// Their metrics.
    pub metrics: Metrics,
}

/// The floor with Gaussian noise on the images in the place of generated ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoisyFloor {
    /// The noise's standard deviation, in 255ths.
    pub deviation: f64,
    /// Their metrics.
    pub metrics: Metrics,
}

/// The figures of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellFigures {
    /// Which of the models.
    pub model: usize,
    /// The solver.
    pub sampler: Solver,
    /// T.
    pub steps: usize,
    /// w.
    pub guidance: f64,
    /// Network evaluations for one image.
    pub evaluations: usize,
    /// Images that were drawn in a second.
    pub images_per_second: f64,
    /// The metrics.
    pub metrics: Metrics,
}

/// The metrics of a set of images against the real ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Fréchet distance; less is better.
    pub frechet_distance: f64,
    /// Inception Score; more is better.
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
    /// The share that the classifier takes for the class that was asked for, where it knows the classes.
    pub accuracy: Option<f64>,
    /// The share of images that are not nearer to a real image than that is to its own nearest other.
    pub authenticity: f64,
    /// The median distance to the nearest real image.
    pub nearest_distance: f64,
}
