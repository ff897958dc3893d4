//! Real images that are made worse, which give a Fréchet distance a visible scale.

use freeguide::noise::{NoiseStream, Purpose};
use image::imageops::blur;
use image::{ImageBuffer, Luma, Pixel, Rgb};

/// What is done to an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Damage {
    /// Gaussian noise with this standard deviation, in 255ths. All standard deviations scale the same noise.
    Noise(f64),
    /// A Gaussian blur with this standard deviation, in pixels.
    Blur(f64),
}

impl Damage {
    /// Its name in the store.
    pub fn key(self) -> String {
        match self {
            Self::Noise(deviation) => format!("noise-{deviation}"),
            Self::Blur(deviation) => format!("blur-{deviation}"),
        }
    }

    /// Damages image `index` of a data set, `[height, width, channels]` with one channel or three, and rounds and clips the
    /// result.
    pub fn apply(self, pixels: &mut [u8], shape: [usize; 3], index: usize) {
        match (self, shape[2]) {
            (Self::Noise(deviation), _) => add_noise(pixels, index, deviation),
            (Self::Blur(deviation), 1) => blur_as::<Luma<u8>>(pixels, shape, deviation),
            (Self::Blur(deviation), _) => blur_as::<Rgb<u8>>(pixels, shape, deviation),
        }
    }
}

fn add_noise(pixels: &mut [u8], index: usize, deviation: f64) {
    let mut noise = vec![0f32; pixels.len()];
    NoiseStream::new(Purpose::Evaluation, 2, index as u64, 0).fill_normal(&mut noise);
    for (pixel, noise) in pixels.iter_mut().zip(noise) {
        let value = f64::from(*pixel) + deviation * f64::from(noise);
        *pixel = value.round().clamp(0.0, 255.0) as u8;
    }
}

fn blur_as<P: Pixel<Subpixel = u8> + 'static>(
    pixels: &mut [u8],
    [height, width, _]: [usize; 3],
    deviation: f64,
) {
    let image: ImageBuffer<P, &[u8]> =
        ImageBuffer::from_raw(width as u32, height as u32, &*pixels).expect("an image's pixels");
    let blurred = blur(&image, deviation as f32);
    pixels.copy_from_slice(&blurred);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_has_the_deviation_that_was_asked_for() {
        let clean = vec![128u8; 3 * 64 * 64];
        let noisy = |index, deviation| {
            let mut pixels = clean.clone();
            Damage::Noise(deviation).apply(&mut pixels, [64, 64, 3], index);
            pixels
        };
        for deviation in [4.0, 8.0, 16.0] {
            let squares = noisy(0, deviation)
                .into_iter()
                .map(|p| (f64::from(p) - 128.0).powi(2));
            let variance = squares.sum::<f64>() / clean.len() as f64;
            // Rounding adds the variance of a uniform distribution, 1/12.
            let expected = deviation * deviation + 1.0 / 12.0;
            assert!((variance / expected - 1.0).abs() < 0.05, "{variance}");
        }
        assert_eq!(noisy(3, 8.0), noisy(3, 8.0));
        assert_ne!(noisy(3, 8.0), noisy(4, 8.0));
        let mut dark = vec![0u8; 64];
        Damage::Noise(255.0).apply(&mut dark, [8, 8, 1], 0);
        assert!(dark.contains(&0) && dark.iter().any(|&p| p > 100));
    }

    #[test]
    fn the_blur_has_the_deviation_that_was_asked_for() {
        for channels in [1, 3] {
            for deviation in [1.0, 2.0, 3.0] {
                let side = 33;
                // A bright column, whose blur is a Gaussian across.
                let mut pixels = vec![0u8; side * side * channels];
                for y in 0..side {
                    pixels[(y * side + side / 2) * channels..][..channels].fill(255);
                }
                Damage::Blur(deviation).apply(&mut pixels, [side, side, channels], 0);
                let row = &pixels[(side / 2) * side * channels..][..side * channels];
                let values: Vec<f64> = row.iter().step_by(channels).map(|&v| v.into()).collect();
                let sum: f64 = values.iter().sum();
                let squares = values.iter().zip(0..).map(|(v, x)| {
                    let distance = f64::from(x) - (side / 2) as f64;
                    v * distance * distance
                });
                let found = (squares.sum::<f64>() / sum).sqrt();
                assert!(
                    (found / deviation - 1.0).abs() < 0.1,
                    "{found} for {deviation}"
                );
            }
        }
    }
}
