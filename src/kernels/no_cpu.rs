//! What stands in the place of the CPU's kernels in a build without them.

use burn::tensor::Device;

/// A cache of packed weights, which only the CPU's kernels fill.
#[derive(Debug, Default)]
pub struct WeightCache;

impl WeightCache {
    /// Drops what is cached, which is nothing.
    #[cfg(feature = "autodiff")]
    pub(super) fn clear(&self) {}
}

/// Bytes of packed weights that a network caches when it samples: none.
pub(crate) fn cached_weight_bytes<'a>(
    _: impl IntoIterator<Item = &'a Vec<usize>>,
    _: &Device,
) -> u64 {
    0
}
