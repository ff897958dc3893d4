//! The weights of a convolution, as the layer has them.

/// What a convolution multiplies with: `values` of `[outputs, inputs, kernel, kernel]`, and an optional bias.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<'a> {
    pub values: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub outputs: usize,
    pub inputs: usize,
    pub kernel: usize,
}

impl Weights<'_> {
    /// Rows of the matrix that a convolution is a product with: input channels × kernel².
    pub(super) fn rows(self) -> usize {
        self.inputs * self.kernel * self.kernel
    }
}
