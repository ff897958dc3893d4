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
        Self::Direct(taps(weights, [outputs, inputs, kernel]))
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

/// `[outputs, inputs, kernel, kernel]` as panels with a tap for every place of the kernel.
pub(super) fn taps(weights: &[f32], [outputs, inputs, kernel]: [usize; 3]) -> Panels {
    let area = kernel * kernel;
    Panels::new([area, inputs, outputs], |tap, input, output| {
        weights[(output * inputs + input) * area + tap]
    })
}

/// bias + x ∗ weights + add, where the border of `x` is half a kernel. `add` has no border.
pub(crate) fn convolve(
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

/// bias + x ∗ weights at every second pixel of every second row, for a kernel of 3×3. `x` has a border of 1, of which the
/// convolution reads what is above and to the left where `before` is 1, and not where it is 0.
pub(super) fn halve(
    arena: &mut Arena,
    x: &Image,
    weights: &Panels,
    bias: &[f32],
    before: usize,
) -> Image {
    let shape = [x.images, x.height / 2, x.width / 2, bias.len()];
    let mut out = Image::new(arena, shape, 0);
    let mut places = Vec::with_capacity(out.images * out.pixels());
    for image in 0..out.images {
        for y in 0..out.height {
            let first = x.at(image, 2 * y, 0) - before * (x.row() + x.step());
            places.extend((0..out.width).map(|column| first + 2 * column * x.step()));
        }
    }
    at_places(x, &places, weights, Some(bias), None, &mut out);
    out
}

fn direct(x: &Image, weights: &Panels, bias: Option<&[f32]>, add: Option<&Image>, out: &mut Image) {
    let mut places = Vec::new();
    x.places(x.border, &mut places);
    at_places(x, &places, weights, bias, add, out);
}

/// The sums of the kernels that begin at these places of `x`, for every pixel of `out`.
fn at_places(
    x: &Image,
    places: &[usize],
    weights: &Panels,
    bias: Option<&[f32]>,
    add: Option<&Image>,
    out: &mut Image,
) {
    let kernel = 2 * x.border + 1;
    let mut targets = Vec::new();
    out.places(0, &mut targets);
    let taps = (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x)));
    let taps: Vec<usize> = taps.map(|(ky, kx)| ky * x.row() + kx * x.step()).collect();
    Product {
        x: &x.values,
        places,
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
