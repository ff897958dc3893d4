//! The interface of a network that denoises.

use std::{rc::Rc, sync::Arc};

use burn::tensor::{Int, Tensor};

use crate::network::OtherInputs;
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

    /// The prediction of the model's [target](crate::prediction::Target) for every row.
    ///
    /// # Shapes
    ///
    /// - `z`: `[batch, channels, height, width]`, noisy images, as [`Target::input`](crate::prediction::Target::input)
    ///   shows them.
    /// - `log_snr`: `[batch]`, λ in nats.
    /// - `class`: `[batch]`, ids from 0 to [`classes`](Self::classes), where that last one is ∅.
    /// - output: as `z`.
    fn predict(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4>;

    /// The prediction for rows of one noise level, `[rows, channels, height, width]` in 32-bit floats, of a network that has
    /// kernels for whole evaluations where it is; `None` of any other, which [`predict`](Self::predict) answers.
    fn predict_rows(&self, _: &Rows<'_>) -> Option<Tensor<4>> {
        None
    }

    /// The guided prediction for every row, each with its own strength w: `(1 + w) f(z, c) − w f(z, ∅)` (Ho & Salimans
    /// 2022, equation 6). A network that takes w as an input answers in one pass, and others in two.
    ///
    /// # Shapes
    ///
    /// As [`predict`](Self::predict); `guidance`: `[batch]`, w.
    fn predict_guided(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        guidance: Tensor<1>,
    ) -> Tensor<4> {
        mixed(self, z, log_snr, class, guidance)
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
        levels: [Tensor<1>; 2],
        class: Tensor<1, Int>,
        guidance: Tensor<1>,
    ) -> Tensor<4> {
        let [log_snr, _] = levels;
        self.predict_guided(z, log_snr, class, guidance)
    }

    /// The prediction with the other inputs that are given, of a network that takes them: what a run asks for. A network that
    /// answers here itself needs no code for two passes where only runs are made, which browsers need not fetch then.
    ///
    /// # Shapes
    ///
    /// As [`predict`](Self::predict).
    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        match (others.guidance, others.next_log_snr) {
            (Some(w), Some(next)) => self.predict_jump(z, [log_snr, next], class, w),
            (Some(w), None) => self.predict_guided(z, log_snr, class, w),
            (None, _) => self.predict(z, log_snr, class),
        }
    }
}

/// [`Denoiser::predict_guided`] of a network that does not take w: from its conditional and its unconditional prediction,
/// as one batch.
///
/// # Shapes
///
/// As [`Denoiser::predict_guided`].
pub fn mixed<D: Denoiser + ?Sized>(
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
            fn predict(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4> {
                (**self).predict(z, log_snr, class)
            }
            fn predict_rows(&self, rows: &Rows<'_>) -> Option<Tensor<4>> {
                (**self).predict_rows(rows)
            }
            fn predict_guided(
                &self,
                z: Tensor<4>,
                log_snr: Tensor<1>,
                class: Tensor<1, Int>,
                guidance: Tensor<1>,
            ) -> Tensor<4> {
                (**self).predict_guided(z, log_snr, class, guidance)
            }
            fn predict_jump(
                &self,
                z: Tensor<4>,
                levels: [Tensor<1>; 2],
                class: Tensor<1, Int>,
                guidance: Tensor<1>,
            ) -> Tensor<4> {
                (**self).predict_jump(z, levels, class, guidance)
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
        }
    )*};
}
denoise_through!(&T, Rc<T>, Arc<T>, Box<T>);
