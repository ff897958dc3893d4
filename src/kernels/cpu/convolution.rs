//! Convolutions of stride 1 that keep the size of the image, by the faster of two algorithms: [`direct`] or [`winograd`].

use super::direct::{self, PackedWeights};
use super::patches::Images;
use super::weights::Weights;
use super::winograd::{self, TransformedWeights};

/// Weights in the order in which the kernels read them.
#[derive(Debug)]
pub enum Packed {
    Direct(PackedWeights),
    Winograd(TransformedWeights),
}

impl Packed {
    /// For images of this shape.
    pub(super) fn new(shape: Images, weights: Weights<'_>) -> Self {
        match winograd::pays(shape, weights) {
            true => Self::Winograd(TransformedWeights::new(weights)),
            false => Self::Direct(PackedWeights::new(weights)),
        }
    }

    /// Whether [`new`](Self::new) would make the same of the same weights for images of this shape.
    pub(super) fn serves(&self, shape: Images, weights: Weights<'_>) -> bool {
        matches!(self, Self::Winograd(_)) == winograd::pays(shape, weights)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        let values = match self {
            Self::Direct(packed) => packed.values(),
            Self::Winograd(packed) => packed.values(),
        };
        size_of_val(values) as u64
    }
}

/// The convolution of `x` (`[batch, inputs, height, width]`): `[batch, outputs, height, width]`. `packed` are the
/// weights, and serve the shape.
pub(super) fn convolve(
    x: &[f32],
    shape: Images,
    weights: Weights<'_>,
    packed: &Packed,
) -> Vec<f32> {
    match packed {
        Packed::Direct(packed) => direct::convolve(x, shape, weights, packed),
        Packed::Winograd(packed) => winograd::convolve(x, shape, weights, packed),
    }
}
