//! Guidance rescale (Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are
//! Flawed", section 3.4).

use burn::tensor::Tensor;

/// Rescales the guided prediction of each image towards the standard deviation of the conditional one (equations 15 and
/// 16): `φ · guided · std(conditional) / std(guided) + (1 − φ) · guided`. Strong guidance over-exposes images, which this
/// reduces.
///
/// As in the paper it acts on the network's prediction, for either target.
///
/// # Shapes
///
/// All `[images, channels, height, width]`. The deviation is over all dimensions but the first.
pub fn rescale(guided: Tensor<4>, conditional: Tensor<4>, phi: f64) -> Tensor<4> {
    // The bound avoids NaN for an image of one value, whose deviation is 0.
    let ratio = deviation(conditional) / deviation(guided.clone()).clamp_min(1e-12);
    guided * (ratio * phi + (1.0 - phi))
}

/// `[images, 1, 1, 1]`.
fn deviation(values: Tensor<4>) -> Tensor<4> {
    let centred = values.clone() - values.mean_dims(&[1, 2, 3]);
    centred.square().mean_dims(&[1, 2, 3]).sqrt()
}
