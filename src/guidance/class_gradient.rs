//! Classifier guidance (Dhariwal & Nichol 2021, section 4.2 and algorithm 2).

use std::fmt::Debug;

use burn::tensor::Tensor;

use crate::condition::Condition;
use crate::noise_level::{LogSnr, LogSnrRange};

/// A classifier of noisy images whose gradient is known.
///
/// A [`NoisyClassifier`](crate::classifier::NoisyClassifier) is one that is trained. Of a mixture of Gaussians the posterior,
/// and with it the gradient, is exact.
pub trait ClassGradient: Debug {
    /// ∇_z Σ wₖ log p(cₖ | z) for each image, whose classes cₖ and weights wₖ are given; 0 for an image without a class.
    ///
    /// # Shapes
    ///
    /// `z` and the result: `[images, channels, height, width]` in 32-bit floats.
    fn gradient(&self, z: &Tensor<4>, level: LogSnr, classes: &[Vec<(u32, f64)>]) -> Tensor<4>;
}

/// What a run has to know of the classifier that guides it: ε̃ ← ε̃ − σ s ∇_z log p(c | z), which as a score is
/// ∇ log p̃(z) + s ∇ log p(c | z).
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierGuidance {
    /// Its name.
    pub name: String,
    /// s, its strength. On the unconditional model (w = −1), s with the exact posterior is classifier-free guidance of
    /// w = s − 1.
    pub strength: f64,
    /// Its id for each class of the model.
    pub classes: Vec<u32>,
    /// The λ, in nats, that it was trained on. It does not guide outside of them.
    pub range: LogSnrRange,
}

impl ClassifierGuidance {
    /// The classes of a condition under the classifier's ids, with their weights.
    pub(crate) fn asked(&self, condition: &Condition) -> Vec<(u32, f64)> {
        let id = |class: u32| self.classes.get(class as usize).copied();
        match condition {
            Condition::Class(class) => {
                let id = class.and_then(id);
                id.map(|id| (id, 1.0)).into_iter().collect()
            }
            Condition::Mix(parts) => {
                let parts = parts.iter();
                let each = parts.filter_map(|&(class, weight)| Some((id(class)?, weight)));
                each.collect()
            }
            // A class beside a number, of which the classifier knows nothing: models with several labels have no classifier.
            Condition::Joint(_) | Condition::Each(_) => {
                let labels = condition.labels().unwrap_or_default().labels;
                let ids = labels.into_iter().filter_map(id);
                ids.map(|id| (id, 1.0)).collect()
            }
        }
    }

    /// Whether it guides at this level, where `interval` says which levels are guided.
    pub(crate) fn guides(&self, level: LogSnr, interval: Option<LogSnrRange>) -> bool {
        let within = |range: LogSnrRange| (range.min..=range.max).contains(&level.0);
        self.strength != 0.0 && within(self.range) && interval.is_none_or(within)
    }
}
