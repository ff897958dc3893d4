//! Arranges small pictures on a grid, such as the sample sheets that training writes.

/// The layout of a grid. Pictures fill it row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The number of pictures in a row, at least 1.
    pub columns: usize,
    /// The margin between and around the pictures, in pixels.
    pub margin: usize,
    /// The colour of the margin and of empty cells, RGB.
    pub background: [u8; 3],
    /// The factor by which a picture is enlarged, at least 1. Each pixel becomes a square of this side, without
    /// smoothing.
    pub scale: usize,
}

/// An RGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// `[height, width, 3]`, 0 … 255.
    pub pixels: Vec<u8>,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

impl Grid {
    /// A layout in rows of `columns` for pictures of `size` pixels, on white. Small pictures are enlarged to about 64
    /// pixels. The margin is a sixteenth of that.
    pub fn new(columns: usize, size: usize) -> Self {
        let scale = (64 / size.max(1)).max(1);
        Self {
            columns: columns.max(1),
            margin: (size * scale / 16).max(1),
            background: [255; 3],
            scale,
        }
    }

    /// The layout closest to a square for `count` pictures of `size` pixels.
    pub fn square(count: usize, size: usize) -> Self {
        let columns = count.isqrt() + usize::from(count.isqrt().pow(2) < count);
        Self::new(columns, size)
    }

    /// Arranges the pictures.
    ///
    /// # Shapes
    /// `images`: `[N, size, size, channels]`, 0 … 255, where `channels` is 1 (grey) or 3 (RGB).
    ///
    /// # Panics
    /// If `images` is not a whole number of pictures, or `channels` is neither 1 nor 3.
    pub fn lay_out(&self, images: &[u8], size: usize, channels: usize) -> Sheet {
        assert!(
            channels == 1 || channels == 3,
            "expected grey or RGB, not {channels} channels"
        );
        let image_len = size * size * channels;
        assert!(
            image_len > 0 && images.len().is_multiple_of(image_len),
            "whole pictures"
        );
        let count = images.len() / image_len;
        let columns = self.columns.max(1).min(count.max(1));
        let pitch = size * self.scale.max(1) + self.margin;
        let (width, height) = (
            columns * pitch + self.margin,
            count.div_ceil(columns) * pitch + self.margin,
        );

        let mut pixels = self.background.repeat(width * height);
        for (k, image) in images.chunks_exact(image_len).enumerate() {
            let (left, top) = (
                k % columns * pitch + self.margin,
                k / columns * pitch + self.margin,
            );
            for y in 0..size * self.scale {
                let source_row = &image[y / self.scale * size * channels..][..size * channels];
                let row = &mut pixels[((top + y) * width + left) * 3..][..size * self.scale * 3];
                for (block, color) in row
                    .chunks_exact_mut(self.scale * 3)
                    .zip(source_row.chunks_exact(channels))
                {
                    for pixel in block.chunks_exact_mut(3) {
                        // Grey has the same value in all three channels.
                        pixel.copy_from_slice(&[
                            color[0],
                            color[channels / 2],
                            color[channels - 1],
                        ]);
                    }
                }
            }
        }
        Sheet {
            pixels,
            width,
            height,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_in_rows_with_margins_and_are_enlarged_without_smoothing() {
        let grid = Grid {
            columns: 2,
            margin: 1,
            background: [9; 3],
            scale: 2,
        };
        // Three 1×1 grey pictures.
        let sheet = grid.lay_out(&[10, 20, 30], 1, 1);
        assert_eq!((sheet.width, sheet.height), (7, 7));
        let grey: Vec<u8> = sheet.pixels.chunks(3).map(|rgb| rgb[0]).collect();
        #[rustfmt::skip]
        let expected = [
            9,  9,  9, 9,  9,  9, 9,
            9, 10, 10, 9, 20, 20, 9,
            9, 10, 10, 9, 20, 20, 9,
            9,  9,  9, 9,  9,  9, 9,
            9, 30, 30, 9,  9,  9, 9,
            9, 30, 30, 9,  9,  9, 9,
            9,  9,  9, 9,  9,  9, 9,
        ];
        assert_eq!(grey, expected);
        assert!(
            sheet
                .pixels
                .chunks(3)
                .all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2])
        );
    }

    #[test]
    fn colors_and_rows_keep_their_places() {
        let grid = Grid {
            columns: 1,
            margin: 0,
            background: [0; 3],
            scale: 1,
        };
        let image: Vec<u8> = (0..12).collect();
        assert_eq!(
            grid.lay_out(&image, 2, 3),
            Sheet {
                pixels: image,
                width: 2,
                height: 2
            }
        );
    }

    #[test]
    fn a_row_is_no_wider_than_its_pictures() {
        let grid = Grid {
            columns: 8,
            margin: 0,
            background: [0; 3],
            scale: 1,
        };
        assert_eq!(grid.lay_out(&[1, 2], 1, 1).width, 2);
        let empty = grid.lay_out(&[], 1, 1);
        assert_eq!((empty.width, empty.height, empty.pixels.len()), (1, 0, 0));
    }

    #[test]
    fn defaults_enlarge_small_pictures_only() {
        assert_eq!(
            Grid::new(4, 16),
            Grid {
                columns: 4,
                margin: 4,
                background: [255; 3],
                scale: 4
            }
        );
        assert_eq!(Grid::new(4, 256).scale, 1);
        assert_eq!(
            [1, 2, 4, 5, 16, 17].map(|n| Grid::square(n, 16).columns),
            [1, 2, 2, 3, 4, 5]
        );
    }
}
