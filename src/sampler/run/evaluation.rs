//! One evaluation of the network, as values that can be computed elsewhere.

use burn::tensor::{Int, Tensor, TensorData};

use crate::condition::Joint;
use crate::denoiser::{Denoiser, Rows};
use crate::guidance::GuidedRows;
use crate::network::OtherInputs;
use crate::noise_level::LogSnr;
use crate::prediction::Target;

/// What the network has to answer before a run can go on: all rows of one evaluation, which do not
/// depend on one another.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// `[rows, channels, height, width]`.
    pub z: Tensor<4>,
    /// λ, the same for all rows.
    pub level: LogSnr,
    /// The class id of each row, where the number of classes stands for ∅.
    pub classes: Vec<u32>,
    /// What each row is conditioned on, where that is more than a class of some.
    pub joints: Option<Vec<Joint>>,
    /// w of each row, for a network that takes it as an input.
    pub guidance: Option<Vec<f64>>,
    /// λ that the step leads to, for a network that takes it as an input.
    pub next: Option<LogSnr>,
}

impl Evaluation {
    pub(super) fn new(
        target: Target,
        rows: &GuidedRows,
        z: &Tensor<4>,
        level: LogSnr,
        next: Option<LogSnr>,
    ) -> Self {
        Self {
            z: target.input(rows.latents(z), level),
            level,
            classes: rows.classes().to_vec(),
            joints: rows.joints().map(<[Joint]>::to_vec),
            guidance: rows.input().map(<[f64]>::to_vec),
            next,
        }
    }

    /// The answer, `[rows, channels, height, width]`.
    pub fn predict<D: Denoiser + ?Sized>(&self, denoiser: &D) -> Tensor<4> {
        let (device, count) = (self.z.device(), self.classes.len());
        let ids: Vec<i32> = self.classes.iter().map(|&c| c as i32).collect();
        let class = Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), &device);
        let log_snr = Tensor::<1>::full([count], self.level.0, &device);
        // A network may compute in half precision; the sampler never does.
        let z = self.z.clone();
        let guidance = self.guidance.as_ref().map(|w| {
            let w: Vec<f32> = w.iter().map(|&w| w as f32).collect();
            Tensor::from_data(TensorData::new(w, [count]), &device)
        });
        let next_log_snr = self
            .next
            .map(|next| Tensor::<1>::full([count], next.0, &device));
        let answer = match (guidance, next_log_snr) {
            (Some(w), Some(next)) => denoiser.predict_jump(z, [log_snr, next], class, w),
            (Some(w), None) => denoiser.predict_guided(z, log_snr, class, w),
            (None, _) => {
                let others = self
                    .joints
                    .as_ref()
                    .map(|joints| OtherInputs::of_joints(joints, denoiser.classes(), &device));
                denoiser.predict_with(z, log_snr, class, others.unwrap_or_default())
            }
        };
        answer.cast(self.z.dtype())
    }

    /// The first `rows` rows and the others.
    pub fn split(self, rows: usize) -> (Self, Self) {
        let part = |rows: std::ops::Range<usize>| Self {
            z: self.z.clone().narrow(0, rows.start, rows.len()),
            level: self.level,
            classes: self.classes[rows.clone()].to_vec(),
            joints: self.joints.as_ref().map(|all| all[rows.clone()].to_vec()),
            guidance: self.guidance.as_ref().map(|w| w[rows].to_vec()),
            next: self.next,
        };
        (part(0..rows), part(rows..self.classes.len()))
    }
}

/// What a network answers to these rows of the latents `z`.
pub(super) fn predict<D: Denoiser + ?Sized>(
    denoiser: &D,
    target: Target,
    rows: &GuidedRows,
    z: &Tensor<4>,
    level: LogSnr,
    next: Option<LogSnr>,
) -> Tensor<4> {
    let whole = denoiser.predict_rows(&Rows {
        z,
        images: &rows.images(),
        level,
        classes: rows.classes(),
        joints: rows.joints(),
        guidance: rows.input(),
        next,
    });
    whole.unwrap_or_else(|| Evaluation::new(target, rows, z, level, next).predict(denoiser))
}
