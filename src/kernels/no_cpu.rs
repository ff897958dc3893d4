//! A substitute for the CPU's kernels in a build without them.

use std::marker::PhantomData;

use burn::tensor::Device;

/// The cache of packed weights, which only the CPU's kernels fill.
#[derive(Debug)]
pub struct WeightCache<Layout = ()>(PhantomData<Layout>);

/// The packed weights of a convolution: none.
pub type ConvolutionWeights = ();

/// A packed matrix: none.
pub type Panels = ();

impl<Layout> Default for WeightCache<Layout> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Layout> WeightCache<Layout> {
    /// Does nothing, as nothing is cached.
    pub(crate) fn clear(&self) {}
}

/// The bytes of packed weights that a network caches: 0.
pub(crate) fn cached_weight_bytes<'a>(
    _: impl IntoIterator<Item = &'a Vec<usize>>,
    _: &Device,
) -> u64 {
    0
}
