//! Group normalisation (Wu & He 2018), an affine map of every channel and SiLU, to a border and a size that the next
//! convolution wants.

use pulp::{Simd, WithSimd};

use crate::network::Resample;

use super::super::simd::{dispatch, sigmoid};
use super::image::Image;
use super::memory::{Arena, LINE};

/// What is computed: y = act(x̂ · scale + shift) with x̂ = (x − mean) / √(variance + epsilon) over every group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm<'a> {
    pub groups: usize,
    pub epsilon: f32,
    /// Whether act is SiLU, or else the identity.
    pub silu: bool,
    /// `[images, channels]`
    pub scale: &'a [f32],
    pub shift: &'a [f32],
}

impl Norm<'_> {
    /// y, resampled and with a border; `x` has none.
    pub(crate) fn run(
        &self,
        arena: &mut Arena,
        x: &Image,
        resample: Resample,
        border: usize,
    ) -> Image {
        let (height, width) = resized(resample, x.height, x.width);
        let mut y = Image::new(arena, [x.images, height, width, x.channels], border);
        let mut affine = arena.take(3 * x.step());
        for image in 0..x.images {
            dispatch(One {
                norm: self,
                image,
                x,
                resample,
                affine: &mut affine,
                y: &mut y,
            });
        }
        arena.give(affine);
        y
    }
}

/// An image that is halved, doubled or copied.
pub(crate) fn resampled(arena: &mut Arena, x: &Image, resample: Resample) -> Image {
    bordered(arena, x, resample, 0)
}

/// As [`resampled`], with a border.
pub(crate) fn bordered(arena: &mut Arena, x: &Image, resample: Resample, border: usize) -> Image {
    let (height, width) = resized(resample, x.height, x.width);
    let mut y = Image::new(arena, [x.images, height, width, x.channels], border);
    for image in 0..x.images {
        dispatch(Plain {
            image,
            x,
            resample,
            y: &mut y,
        });
    }
    y
}

fn resized(resample: Resample, height: usize, width: usize) -> (usize, usize) {
    match resample {
        Resample::None => (height, width),
        Resample::Down => (height / 2, width / 2),
        Resample::Up => (2 * height, 2 * width),
    }
}

/// What becomes of a vector of a pixel's values.
trait Map<S: Simd> {
    fn map(&self, simd: S, vector: usize, x: S::f32s) -> S::f32s;
}

struct Same;

impl<S: Simd> Map<S> for Same {
    #[inline(always)]
    fn map(&self, _: S, _: usize, x: S::f32s) -> S::f32s {
        x
    }
}

struct Affine<'a, S: Simd, const SILU: bool> {
    means: &'a [S::f32s],
    scales: &'a [S::f32s],
    shifts: &'a [S::f32s],
}

impl<S: Simd, const SILU: bool> Map<S> for Affine<'_, S, SILU> {
    #[inline(always)]
    fn map(&self, simd: S, i: usize, x: S::f32s) -> S::f32s {
        let v = simd.sub_f32s(x, self.means[i]);
        let v = simd.mul_add_e_f32s(v, self.scales[i], self.shifts[i]);
        if SILU {
            simd.mul_f32s(v, sigmoid(simd, v))
        } else {
            v
        }
    }
}

struct One<'a> {
    norm: &'a Norm<'a>,
    image: usize,
    x: &'a Image,
    resample: Resample,
    /// Means, scales and shifts of every channel.
    affine: &'a mut [f32],
    y: &'a mut Image,
}

/// The mean of every channel's group, and 1/√(variance + epsilon), in every channel; 0 in channels that are filled up.
/// `source`: an image without a border.
#[inline(always)]
pub(super) fn statistics<S: Simd>(
    simd: S,
    source: &[f32],
    x: &Image,
    (groups, epsilon): (usize, f32),
    means: &mut [f32],
    units: &mut [f32],
) {
    let step = x.step();
    let size = x.channels / groups;
    let count = (size * x.pixels()) as f32;
    // Of each group, in every one of its channels.
    let spread = |values: &mut [f32], map: &dyn Fn(f32) -> f32| {
        for group in values[..x.channels].chunks_exact_mut(size) {
            let total: f32 = group.iter().sum();
            group.fill(map(total / count));
        }
        values[x.channels..].fill(0.0);
    };
    for first in (0..step).step_by(LINE) {
        let found = sums(simd, &source[first..], step, &[0.0; LINE], false);
        means[first..first + LINE].copy_from_slice(&found);
    }
    spread(means, &|mean| mean);
    for first in (0..step).step_by(LINE) {
        let centre = &means[first..first + LINE];
        let found = sums(simd, &source[first..], step, centre, true);
        units[first..first + LINE].copy_from_slice(&found);
    }
    spread(units, &|variance| 1.0 / libm::sqrtf(variance + epsilon));
}

