//! The gradients of what moves and adds values.

use crate::network::Resample;

use super::image::Image;
use super::memory::Arena;

/// The gradient of an image, for that of the image as [`resampled`](super::resampled) makes it. Neither has a border.
pub(crate) fn resampled_backward(arena: &mut Arena, grad: &Image, resample: Resample) -> Image {
    let (height, width) = match resample {
        Resample::None => (grad.height, grad.width),
        Resample::Down => (2 * grad.height, 2 * grad.width),
        Resample::Up => (grad.height / 2, grad.width / 2),
    };
    let shape = [grad.images, height, width, grad.channels];
    let mut out = Image::new(arena, shape, 0);
    let step = out.step();
    for image in 0..out.images {
        for y in 0..height {
            for x in 0..width {
                let at = out.at(image, y, x);
                let out = &mut out.values[at..at + step];
                let from = |y: usize, x: usize| &grad.values[grad.at(image, y, x)..][..step];
                match resample {
                    Resample::None => out.copy_from_slice(from(y, x)),
                    Resample::Down => {
                        for (out, grad) in out.iter_mut().zip(from(y / 2, x / 2)) {
                            *out = 0.25 * grad;
                        }
                    }
                    Resample::Up => {
                        let top = from(2 * y, 2 * x).iter().zip(from(2 * y, 2 * x + 1));
                        let below = from(2 * y + 1, 2 * x)
                            .iter()
                            .zip(from(2 * y + 1, 2 * x + 1));
                        for (out, ((a, b), (c, d))) in out.iter_mut().zip(top.zip(below)) {
                            *out = (a + b) + (c + d);
                        }
                    }
                }
            }
        }
    }
    out
}

/// The gradients of two images of so many channels, for that of both [`joined`](super::joined).
pub(crate) fn joined_backward(arena: &mut Arena, grad: &Image, channels: [usize; 2]) -> [Image; 2] {
    let mut parts = channels.map(|channels| grad.like(arena, channels, 0));
    let step = grad.step();
    let mut first = 0;
    for part in &mut parts {
        let (channels, own) = (part.channels, part.step());
        let pixels = part.values.chunks_exact_mut(own);
        for (part, grad) in pixels.zip(grad.values.chunks_exact(step)) {
            let (values, filling) = part.split_at_mut(channels);
            values.copy_from_slice(&grad[first..first + channels]);
            filling.fill(0.0);
        }
        first += channels;
    }
    parts
}

/// Adds an image of the same shape. Neither has a border.
pub(crate) fn add(to: &mut Image, x: &Image) {
    for (to, x) in to.values.iter_mut().zip(x.values.iter()) {
        *to += x;
    }
}

/// Adds the sum over the pixels of every image to `sums`, `[images][..channels]`, from one image's to the next `stride` apart:
/// with 0, all images to the same.
pub(crate) fn add_pixel_sums(grad: &Image, sums: &mut [f32], stride: usize) {
    for image in 0..grad.images {
        let sums = &mut sums[image * stride..][..grad.channels];
        for y in 0..grad.height {
            for x in 0..grad.width {
                let pixel = &grad.values[grad.at(image, y, x)..][..grad.channels];
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += value;
                }
            }
        }
    }
}
