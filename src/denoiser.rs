//! The interface of a network that denoises.

use std::{rc::Rc, sync::Arc};

use burn::tensor::{Int, Tensor};

use crate::condition::Joint;
use crate::network::{OtherInputs, TakenInputs};
use crate::noise_level::LogSnr;

/// A class that a row is conditioned on: an id, or ∅ (`None`) for the unconditional model.
pub type Class = Option<u32>;

/// Rows of one noise level, each of an image and of a class.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Noisy images in 32-bit floats, `[images, channels, height, width]`.
    pub z: &'a Tensor<4>,
    /// The image of each row.
    pub images: &'a [u32],
    /// λ of all rows.
    pub level: LogSnr,
    /// The class id of each row, where the number of classes stands for ∅.
    pub classes: &'a [u32],
    /// What each row is conditioned on, where that is more than a class of some.
    pub joints: Option<&'a [Joint]>,
    /// w of each row, for a network that takes it as an input.
    pub guidance: Option<&'a [f64]>,
    /// λ that the step leads to, for a network that takes it as an input.
    pub next: Option<LogSnr>,
}

/// One network that is both the conditional and the unconditional denoiser.
///
/// [`network::UNet`](crate::network::UNet) is the one that trains. A
/// [`GaussianMixture`](crate::gaussian_mixture::GaussianMixture) is one whose answer is exact.
pub trait Denoiser {
    /// The number of classes. Id `classes()` itself stands for ∅.
    fn classes(&self) -> usize;

    /// Which inputs this network takes beside z, λ and the class: none, if it does not say so.
    fn takes(&self) -> TakenInputs {
        TakenInputs::default()
    }

    /// The prediction of the model's [target](crate::prediction::Target) for every row: what a network answers. It ignores the
    /// other inputs that it does not [take](Self::takes).
    ///
    /// # Shapes
    ///
    /// - `z`: `[batch, channels, height, width]`, noisy images, as [`Target::input`](crate::prediction::Target::input)
    ///   shows them.
    /// - `log_snr`: `[batch]`, λ in nats.
    /// - `class`: `[batch]`, ids from 0 to [`classes`](Self::classes), where that last one is ∅.
    /// - output: as `z`.
    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4>;

    /// The prediction for rows of one noise level, `[rows, channels, height, width]` in 32-bit floats, of a network that has
    /// kernels for whole evaluations where it is; `None` of any other, which [`predict_with`](Self::predict_with) answers.
    fn predict_rows(&self, _: &Rows<'_>) -> Option<Tensor<4>> {
        None
    }

    /// The conditional prediction: [`predict_with`](Self::predict_with) without other inputs.
    ///
    /// # Shapes
    ///
    /// As [`predict_with`](Self::predict_with).
    fn predict(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4> {
        self.predict_with(z, log_snr, class, OtherInputs::default())
    }

    /// The guided prediction for every row, each with its own strength w: `(1 + w) f(z, c) − w f(z, ∅)` (Ho & Salimans
    /// 2022, equation 6). A network that takes w as an input answers in one pass, and others in two.
    ///
    /// # Shapes
    ///
    /// As [`predict_with`](Self::predict_with); `guidance`: `[batch]`, w.
    fn predict_guided(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        guidance: Tensor<1>,
    ) -> Tensor<4> {
        if !self.takes().guidance {
            return mixed(self, z, log_snr, class, guidance);
        }
        let others = OtherInputs {
            guidance: Some(guidance),
            ..OtherInputs::default()
        };
        self.predict_with(z, log_snr, class, others)
    }

    /// The guided prediction of a network that is told where the step leads (see
    /// [`FlowMap`](crate::network::FlowMap)): a DDIM step with it lands on the guided probability flow. Others answer as
    /// [`predict_guided`](Self::predict_guided), which is right for short steps.
    ///
    /// # Shapes
    ///
    /// As [`predict_guided`](Self::predict_guided). `levels`: λ of the rows and λ that the step leads to, both `[batch]`.
    fn predict_jump(
        &self,
        z: Tensor<4>,
        [log_snr, next_log_snr]: [Tensor<1>; 2],
        class: Tensor<1, Int>,
        guidance: Tensor<1>,
    ) -> Tensor<4> {
        if !self.takes().next_log_snr {
            return self.predict_guided(z, log_snr, class, guidance);
        }
        let others = OtherInputs {
            guidance: Some(guidance),
            next_log_snr: Some(next_log_snr),
            ..OtherInputs::default()
        };
        self.predict_with(z, log_snr, class, others)
    }
}

/// [`Denoiser::predict_guided`] of a network that does not take w: from its conditional and its unconditional prediction,
/// as one batch.
fn mixed<D: Denoiser + ?Sized>(
    denoiser: &D,
    z: Tensor<4>,
    log_snr: Tensor<1>,
    class: Tensor<1, Int>,
    guidance: Tensor<1>,
) -> Tensor<4> {
    let [rows] = log_snr.dims();
    let null = class.full_like(denoiser.classes() as i64);
    let both = denoiser.predict(
        z.repeat_dim(0, 2),
        log_snr.repeat_dim(0, 2),
        Tensor::cat(vec![class, null], 0),
    );
    let conditional = both.clone().narrow(0, 0, rows);
    let unconditional = both.narrow(0, rows, rows);
    let w = guidance.reshape([rows, 1, 1, 1]).cast(conditional.dtype());
    conditional.clone() + (conditional - unconditional) * w
}

macro_rules! denoise_through {
    ($($pointer:ty),*) => {$(
        impl<T: Denoiser + ?Sized> Denoiser for $pointer {
            fn classes(&self) -> usize {
                (**self).classes()
            }
            fn takes(&self) -> TakenInputs {
                (**self).takes()
            }
            fn predict_with(
                &self,
                z: Tensor<4>,
                log_snr: Tensor<1>,
                class: Tensor<1, Int>,
                others: OtherInputs,
            ) -> Tensor<4> {
                (**self).predict_with(z, log_snr, class, others)
            }
            fn predict_rows(&self, rows: &Rows<'_>) -> Option<Tensor<4>> {
                (**self).predict_rows(rows)
            }
        }
    )*};
}
denoise_through!(&T, Rc<T>, Arc<T>, Box<T>);
