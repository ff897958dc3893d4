//! What is known of a training at one of its steps.

use serde::{Deserialize, Serialize};

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Steps taken.
    pub step: u64,
    /// The mean loss since the line before.
    pub loss: f64,
    /// The rate of this step.
    pub learning_rate: f64,
    /// The global norm of the gradient, before clipping.
    pub gradient_norm: f64,
    /// Since the line before.
    pub images_per_second: f64,
    /// The share of the time since the line before in which the training waited for data.
    #[serde(default)]
    pub idle: f64,
    /// The share of it in which the ranks exchanged gradients, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<f64>,
}
