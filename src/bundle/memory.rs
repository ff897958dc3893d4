//! The memory that a model needs, known before its weights are fetched.

use std::collections::HashMap;

/// What must be in memory to sample a model, in bytes, estimated in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// All weights.
    pub weights: u64,
    /// The largest weight, which is also the largest single buffer of weights that a device must
    /// take.
    pub largest: u64,
    /// What the network keeps of its weights beside them, in the order in which the kernels of a CPU read them; 0 on
    /// other devices.
    pub kept: u64,
    /// What each row of an evaluation adds at the peak of a forward pass; a guided image has two
    /// rows.
    pub row: u64,
    /// The largest single buffer that each row adds to.
    pub activation: u64,
}

impl MemoryEstimate {
    pub(super) fn new(
        expected: &HashMap<String, Vec<usize>>,
        kept: u64,
        [row, activation]: [u64; 2],
    ) -> Self {
        let bytes = |shape: &Vec<usize>| 4 * shape.iter().map(|&n| n as u64).product::<u64>();
        Self {
            weights: expected.values().map(bytes).sum(),
            largest: expected.values().map(bytes).max().unwrap_or(0),
            kept,
            row,
            activation,
        }
    }

    /// Bytes of a run with this many rows, weights included.
    pub fn run(&self, rows: usize) -> u64 {
        // The conditioning is computed for two rows at least.
        self.weights + self.kept + self.row.saturating_mul(rows.max(2) as u64)
    }
}
