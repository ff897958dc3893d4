//! Classifier-free guidance: the mix of the conditional and the unconditional estimate
//! (Ho & Salimans 2022, equation 6), and which rows the network has to see for it.
//!
//! The strength is the paper's w: 0 is the plain conditional model, −1 the unconditional one. Many
//! tools print a *scale* s = 1 + w instead.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::denoiser::{Class, Denoiser};

/// The rows of one guided evaluation: every image once with the class that its estimate starts
/// from, and once more with ∅ where guidance has an effect.
///
/// Conditional and unconditional rows go through the network as one batch. Where w = 0 the
/// unconditional row is left out, where w = −1 (or the class is ∅) the conditional one.
#[derive(Debug, Clone)]
pub struct GuidedRows {
    /// Class id of every row; the first `images` rows belong to the images in order.
    classes: Vec<u32>,
    /// Images whose unconditional row follows, in order.
    guided: Vec<usize>,
    /// w of every guided image.
    strengths: Vec<f64>,
    images: usize,
}

impl GuidedRows {
    /// Plans the rows for images of these classes with these strengths w, one of each an image.
    /// `null` is the id of ∅.
    pub fn new(classes: &[Class], guidance: &[f64], null: u32) -> Self {
        let mut rows = Self {
            classes: Vec::with_capacity(2 * classes.len()),
            guided: Vec::new(),
            strengths: Vec::new(),
            images: classes.len(),
        };
        for (image, (&class, &w)) in classes.iter().zip(guidance).enumerate() {
            match class {
                Some(id) if w != -1.0 => {
                    rows.classes.push(id);
                    if w != 0.0 {
                        rows.guided.push(image);
                        rows.strengths.push(w);
                    }
                }
                _ => rows.classes.push(null),
            }
        }
        rows.classes.extend(rows.guided.iter().map(|_| null));
        rows
    }

    /// Rows that one evaluation puts through the network.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is no row at all.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Network evaluations for image `image` in one step: 2 where it is guided, else 1.
    pub fn evaluations(&self, image: usize) -> usize {
        1 + usize::from(self.guided.contains(&image))
    }

    /// The guided prediction for every image at λ = `log_snr` (in nats):
    /// `(1 + w) f(z, c) − w f(z, ∅)`, where f is the network's ε or v.
    ///
    /// # Shapes
    ///
    /// `z` and the result: `[images, channels, height, width]`.
    pub fn predict<D: Denoiser + ?Sized>(
        &self,
        denoiser: &D,
        z: &Tensor<4>,
        log_snr: f64,
    ) -> Tensor<4> {
        let device = z.device();
        let count = self.len();
        let class = Tensor::<1, Int>::from_data(
            TensorData::new(self.classes.iter().map(|&c| c as i32).collect(), [count]),
            &device,
        );
        let log_snr = Tensor::<1>::full([count], log_snr, &device);
        let guided = self.guided.len();
        let rows = if guided == 0 {
            z.clone()
        } else {
            Tensor::cat(vec![z.clone(), self.pick(z.clone(), &device)], 0)
        };
        let output = denoiser.predict(rows, log_snr, class);
        if guided == 0 {
            return output;
        }
        let own = output.clone().narrow(0, 0, self.images);
        let unconditional = output.narrow(0, self.images, guided);
        // own + w (own − unconditional), on the guided images only.
        let direction = self.pick(own.clone(), &device) - unconditional;
        let change = match self.common_strength() {
            Some(w) => direction * w,
            None => {
                let w: Vec<f32> = self.strengths.iter().map(|&w| w as f32).collect();
                direction * Tensor::<4>::from_data(TensorData::new(w, [guided, 1, 1, 1]), &device)
            }
        };
        if guided == self.images {
            own + change
        } else {
            own.select_assign(
                0,
                self.guided_indices(&device),
                change,
                burn::tensor::IndexingUpdateOp::Add,
            )
        }
    }

    /// The guided images' rows of a batch of all images.
    fn pick(&self, batch: Tensor<4>, device: &Device) -> Tensor<4> {
        if self.guided.len() == self.images {
            batch
        } else {
            batch.select(0, self.guided_indices(device))
        }
    }

    fn guided_indices(&self, device: &Device) -> Tensor<1, Int> {
        let indices: Vec<i32> = self.guided.iter().map(|&i| i as i32).collect();
        Tensor::from_data(TensorData::new(indices, [self.guided.len()]), device)
    }

    fn common_strength(&self) -> Option<f64> {
        let first = *self.strengths.first()?;
        self.strengths.iter().all(|&w| w == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Answers with the class id of the row, and keeps what it was asked.
    struct Echo(RefCell<Vec<Vec<i32>>>);

    impl Denoiser for Echo {
        fn classes(&self) -> usize {
            9
        }
        fn predict(&self, z: Tensor<4>, _: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4> {
            let ids = class.clone().into_data_as::<i32>();
            self.0
                .borrow_mut()
                .push(ids.as_slice::<i32>().unwrap().to_vec());
            z.zeros_like() + class.float().reshape([-1, 1, 1, 1])
        }
    }

    fn predict(classes: &[Class], w: &[f64]) -> (Vec<f32>, Vec<i32>) {
        let echo = Echo(RefCell::default());
        let z = Tensor::<4>::zeros([classes.len(), 1, 1, 1], &Device::flex());
        let out = GuidedRows::new(classes, w, 9)
            .predict(&echo, &z, 0.0)
            .into_data();
        (
            out.as_slice::<f32>().unwrap().to_vec(),
            echo.0.take().remove(0),
        )
    }

    #[test]
    fn the_mix_is_the_papers() {
        // (1 + w) c − w ∅ with c = 2, ∅ = 9.
        let (out, rows) = predict(&[Some(2), Some(4)], &[3.0, 3.0]);
        assert_eq!(out, [4.0 * 2.0 - 3.0 * 9.0, 4.0 * 4.0 - 3.0 * 9.0]);
        assert_eq!(rows, [2, 4, 9, 9]);
    }

    #[test]
    fn rows_without_effect_are_not_run() {
        assert_eq!(
            predict(&[Some(2), Some(4)], &[0.0, 0.0]),
            (vec![2.0, 4.0], vec![2, 4])
        );
        assert_eq!(predict(&[Some(2)], &[-1.0]), (vec![9.0], vec![9]));
        assert_eq!(predict(&[None], &[5.0]), (vec![9.0], vec![9]));
    }

    #[test]
    fn every_image_may_have_its_own_class_and_strength() {
        let (out, rows) = predict(&[Some(1), None, Some(3), Some(5)], &[0.0, 2.0, 1.0, 2.0]);
        assert_eq!(out, [1.0, 9.0, 2.0 * 3.0 - 9.0, 3.0 * 5.0 - 2.0 * 9.0]);
        assert_eq!(rows, [1, 9, 3, 5, 9, 9]);
    }
}
