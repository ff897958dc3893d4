//! Images between the two orders: planes of a channel each, as tensors have them, and the channels of a pixel beside each
//! other.

use pulp::{Simd, WithSimd};

use super::super::simd::dispatch;
use super::image::Image;
use super::memory::LINE;

/// Fills the inner pixels of an image from `planes`, `[channels, height, width]`. `places` are the pixels of one image.
pub(crate) fn gather(planes: &[f32], places: &[usize], channels: usize, out: &mut [f32]) {
    dispatch(Gather {
        planes,
        places,
        channels,
        out,
    });
}

/// The inverse of [`gather`].
pub(crate) fn scatter(image: &[f32], places: &[usize], channels: usize, planes: &mut [f32]) {
    dispatch(Scatter {
        image,
        places,
        channels,
        planes,
    });
}

/// Fills the images of `out` from as many of `[images, channels, height, width]`.
pub(crate) fn fill(out: &mut Image, planes: &[f32], places: &mut Vec<usize>) {
    out.places_of_one(places);
    let (plane, channels) = (out.plane(), out.channels);
    let size = channels * out.pixels();
    let images = out.values.chunks_exact_mut(plane);
    for (image, planes) in images.zip(planes.chunks_exact(size)) {
        gather(planes, places, channels, image);
    }
}

/// The inverse of [`fill`].
pub(crate) fn write(x: &Image, planes: &mut [f32], places: &mut Vec<usize>) {
    x.places_of_one(places);
    let size = x.channels * x.pixels();
    let images = x.values.chunks_exact(x.plane());
    for (image, planes) in images.zip(planes.chunks_exact_mut(size)) {
        scatter(image, places, x.channels, planes);
    }
}

/// Swaps rows and columns of the square of the first vectors, as many as a vector has lanes: for k = 1, 2, 4, … the bit k of a
/// value's row with that of its column (Eklundh 1972).
#[inline(always)]
fn transpose<S: Simd>(simd: S, rows: &mut [S::f32s; LINE]) {
    for bit in [1, 2, 4, 8] {
        if bit >= S::F32_LANES {
            return;
        }
        let mut lanes = [0u32; LINE];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = (i & bit) as u32;
        }
        let stay = simd.equal_u32s(S::as_simd_u32s(&lanes).0[0], simd.splat_u32s(0));
        for i in (0..S::F32_LANES).filter(|i| i & bit == 0) {
            let a = simd.transmute_u32s_f32s(rows[i]);
            let b = simd.transmute_u32s_f32s(rows[i | bit]);
            let first = simd.select_u32s(stay, a, simd.rotate_right_u32s(b, bit));
            let second = simd.select_u32s(stay, simd.rotate_left_u32s(a, bit), b);
            rows[i] = simd.transmute_f32s_u32s(first);
            rows[i | bit] = simd.transmute_f32s_u32s(second);
        }
    }
}

struct Gather<'a> {
    planes: &'a [f32],
    places: &'a [usize],
    channels: usize,
    out: &'a mut [f32],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            planes,
            places,
            channels,
            out,
        } = self;
        let lanes = S::F32_LANES;
        let pixels = places.len();
        // Along the planes of a vector of channels, which memory delivers ahead of time; all planes at once are too many.
        for channel in (0..channels.next_multiple_of(LINE)).step_by(lanes) {
            let kept = channels.saturating_sub(channel).min(lanes);
            for (i, places) in places.chunks(lanes).enumerate() {
                let first = i * lanes;
                let mut rows = [simd.splat_f32s(0.0); LINE];
                for (i, row) in rows.iter_mut().enumerate().take(kept) {
                    let plane = &planes[(channel + i) * pixels + first..][..places.len()];
                    *row = match S::as_simd_f32s(plane) {
                        ([whole], _) => *whole,
                        (_, rest) => simd.partial_load_f32s(rest),
                    };
                }
                transpose(simd, &mut rows);
                for (place, row) in places.iter().zip(&rows) {
                    S::as_mut_simd_f32s(&mut out[place + channel..][..lanes]).0[0] = *row;
                }
            }
        }
    }
}

struct Scatter<'a> {
    image: &'a [f32],
    places: &'a [usize],
    channels: usize,
    planes: &'a mut [f32],
}

impl WithSimd for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            image,
            places,
            channels,
            planes,
        } = self;
        let lanes = S::F32_LANES;
        let pixels = places.len();
        for channel in (0..channels).step_by(lanes) {
            let kept = lanes.min(channels - channel);
            for (i, places) in places.chunks(lanes).enumerate() {
                let first = i * lanes;
                let mut rows = [simd.splat_f32s(0.0); LINE];
                for (row, place) in rows.iter_mut().zip(places) {
                    *row = S::as_simd_f32s(&image[place + channel..][..lanes]).0[0];
                }
                transpose(simd, &mut rows);
                for (i, row) in rows.iter().enumerate().take(kept) {
                    let plane = &mut planes[(channel + i) * pixels + first..][..places.len()];
                    match S::as_mut_simd_f32s(plane) {
                        ([whole], _) => *whole = *row,
                        (_, rest) => simd.partial_store_f32s(rest, *row),
                    }
                }
            }
        }
    }
}
