//! The metrics of a training at one of its steps.

use serde::{Deserialize, Serialize};

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The number of steps taken.
    pub step: u64,
    /// The mean loss since the previous line.
    pub loss: f64,
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// The global norm of the gradient, before clipping.
    pub gradient_norm: f64,
    /// Images per second since the previous line, without the time of checkpoints and samples.
    pub images_per_second: f64,
    /// The share of the time since the previous line in which the training waited for data.
    #[serde(default)]
    pub idle: f64,
    /// The share of that time in which the ranks exchanged gradients, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<f64>,
}
