//! Activations with the channels of a pixel beside each other.

use super::memory::{Arena, LINE, Values};

/// Some rows of a batch, `[images, height, width, channels]`, every image with a border of zeros and every pixel with its
/// channels filled up to whole cache lines.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) values: Values,
    pub(crate) images: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) border: usize,
}

impl Image {
    /// Images whose inner values are whatever was there before; their border is 0.
    pub(crate) fn new(
        arena: &mut Arena,
        [images, height, width, channels]: [usize; 4],
        border: usize,
    ) -> Self {
        let mut image = Self {
            values: Values::default(),
            images,
            height,
            width,
            channels,
            border,
        };
        image.values = arena.take(images * image.plane());
        image.clear_border();
        image
    }

    /// As `self` in size, with other channels and another border.
    pub(crate) fn like(&self, arena: &mut Arena, channels: usize, border: usize) -> Self {
        Self::new(
            arena,
            [self.images, self.height, self.width, channels],
            border,
        )
    }

    /// Adds `values`, one pixel for each image, to every pixel.
    pub(crate) fn add_to_pixels(&mut self, values: &Self) {
        let (step, plane) = (self.step(), self.plane());
        for (image, pixels) in self.values.chunks_exact_mut(plane).enumerate() {
            let values = &values.values[values.at(image, 0, 0)..][..step];
            for pixel in pixels.chunks_exact_mut(step) {
                for (pixel, value) in pixel.iter_mut().zip(values) {
                    *pixel += value;
                }
            }
        }
    }

    /// Gives its memory back.
    pub(crate) fn free(self, arena: &mut Arena) {
        arena.give(self.values);
    }

    fn clear_border(&mut self) {
        let (row, border) = (self.row(), self.border * self.step());
        if border == 0 {
            return;
        }
        let (plane, rows) = (self.plane(), self.border * row);
        for image in self.values.chunks_exact_mut(plane) {
            image[..rows].fill(0.0);
            image[plane - rows..].fill(0.0);
            for row in image[rows..plane - rows].chunks_exact_mut(row) {
                let end = row.len() - border;
                row[..border].fill(0.0);
                row[end..].fill(0.0);
            }
        }
    }

    /// From a pixel to the next.
    pub(crate) fn step(&self) -> usize {
        self.channels.next_multiple_of(LINE)
    }

    /// From a row to the next.
    pub(crate) fn row(&self) -> usize {
        (self.width + 2 * self.border) * self.step()
    }

    /// From an image to the next.
    pub(crate) fn plane(&self) -> usize {
        (self.height + 2 * self.border) * self.row()
    }

    /// Pixels of an image.
    pub(crate) fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Where a pixel's channels begin.
    pub(crate) fn at(&self, image: usize, y: usize, x: usize) -> usize {
        image * self.plane() + (y + self.border) * self.row() + (x + self.border) * self.step()
    }

    /// Where every pixel of the first image begins.
    #[cfg(feature = "autodiff")]
    pub(crate) fn places_of_one(&self, places: &mut Vec<usize>) {
        places.clear();
        for y in 0..self.height {
            let first = self.at(0, y, 0);
            places.extend((0..self.width).map(|x| first + x * self.step()));
        }
    }

    /// Where every pixel begins, less `inset` pixels to the left and above.
    pub(crate) fn places(&self, inset: usize, places: &mut Vec<usize>) {
        places.clear();
        for image in 0..self.images {
            for y in 0..self.height {
                let first = self.at(image, y, 0) - inset * (self.row() + self.step());
                places.extend((0..self.width).map(|x| first + x * self.step()));
            }
        }
    }
}

/// The channels of two images of the same size, those of `a` first.
pub(crate) fn joined(arena: &mut Arena, a: &Image, b: &Image) -> Image {
    let mut joined = a.like(arena, a.channels + b.channels, 0);
    let steps = [a.step(), b.step()];
    let step = joined.step();
    let pixels = joined.values.chunks_exact_mut(step);
    let sources = a
        .values
        .chunks_exact(steps[0])
        .zip(b.values.chunks_exact(steps[1]));
    for (out, (from_a, from_b)) in pixels.zip(sources) {
        let (first, rest) = out.split_at_mut(a.channels);
        let (second, filling) = rest.split_at_mut(b.channels);
        first.copy_from_slice(&from_a[..a.channels]);
        second.copy_from_slice(&from_b[..b.channels]);
        filling.fill(0.0);
    }
    joined
}

/// `[images, colors, height, width]` as an image with a border, each square of `side × side` pixels one pixel as
/// `pixel_unshuffle` makes it.
pub(crate) fn from_planes(
    arena: &mut Arena,
    planes: &[f32],
    [images, colors, height, width]: [usize; 4],
    side: usize,
    border: usize,
) -> Image {
    let shape = [images, height / side, width / side, colors * side * side];
    let mut image = Image::new(arena, shape, border);
    for n in 0..images {
        for y in 0..image.height {
            for x in 0..image.width {
                let at = image.at(n, y, x);
                let step = image.step();
                let pixel = &mut image.values[at..at + step];
                pixel.fill(0.0);
                for (channel, value) in pixel.iter_mut().take(shape[3]).enumerate() {
                    let offset = plane_offset(channel, [y, x], side, [height, width]);
                    *value = planes[n * colors * height * width + offset];
                }
            }
        }
    }
    image
}

/// The offset of a channel of a pixel in planes of this size.
fn plane_offset(
    channel: usize,
    [y, x]: [usize; 2],
    side: usize,
    [height, width]: [usize; 2],
) -> usize {
    let (color, within) = (channel / (side * side), channel % (side * side));
    let (row, column) = (y * side + within / side, x * side + within % side);
    (color * height + row) * width + column
}

/// The inverse of [`from_planes`]; `image` has no border.
pub(crate) fn to_planes(image: &Image, side: usize, planes: &mut [f32]) {
    let size = [image.height * side, image.width * side];
    let plane = image.channels * image.pixels();
    for (n, planes) in planes.chunks_exact_mut(plane).enumerate() {
        for y in 0..image.height {
            for x in 0..image.width {
                let pixel = &image.values[image.at(n, y, x)..][..image.channels];
                for (channel, &value) in pixel.iter().enumerate() {
                    planes[plane_offset(channel, [y, x], side, size)] = value;
                }
            }
        }
    }
}
