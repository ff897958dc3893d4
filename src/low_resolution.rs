//! Smaller pictures of images, as super-resolution sees them: made by area averaging, noised, and enlarged.
//!
//! A super-resolution model of a cascade (Ho et al. 2021, "Cascaded Diffusion Models", section 4) is conditioned on a smaller
//! picture, which is enlarged and joined to z along the channels, as in SR3 (Saharia et al. 2021, section 2.4). The
//! enlargement is bilinear, as in ADM's upsampler (Dhariwal & Nichol 2021), and not SR3's bicubic: it is local, and its
//! values stay within those of the picture.
//!
//! Conditioning augmentation is Gaussian (Ho et al. 2021, section 4.2, non-truncated): the small picture y, before it is
//! enlarged, becomes cos(πs/2) y + sin(πs/2) ε, the forward process at the level s, which the network is told. So a stage can
//! repair the errors of the stage before it. s = 0 is the picture, and s = 1 noise alone.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::denoiser::Denoiser;
use crate::network::{LowResolution, OtherInputs, TakenInputs};
use crate::noise::{NoiseStream, Purpose};

/// Square planes of side `size` at the side `small`, which divides it, by the mean of the pixels that become one.
pub fn shrink(values: &[f32], size: usize, small: usize) -> Vec<f32> {
    let side = size / small;
    let mut shrunk = Vec::with_capacity(values.len() / (side * side));
    for plane in values.chunks_exact(size * size) {
        for at in 0..small * small {
            let (top, left) = (at / small * side, at % small * side);
            let rows = (top..top + side).map(|y| &plane[y * size + left..][..side]);
            let sum: f32 = rows.map(|row| row.iter().sum::<f32>()).sum();
            shrunk.push(sum / (side * side) as f32);
        }
    }
    shrunk
}

/// Square planes of side `small` at the side `size`, by bilinear interpolation between the centres of pixels; the pixels at
/// the border continue beyond it.
pub fn enlarge(values: &[f32], small: usize, size: usize) -> Vec<f32> {
    // The pixels before and after the centre of each, and the weight of the one after.
    let between: Vec<(usize, usize, f32)> = (0..size)
        .map(|at| {
            let place = (at as f32 + 0.5) * small as f32 / size as f32 - 0.5;
            let place = place.clamp(0.0, (small - 1) as f32);
            let before = place as usize;
            (before, (before + 1).min(small - 1), place - before as f32)
        })
        .collect();
    let mut enlarged = Vec::with_capacity(values.len() / (small * small) * size * size);
    for plane in values.chunks_exact(small * small) {
        for &(above, below, down) in &between {
            for &(left, right, across) in &between {
                let row = |y: usize| {
                    let (left, right) = (plane[y * small + left], plane[y * small + right]);
                    left + (right - left) * across
                };
                let (above, below) = (row(above), row(below));
                enlarged.push(above + (below - above) * down);
            }
        }
    }
    enlarged
}

/// Conditioning augmentation of a small picture at the level `s`, with noise ε as long as the picture.
pub fn augment(values: &mut [f32], s: f64, noise: &[f32]) {
    let (sin, cos) = libm::sincos(core::f64::consts::FRAC_PI_2 * s);
    let (sin, cos) = (sin as f32, cos as f32);
    for (value, noise) in values.iter_mut().zip(noise) {
        *value = *value * cos + noise * sin;
    }
}

/// A super-resolution network with the picture that it enlarges, the same for all rows: a denoiser as any other.
#[derive(Debug, Clone)]
pub struct Enlarging<N> {
    network: N,
    /// `[1, channels, size, size]`
    picture: Tensor<4>,
    level: f64,
}

impl<N> Enlarging<N> {
    /// `small`: the picture in [−1, 1], `[channels, small, small]`, which is given the noise of this seed and level and enlarged
    /// to `shape`, `[channels, size, size]`.
    pub fn new(
        network: N,
        (small, side): (&[f32], usize),
        [channels, height, width]: [usize; 3],
        (seed, level): (u64, f64),
        device: &Device,
    ) -> Self {
        let mut noise = vec![0.0; small.len()];
        NoiseStream::new(Purpose::Augmentation, seed, 0, 0).fill_normal(&mut noise);
        let mut small = small.to_vec();
        augment(&mut small, level, &noise);
        let enlarged = TensorData::new(enlarge(&small, side, height), [1, channels, height, width]);
        Self {
            network,
            picture: Tensor::from_data(enlarged, device),
            level,
        }
    }
}

impl<N: Denoiser> Denoiser for Enlarging<N> {
    fn classes(&self) -> usize {
        self.network.classes()
    }

    fn takes(&self) -> TakenInputs {
        TakenInputs {
            low_resolution: false,
            ..self.network.takes()
        }
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let [rows, ..] = z.dims();
        let others = OtherInputs {
            low_resolution: Some(LowResolution {
                picture: self.picture.clone().repeat_dim(0, rows),
                level: log_snr.full_like(self.level),
            }),
            ..others
        };
        self.network.predict_with(z, log_snr, class, others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_is_the_mean_of_squares() {
        let plane: Vec<f32> = (0..16u8).map(f32::from).collect();
        assert_eq!(shrink(&plane, 4, 2), [2.5, 4.5, 10.5, 12.5]);
        assert_eq!(shrink(&[plane.clone(), plane].concat(), 4, 1), [7.5, 7.5]);
    }

    #[test]
    fn an_enlargement_interpolates_between_centres() {
        // Expected values: PyTorch's interpolate(mode="bilinear", align_corners=False).
        let row = [0.0, 0.25, 0.75, 1.0];
        let both = enlarge(&[0.0, 1.0, 2.0, 3.0], 2, 4);
        for (y, down) in row.iter().enumerate() {
            for (x, across) in row.iter().enumerate() {
                assert_eq!(both[4 * y + x], across + 2.0 * down);
            }
        }
        assert_eq!(enlarge(&[0.5], 1, 3), [0.5; 9]);
    }

    #[test]
    fn augmentation_keeps_the_variance_and_ends_in_noise() {
        let mut whole = vec![3.0; 4];
        augment(&mut whole, 0.0, &[1.0; 4]);
        assert_eq!(whole, [3.0; 4]);
        let noise = [1.0, -2.0, 0.5, 0.0];
        augment(&mut whole, 1.0, &noise);
        assert!(whole.iter().zip(noise).all(|(a, b)| (a - b).abs() < 1e-6));
        let mut half = vec![1.0];
        augment(&mut half, 0.5, &[0.0]);
        assert!((half[0] - 0.5f32.sqrt()).abs() < 1e-6);
    }
}
