//! The interface of a network that denoises.

use std::{rc::Rc, sync::Arc};

use burn::tensor::{Int, Tensor};

/// A class that a row is conditioned on: an id, or ∅ (`None`) for the unconditional model.
pub type Class = Option<u32>;

/// One network that is both the conditional and the unconditional denoiser.
///
/// [`network::UNet`](crate::network::UNet) is the one that trains. A
/// [`GaussianMixture`](crate::gaussian_mixture::GaussianMixture) is one whose answer is exact.
pub trait Denoiser {
    /// The number of classes. Id `classes()` itself stands for ∅.
    fn classes(&self) -> usize;

    /// The prediction (ε or v) for every row.
    ///
    /// # Shapes
    ///
    /// - `z`: `[batch, channels, height, width]`, noisy images.
    /// - `log_snr`: `[batch]`, λ in nats.
    /// - `class`: `[batch]`, ids from 0 to [`classes`](Self::classes), where that last one is ∅.
    /// - output: as `z`.
    fn predict(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4>;
}

macro_rules! denoise_through {
    ($($pointer:ty),*) => {$(
        impl<T: Denoiser + ?Sized> Denoiser for $pointer {
            fn classes(&self) -> usize {
                (**self).classes()
            }
            fn predict(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4> {
                (**self).predict(z, log_snr, class)
            }
        }
    )*};
}
denoise_through!(&T, Rc<T>, Arc<T>, Box<T>);
