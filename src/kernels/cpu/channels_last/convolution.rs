//! Convolutions of stride 1 that keep the size of the image.

use super::image::Image;
use super::memory::Arena;
use super::minimal_filtering;
use super::product::{Panels, Product};

/// The weights of a convolution as it reads them.
#[derive(Debug)]
pub enum ConvolutionWeights {
    /// A tap for every place of the kernel.
    Direct(Panels),
    /// Transformed for minimal filtering.
    Filtered(Panels),
}

impl ConvolutionWeights {
    /// `weights`: `[outputs, inputs, kernel, kernel]`, of this shape, for images of this size.
    pub(super) fn new(weights: &[f32], shape: [usize; 3], size: [usize; 2]) -> Self {
        let [outputs, inputs, kernel] = shape;
        if minimal_filtering::pays(shape, size) {
            let weights = minimal_filtering::transform_weights(weights, outputs, inputs);
            return Self::Filtered(weights);
        }
        let area = kernel * kernel;
        Self::Direct(Panels::new(
            [area, inputs, outputs],
            |tap, input, output| weights[(output * inputs + input) * area + tap],
        ))
    }

    /// Values for a pair of channels.
    pub(super) fn taps(shape: [usize; 3], size: [usize; 2]) -> usize {
        match minimal_filtering::pays(shape, size) {
            true => minimal_filtering::PRODUCTS,
            false => shape[2] * shape[2],
        }
    }

    /// Whether [`new`](Self::new) would make the same of the same weights for images of this size.
    pub(super) fn serves(&self, shape: [usize; 3], size: [usize; 2]) -> bool {
        matches!(self, Self::Filtered(_)) == minimal_filtering::pays(shape, size)
    }
}

/// bias + x ∗ weights + add, where the border of `x` is half a kernel. `add` has no border.
pub(super) fn convolve(
    arena: &mut Arena,
    x: &Image,
    weights: &ConvolutionWeights,
    bias: &[f32],
    add: Option<&Image>,
) -> Image {
    let mut out = x.like(arena, bias.len(), 0);
    match weights {
        ConvolutionWeights::Filtered(weights) => {
            minimal_filtering::convolve(arena, x, weights, bias, add, &mut out);
        }
        ConvolutionWeights::Direct(weights) => direct(x, weights, Some(bias), add, &mut out),
    }
    out
}

/// As [`convolve`] of a kernel of one pixel.
pub(super) fn pixelwise(
    arena: &mut Arena,
    x: &Image,
    weights: &Panels,
    bias: Option<&[f32]>,
    add: Option<&Image>,
) -> Image {
    let mut out = x.like(arena, weights.outputs, 0);
    direct(x, weights, bias, add, &mut out);
    out
}

fn direct(x: &Image, weights: &Panels, bias: Option<&[f32]>, add: Option<&Image>, out: &mut Image) {
    let kernel = 2 * x.border + 1;
    let (mut places, mut targets) = (Vec::new(), Vec::new());
    x.places(x.border, &mut places);
    out.places(0, &mut targets);
    let taps = (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x)));
    let taps: Vec<usize> = taps.map(|(ky, kx)| ky * x.row() + kx * x.step()).collect();
    Product {
        x: &x.values,
        places: &places,
        taps: &taps,
        weights,
        first_tap: 0,
        bias,
        add: add.map(|add| &add.values[..]),
        width: out.step(),
        out: &mut out.values,
        targets: &targets,
    }
    .run();
}
