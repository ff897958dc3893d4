//! Halving and doubling an image.

use burn::tensor::{
    Tensor,
    module::{avg_pool2d, interpolate},
    ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions},
};

/// What a residual block does to the size of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// Nothing.
    None,
    /// Halves it, by averaging 2×2 pixels.
    Down,
    /// Doubles it, by repeating pixels.
    Up,
}

impl Resample {
    pub(crate) fn apply(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::None => x,
            Self::Down => avg_pool2d(x, AvgPoolOptions::new([2, 2]).with_stride([2, 2])),
            Self::Up => {
                let [_, _, h, w] = x.dims();
                let nearest = InterpolateOptions::new(InterpolateMode::Nearest);
                interpolate(x, nearest.with_output_size([2 * h, 2 * w]))
            }
        }
    }
}
