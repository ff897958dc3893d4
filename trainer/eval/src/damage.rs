//! Real images with Gaussian noise, which give a Fréchet distance a visible scale.

use freeguide::noise::{NoiseStream, Purpose};

/// Adds Gaussian noise with this standard deviation, in 255ths, to image `index` of a data set, then rounds and clips
/// the result. All standard deviations scale the same noise.
pub fn add_noise(pixels: &mut [u8], index: usize, deviation: f64) {
    let mut noise = vec![0f32; pixels.len()];
    NoiseStream::new(Purpose::Evaluation, 2, index as u64, 0).fill_normal(&mut noise);
    for (pixel, noise) in pixels.iter_mut().zip(noise) {
        let value = f64::from(*pixel) + deviation * f64::from(noise);
        *pixel = value.round().clamp(0.0, 255.0) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_has_the_deviation_that_was_asked_for() {
        let clean = vec![128u8; 3 * 64 * 64];
        let noisy = |index, deviation| {
            let mut pixels = clean.clone();
            add_noise(&mut pixels, index, deviation);
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
        add_noise(&mut dark, 0, 255.0);
        assert!(dark.contains(&0) && dark.iter().any(|&p| p > 100));
    }
}
