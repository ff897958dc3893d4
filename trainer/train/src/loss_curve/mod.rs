//! The loss curve of a run as a picture.

mod axis;
mod paint;
mod series;
#[cfg(test)]
mod tests;

use plotters::prelude::*;
use thiserror::Error;

use freeguide_native::png_text::{PngError, encode_png};
use paint::{OVERSAMPLING, draw_error, paint};
use series::finite;

/// Size of the picture in pixels.
const WIDTH: usize = 1200;
const HEIGHT: usize = 675;

/// The data of a loss curve.
#[derive(Clone, Copy, Debug)]
pub struct LossCurve<'a> {
    /// The title.
    pub title: &'a str,
    /// (step, loss) of training, in the order of the steps. Values that are not finite are skipped.
    pub training: &'a [(u64, f32)],
    /// (step, loss) on images that are not trained on, in the order of the steps. May be empty.
    pub validation: &'a [(u64, f32)],
}

/// Why a loss curve was not drawn.
#[derive(Debug, Error)]
pub enum LossCurveError {
    /// No finite loss was given.
    #[error("there is no loss to draw yet")]
    Empty,
    /// The drawing library failed.
    #[error("cannot draw the loss curve: {0}")]
    Draw(String),
    /// The picture could not be encoded.
    #[error(transparent)]
    Png(#[from] PngError),
}

/// A point in the coordinates of the picture: the step, and the loss or its logarithm.
type Point = (f64, f64);

impl LossCurve<'_> {
    /// Draws the curve as a PNG of 1200×675 pixels. The raw training loss is faint, its average is strong, and
    /// validation has a second colour. The loss axis is logarithmic if the averaged loss spans more than a factor of
    /// six.
    ///
    /// # Errors
    /// If there is no finite loss, or drawing fails.
    pub fn to_png(self) -> Result<Vec<u8>, LossCurveError> {
        let (width, height) = (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING);
        let mut large = vec![255; width * height * 3];
        {
            let area = BitMapBackend::with_buffer(&mut large, (width as u32, height as u32))
                .into_drawing_area();
            paint(
                &area,
                self.title,
                &finite(self.training),
                &finite(self.validation),
            )?;
            area.present().map_err(draw_error)?;
        }
        Ok(encode_png(&shrink(&large), WIDTH, HEIGHT, 3, None)?)
    }
}

/// The mean of each square of the enlarged picture.
fn shrink(large: &[u8]) -> Vec<u8> {
    let stride = WIDTH * OVERSAMPLING * 3;
    let area = (OVERSAMPLING * OVERSAMPLING) as u32;
    let mut small = Vec::with_capacity(WIDTH * HEIGHT * 3);
    for rows in large.chunks_exact(stride * OVERSAMPLING) {
        for x in 0..WIDTH {
            for channel in 0..3 {
                let mut sum = 0;
                for row in rows.chunks_exact(stride) {
                    for i in 0..OVERSAMPLING {
                        sum += u32::from(row[(x * OVERSAMPLING + i) * 3 + channel]);
                    }
                }
                small.push(((sum + area / 2) / area) as u8);
            }
        }
    }
    small
}
