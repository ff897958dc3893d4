//! The options of the operations.

/// How a group normalisation goes: over how many groups, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GroupNormOptions {
    /// Groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether SiLU follows.
    pub silu: bool,
}
