//! The memory that a model needs, estimated before its weights are fetched.

use std::collections::HashMap;

/// The memory that sampling a model takes, in bytes, estimated in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// All weights.
    pub weights: u64,
    /// The largest weight, and so the largest single buffer of weights that a device must support.
    pub largest: u64,
    /// The cached copies of weights in the layout of the CPU's kernels. 0 on other devices.
    pub cached_weights: u64,
    /// Each row of an evaluation, at the peak of a forward pass. A guided image has two rows.
    pub row: u64,
    /// Each row's part of the largest single buffer of activations.
    pub activation: u64,
}

impl MemoryEstimate {
    pub(super) fn new(
        expected: &HashMap<String, Vec<usize>>,
        cached_weights: u64,
        [row, activation]: [u64; 2],
    ) -> Self {
        let bytes = |shape: &Vec<usize>| 4 * shape.iter().map(|&n| n as u64).product::<u64>();
        Self {
            weights: expected.values().map(bytes).sum(),
            largest: expected.values().map(bytes).max().unwrap_or(0),
            cached_weights,
            row,
            activation,
        }
    }

    /// Bytes of a run with this many rows, weights included.
    pub fn run(&self, rows: usize) -> u64 {
        // The conditioning is computed for at least two rows.
        self.weights + self.cached_weights + self.row.saturating_mul(rows.max(2) as u64)
    }
}
