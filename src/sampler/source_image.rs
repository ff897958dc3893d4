//! A picture that a run starts from, or of which it keeps a part.

use burn::tensor::{Device, Tensor, TensorData};

use crate::guidance::Guided;
use crate::noise_level::LogSnr;
use crate::prediction::Estimate;

/// The strength of a run that starts from a picture, unless another is asked for.
pub const DEFAULT_STRENGTH: f64 = 0.6;

/// A picture to draw from. Without a mask, a run starts from it with noise added (SDEdit: Meng et al. 2022, "SDEdit: Guided
/// Image Synthesis and Editing with Stochastic Differential Equations"). With a mask, the run also keeps what
/// the mask does not cover.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceImage {
    /// `[channels, height, width]`, from −1 to 1.
    pub values: Vec<f32>,
    /// `[height, width]`, from 0 where the picture is kept to 1 where it is drawn anew.
    pub mask: Option<Vec<f32>>,
}

/// A [`SourceImage`] on the device of a run.
#[derive(Debug)]
pub(super) struct Source {
    /// `[1, channels, height, width]`.
    x: Tensor<4>,
    /// `[1, 1, height, width]`.
    mask: Option<Tensor<4>>,
}

impl Source {
    pub(super) fn new(image: &SourceImage, shape: [usize; 3], device: &Device) -> Self {
        let [channels, height, width] = shape;
        let tensor = |values: &[f32], channels| {
            let data = TensorData::new(values.to_vec(), [1, channels, height, width]);
            Tensor::from_data(data, device)
        };
        Self {
            x: tensor(&image.values, channels),
            mask: image.mask.as_deref().map(|mask| tensor(mask, 1)),
        }
    }

    /// z = α x + σ ε at the level that a run starts from.
    ///
    /// # Shapes
    ///
    /// `noise` and the result: `[images, channels, height, width]`.
    pub(super) fn latent(&self, noise: Tensor<4>, level: LogSnr) -> Tensor<4> {
        noise * level.sigma() + self.x.clone() * level.alpha()
    }

    /// The estimate with the picture in the place of x̃ where it is kept (DDNM: Wang et al. 2023, "Zero-Shot Image
    /// Restoration Using Denoising Diffusion Null-Space Model", for a mask), and ε̃ as it then follows from
    /// the latents `z` of the evaluation.
    pub(super) fn keep(&self, guided: Guided, z: &Tensor<4>, level: LogSnr) -> Guided {
        let Some(mask) = &self.mask else {
            return guided;
        };
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let kept = mask.clone().neg() + 1.0;
        let epsilon = (z.clone() - self.x.clone() * alpha) / sigma;
        let estimate = Estimate {
            x: guided.estimate.x * mask.clone() + self.x.clone() * kept.clone(),
            epsilon: guided.estimate.epsilon * mask.clone() + epsilon * kept.clone(),
        };
        // CFG++ continues from latents of its own, the others from `z`, which these are then.
        let z = guided.z * mask.clone() + z.clone() * kept;
        Guided { estimate, z }
    }
}

/// Adds noise to latents of λ_{t+1} = `clean` until they are of λ_t = `noisy`: the forward process between two levels
/// (RePaint: Lugmayr et al. 2022, "RePaint: Inpainting using Denoising Diffusion Probabilistic Models", algorithm 1).
///
/// # Shapes
///
/// `z`, `noise` and the result: `[images, channels, height, width]`.
pub(super) fn noise_again(
    z: Tensor<4>,
    clean: LogSnr,
    noisy: LogSnr,
    noise: Tensor<4>,
) -> Tensor<4> {
    let ratio = noisy.alpha() / clean.alpha();
    // σ²_t − (α_t/α_{t+1})² σ²_{t+1}, without cancellation where the levels are close.
    let variance = -libm::expm1(noisy.0 - clean.0) * noisy.sigma() * noisy.sigma();
    z * ratio + noise * libm::sqrt(variance)
}