/// Sums over the pixels of an image, of a line of channels: of x − centre, or of its square.
#[inline(always)]
fn sums<S: Simd>(simd: S, x: &[f32], step: usize, centre: &[f32], squared: bool) -> [f32; LINE] {
    let vectors = LINE / S::F32_LANES;
    // Two sums at a time, because each addition waits for the one before.
    let mut kept = [[simd.splat_f32s(0.0); LINE]; 2];
    let (centre, _) = S::as_simd_f32s(centre);
    for pixels in x.chunks(2 * step) {
        for (pixel, sums) in pixels.chunks(step).zip(&mut kept) {
            let (pixel, _) = S::as_simd_f32s(&pixel[..LINE]);
            for v in 0..vectors {
                let x = simd.sub_f32s(pixel[v], centre[v]);
                sums[v] = match squared {
                    true => simd.mul_add_e_f32s(x, x, sums[v]),
                    false => simd.add_f32s(sums[v], x),
                };
            }
        }
    }
    let mut out = [0.0; LINE];
    let (totals, _) = S::as_mut_simd_f32s(&mut out);
    for (v, total) in totals.iter_mut().enumerate() {
        *total = simd.add_f32s(kept[0][v], kept[1][v]);
    }
    out
}

impl WithSimd for One<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            norm,
            image,
            x,
            resample,
            affine,
            y,
        } = self;
        let (step, pixels) = (x.step(), x.pixels());
        let source = &x.values[image * x.plane()..][..pixels * step];
        let (means, rest) = affine.split_at_mut(step);
        let (scales, shifts) = rest.split_at_mut(step);
        statistics(simd, source, x, (norm.groups, norm.epsilon), means, scales);
        let channels = image * x.channels..(image + 1) * x.channels;
        for (value, scale) in scales.iter_mut().zip(&norm.scale[channels.clone()]) {
            *value *= scale;
        }
        shifts.fill(0.0);
        shifts[..x.channels].copy_from_slice(&norm.shift[channels]);
        let affine = [&*means, &*scales, &*shifts].map(|values| S::as_simd_f32s(values).0);
        let [means, scales, shifts] = affine;
        if norm.silu {
            let map = Affine::<S, true> {
                means,
                scales,
                shifts,
            };
            map_pixels(simd, source, x, y, image, resample, &map);
        } else {
            let map = Affine::<S, false> {
                means,
                scales,
                shifts,
            };
            map_pixels(simd, source, x, y, image, resample, &map);
        }
    }
}

struct Plain<'a> {
    image: usize,
    x: &'a Image,
    resample: Resample,
    y: &'a mut Image,
}

impl WithSimd for Plain<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            image,
            x,
            resample,
            y,
        } = self;
        let source = &x.values[image * x.plane()..][..x.plane()];
        map_pixels(simd, source, x, y, image, resample, &Same);
    }
}

/// Writes `map(vector of the pixel, values)` of all pixels of an image, resampled.
#[inline(always)]
fn map_pixels<S: Simd>(
    simd: S,
    source: &[f32],
    x: &Image,
    y: &mut Image,
    image: usize,
    resample: Resample,
    map: &impl Map<S>,
) {
    let step = x.step();
    let row = x.width * step;
    match resample {
        Resample::None | Resample::Up => {
            for (i, source) in source.chunks_exact(row).enumerate() {
                let up = resample == Resample::Up;
                let copies = if up { 2 } else { 1 };
                let at = y.at(image, copies * i, 0);
                for (i, pixel) in source.chunks_exact(step).enumerate() {
                    let out = &mut y.values[at + copies * i * step..][..copies * step];
                    let (pixel, _) = S::as_simd_f32s(pixel);
                    let (first, second) = out.split_at_mut(step);
                    for (v, (out, &x)) in S::as_mut_simd_f32s(first)
                        .0
                        .iter_mut()
                        .zip(pixel)
                        .enumerate()
                    {
                        *out = map.map(simd, v, x);
                    }
                    second.copy_from_slice(&first[..second.len()]);
                }
                if up {
                    let size = 2 * row;
                    let below = at + y.row();
                    y.values.copy_within(at..at + size, below);
                }
            }
        }
        Resample::Down => {
            let quarter = simd.splat_f32s(0.25);
            for (i, source) in source.chunks_exact(2 * row).take(y.height).enumerate() {
                let at = y.at(image, i, 0);
                let out = &mut y.values[at..at + y.width * step];
                for (i, out) in out.chunks_exact_mut(step).enumerate() {
                    let (first, _) = S::as_simd_f32s(&source[2 * i * step..][..2 * step]);
                    let (second, _) = S::as_simd_f32s(&source[row + 2 * i * step..][..2 * step]);
                    let (out, _) = S::as_mut_simd_f32s(out);
                    let vectors = out.len();
                    for (v, out) in out.iter_mut().enumerate() {
                        let top = simd.add_f32s(
                            map.map(simd, v, first[v]),
                            map.map(simd, v, first[vectors + v]),
                        );
                        let bottom = simd.add_f32s(
                            map.map(simd, v, second[v]),
                            map.map(simd, v, second[vectors + v]),
                        );
                        *out = simd.mul_f32s(simd.add_f32s(top, bottom), quarter);
                    }
                }
            }
        }
    }
}
