//! The pixels that a convolution looks at, gathered into panels that a register tile can stream through.
//!
//! A convolution is a matrix product of the weights with a matrix that has a row for every (input channel, ky, kx) and
//! a column for every output pixel. That matrix is nine times as large as the image, so it is never made as a whole:
//! a few columns of it, a panel, are gathered when they are needed, and used while they are in the cache.

use std::ops::Range;

/// The shape of a batch of images, `[batch, channels, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Images {
    pub batch: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Images {
    pub(super) fn pixels(self) -> usize {
        self.height * self.width
    }

    pub(super) fn len(self) -> usize {
        self.batch * self.channels * self.pixels()
    }

    /// As `self`, with other channels.
    pub(super) fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }
}

/// Some rows of some images: whole images, or a strip of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub images: Range<usize>,
    pub rows: Range<usize>,
}

impl Block {
    /// Divides `images` into blocks of about `pixels` pixels, in order. A strip of an image has a multiple of
    /// `multiple` rows, but for the last.
    pub(super) fn divide(
        shape: Images,
        images: Range<usize>,
        pixels: usize,
        multiple: usize,
    ) -> Vec<Self> {
        if shape.pixels() <= pixels {
            let step = (pixels / shape.pixels().max(1)).max(1);
            return images
                .clone()
                .step_by(step)
                .map(|first| Self {
                    images: first..(first + step).min(images.end),
                    rows: 0..shape.height,
                })
                .collect();
        }
        let step = (pixels / shape.width.max(1) / multiple).max(1) * multiple;
        images
            .flat_map(|image| {
                (0..shape.height).step_by(step).map(move |row| Self {
                    images: image..image + 1,
                    rows: row..(row + step).min(shape.height),
                })
            })
            .collect()
    }
}

/// A block, with a border of zeros where the kernel looks over the edge, and where in it each panel finds its rows.
///
/// The pixels of a block are numbered image by image, row by row. They come in runs of 16, 8, 4, 2 or 1, the longest
/// that divides the width of the image, so that a run is never broken by the end of a row.
#[derive(Debug, Default)]
pub(super) struct Patches {
    padded: Vec<f32>,
    /// Whether the block was copied to `padded`; it is not where a kernel has one pixel and needs no border.
    copied: bool,
    /// Where the row (channel, ky, kx) of the matrix begins, relative to a run.
    rows: Vec<usize>,
    /// Where each run begins, for the first row.
    runs: Vec<usize>,
    run: usize,
}

impl Patches {
    /// Gathers `channels` of a block of `x`, for a square kernel of odd size, to be packed into panels of a multiple
    /// of `panel` pixels.
    #[inline(always)]
    pub(super) fn gather(
        &mut self,
        x: &[f32],
        shape: Images,
        channels: Range<usize>,
        kernel: usize,
        block: &Block,
        panel: usize,
    ) {
        let border = kernel / 2;
        self.copied = border > 0;
        // Where things are in the copy, or in x itself.
        let (start, image, plane, stride) = if self.copied {
            let stride = shape.width + 2 * border;
            let plane = (block.rows.len() + 2 * border) * stride;
            let image = channels.len() * plane;
            self.padded.resize(block.images.len() * image, 0.0);
            let planes = self.padded.chunks_exact_mut(plane);
            let sources = block.images.clone().flat_map(|n| {
                let first = n * shape.channels;
                first + channels.start..first + channels.end
            });
            for (source, target) in sources.zip(planes) {
                let source = &x[source * shape.pixels()..][..shape.pixels()];
                copy_with_border(source, target, shape, &block.rows, border);
            }
            (0, image, plane, stride)
        } else {
            let (plane, stride) = (shape.pixels(), shape.width);
            let image = shape.channels * plane;
            let start =
                block.images.start * image + channels.start * plane + block.rows.start * stride;
            (start, image, plane, stride)
        };
        self.rows.clear();
        for channel in 0..channels.len() {
            for ky in 0..kernel {
                for kx in 0..kernel {
                    self.rows.push(channel * plane + ky * stride + kx);
                }
            }
        }
        self.run = run_length(shape.width, panel);
        self.runs.clear();
        for n in 0..block.images.len() {
            for row in 0..block.rows.len() {
                let at = start + n * image + row * stride;
                self.runs
                    .extend((0..shape.width).step_by(self.run).map(|x| at + x));
            }
        }
    }

    /// Pixels of the block.
    pub(super) fn pixels(&self) -> usize {
        self.runs.len() * self.run
    }

    /// Writes all rows of the matrix for the pixels from `first` on, as many as a row of `panel` has: row after row,
    /// each of `width` values. Pixels after the last are 0. `x` is what was gathered from.
    #[inline(always)]
    pub(super) fn pack(&self, x: &[f32], first: usize, width: usize, panel: &mut [f32]) {
        let source = if self.copied { &self.padded } else { x };
        match self.run {
            16 => self.pack_runs::<16>(source, first, width, panel),
            8 => self.pack_runs::<8>(source, first, width, panel),
            4 => self.pack_runs::<4>(source, first, width, panel),
            2 => self.pack_runs::<2>(source, first, width, panel),
            _ => self.pack_runs::<1>(source, first, width, panel),
        }
    }

    #[inline(always)]
    fn pack_runs<const RUN: usize>(
        &self,
        source: &[f32],
        first: usize,
        width: usize,
        panel: &mut [f32],
    ) {
        let runs = &self.runs[first / RUN..];
        let runs = &runs[..runs.len().min(width / RUN)];
        for (&row, target) in self.rows.iter().zip(panel.chunks_exact_mut(width)) {
            let source = &source[row..];
            let (targets, _) = target.as_chunks_mut::<RUN>();
            let (targets, rest) = targets.split_at_mut(runs.len());
            for (&run, target) in runs.iter().zip(targets) {
                target.copy_from_slice(&source[run..][..RUN]);
            }
            rest.as_flattened_mut().fill(0.0);
        }
    }
}

/// Copies `rows` of an image, with as much of it around them as `border` takes in, and zeros beyond its edge.
#[inline(always)]
fn copy_with_border(
    source: &[f32],
    target: &mut [f32],
    shape: Images,
    rows: &Range<usize>,
    border: usize,
) {
    let stride = shape.width + 2 * border;
    for (i, target) in target.chunks_exact_mut(stride).enumerate() {
        // The row of the image, `border` too many.
        let row = rows.start + i;
        if row < border || row >= shape.height + border {
            target.fill(0.0);
            continue;
        }
        let source = &source[(row - border) * shape.width..][..shape.width];
        let (left, inner) = target.split_at_mut(border);
        let (inner, right) = inner.split_at_mut(shape.width);
        // Pieces of a constant length, for rows are too short to call for a copy.
        let (pieces, rest) = inner.as_chunks_mut::<8>();
        let (source_pieces, source_rest) = source.as_chunks::<8>();
        for (target, source) in pieces.iter_mut().zip(source_pieces) {
            *target = *source;
        }
        for (target, &source) in rest.iter_mut().zip(source_rest) {
            *target = source;
        }
        for value in left.iter_mut().chain(right) {
            *value = 0.0;
        }
    }
}

/// The longest of 16, 8, 4, 2 and 1 that divides both.
pub(super) fn run_length(width: usize, panel: usize) -> usize {
    1 << (width | panel | 16).trailing_zeros()
}
