//! The options of the kernels' operations.

/// The options of a group normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GroupNormOptions {
    /// The number of groups.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether SiLU is applied to the result.
    pub silu: bool,
}
