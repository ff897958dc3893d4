//! Images that no longer change.

use burn::tensor::{Device, Tensor, TensorData};

use crate::clip::above_zero;
use crate::noise_level::LogSnr;

/// Changes count from this level on, where the noise is a third of the image. Before it x̃ hardly changes either, because
/// little is decided yet.
const FROM: LogSnr = LogSnr(2.0);
/// For so many nats of λ an image has to stay as it is. What is left to change decays with λ, whatever the length of steps.
const NATS: f64 = 1.0;

/// Follows x̃ of a run and holds each image from the step on after which it has stayed within the tolerance, so that an image does
/// not depend on how long others of its batch go on.
#[derive(Debug)]
pub(super) struct AtRest {
    /// In units of x̃, whose values are from −1 to 1.
    tolerance: f64,
    /// x̃ that later ones are compared with, and x̃ as it was shown last: `[images, channels, height, width]`.
    pictures: Option<[Tensor<4>; 2]>,
    /// λ of the former, `[images, 1, 1, 1]`.
    since: Tensor<4>,
    /// 1 where an image is at rest, else 0: `[images, 1, 1, 1]`.
    images: Tensor<4>,
}

impl AtRest {
    /// `tolerance`: the largest change of a value in 1/255 of the range, which is how pictures store them.
    pub(super) fn new(tolerance: f64, images: usize, device: &Device) -> Self {
        Self {
            tolerance: tolerance * 2.0 / 255.0,
            pictures: None,
            since: each(0.0, images, device),
            images: each(0.0, images, device),
        }
    }

    /// Takes x̃ after a step at this level. Returns it as it is shown: of images at rest, as it was.
    pub(super) fn follow(&mut self, x: Tensor<4>, level: LogSnr) -> Tensor<4> {
        let ([images, ..], device) = (x.dims(), x.device());
        let Some([compared, shown]) = self.pictures.take() else {
            self.since = each(level.0.max(FROM.0), images, &device);
            self.pictures = Some([x.clone(), x.clone()]);
            return x;
        };
        let change = (x.clone() - compared.clone()).square().sqrt();
        let moved = match level.0 < FROM.0 {
            true => each(1.0, images, &device),
            false => {
                let values = above_zero(change - self.tolerance).sum_dims(&[1, 2, 3]);
                values.clamp_max(1.0)
            }
        };
        let stayed = moved.clone().neg() + 1.0;
        let compared = x.clone() * moved.clone() + compared * stayed.clone();
        self.since = moved * level.0.max(FROM.0) + self.since.clone() * stayed;
        let going = self.images.clone().neg() + 1.0;
        let shown = shown * self.images.clone() + x * going.clone();
        let short = above_zero(self.since.clone() - (level.0 - NATS));
        // At rest before, or for long enough now.
        self.images = going * short * -1.0 + 1.0;
        self.pictures = Some([compared, shown.clone()]);
        shown
    }

    /// 1 for every image at rest, else 0: `[images, 1, 1, 1]`.
    pub(super) fn images(&self) -> &Tensor<4> {
        &self.images
    }

    /// Everything that [`resume`](Self::resume) continues from, beside x̃: λ, what is at rest, and the compared pictures.
    pub(super) fn state(&self) -> [Option<&Tensor<4>>; 3] {
        let compared = self.pictures.as_ref().map(|[compared, _]| compared);
        [Some(&self.since), Some(&self.images), compared]
    }

    /// Continues from the state of another run, whose last x̃ was `shown`. `false` where it does not fit.
    pub(super) fn resume(&mut self, state: &[f32], shown: &Tensor<4>) -> bool {
        let (dims, device) = (shown.dims(), shown.device());
        let [images, ..] = dims;
        if state.len() < 2 * images {
            return false;
        }
        let (since, rest) = state.split_at(images);
        let (rests, compared) = rest.split_at(images);
        let whole: usize = dims.iter().product();
        if ![0, whole].contains(&compared.len()) {
            return false;
        }
        let tensor = |values: &[f32], shape: [usize; 4]| {
            Tensor::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        self.since = tensor(since, [images, 1, 1, 1]);
        self.images = tensor(rests, [images, 1, 1, 1]);
        let compared = (!compared.is_empty()).then(|| tensor(compared, dims));
        self.pictures = compared.map(|compared| [compared, shown.clone()]);
        true
    }
}

/// The same number for every image, `[images, 1, 1, 1]`.
fn each(value: f64, images: usize, device: &Device) -> Tensor<4> {
    let values = TensorData::new(vec![value as f32; images], [images, 1, 1, 1]);
    Tensor::from_data(values, device)
}
