//! Guidance rescale (Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are
//! Flawed", section 3.4).

use burn::tensor::Tensor;

/// Gives the guided prediction, image by image, the standard deviation that the conditional one
/// has (equations 15 and 16): `φ · guided · std(conditional) / std(guided) + (1 − φ) · guided`.
/// Strong guidance over-exposes; this takes the contrast back and keeps the direction.
///
/// As published it acts on the network's own prediction, whatever its target is.
///
/// # Shapes
///
/// All `[images, channels, height, width]`; the deviation is over all but the first.
pub fn rescale(guided: Tensor<4>, conditional: Tensor<4>, phi: f64) -> Tensor<4> {
    // An image of one value has no deviation to restore; the bound keeps it from becoming NaN.
    let ratio = deviation(conditional) / deviation(guided.clone()).clamp_min(1e-12);
    guided * (ratio * phi + (1.0 - phi))
}

/// `[images, 1, 1, 1]`.
fn deviation(values: Tensor<4>) -> Tensor<4> {
    let centred = values.clone() - values.mean_dims(&[1, 2, 3]);
    centred.square().mean_dims(&[1, 2, 3]).sqrt()
}
