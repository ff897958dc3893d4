//! Which rows the network has to see.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Strength;
use crate::denoiser::Class;

/// The rows of one guided evaluation: every image once with its class, and once more with the class
/// that guidance leads away from where both estimates are needed. That is ∅, or a negative class.
///
/// Both kinds of rows go through the network as one batch. Where w = 0 the second row is left out,
/// where w = −1 the first one; an image of class ∅ has one row unless there is a negative class.
#[derive(Debug, Clone)]
pub struct GuidedRows {
    /// Class id of every row; the first `images` rows belong to the images in order.
    classes: Vec<u32>,
    /// Whether an image's first row is of its own class, and not of the one that guidance leads away from.
    conditional: Vec<bool>,
    /// Images whose second row follows, in order.
    guided: Vec<usize>,
    /// w of every guided image.
    strength: Strength,
    images: usize,
    /// w of every row, where the network takes it as an input.
    input: Option<Vec<f64>>,
}

impl GuidedRows {
    /// Plans the rows for images of these classes with these strengths w, one of each an image.
    /// `null` is the id of ∅; guidance leads away from `negative`, or from ∅ where that is `None`.
    /// `both` says whether a strength needs both estimates.
    pub fn new(
        classes: &[Class],
        guidance: &[f64],
        null: u32,
        negative: Class,
        both: impl Fn(f64) -> bool,
    ) -> Self {
        let mut rows = Vec::with_capacity(2 * classes.len());
        let mut conditional = Vec::with_capacity(classes.len());
        let (mut guided, mut strengths) = (Vec::new(), Vec::new());
        let second = negative.unwrap_or(null);
        for (image, (&class, &w)) in classes.iter().zip(guidance).enumerate() {
            let first = class.unwrap_or(null);
            let is_conditional = w != -1.0 && (class.is_some() || negative.is_some());
            rows.push(if is_conditional { first } else { second });
            conditional.push(is_conditional);
            if is_conditional && both(w) {
                guided.push(image);
                strengths.push(w);
            }
        }
        rows.extend(guided.iter().map(|_| second));
        Self {
            classes: rows,
            conditional,
            guided,
            strength: Strength::new(strengths),
            images: classes.len(),
            input: None,
        }
    }

    /// One row for each image, of a network that takes w as an input.
    pub fn of_input(classes: &[Class], guidance: &[f64], null: u32) -> Self {
        Self {
            classes: classes.iter().map(|class| class.unwrap_or(null)).collect(),
            conditional: classes.iter().map(Option::is_some).collect(),
            guided: Vec::new(),
            strength: Strength::new(Vec::new()),
            images: classes.len(),
            input: Some(guidance.to_vec()),
        }
    }

    /// Rows that one evaluation puts through the network.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is no row at all.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Class id of every row.
    pub fn classes(&self) -> &[u32] {
        &self.classes
    }

    /// Whether the first row of image `image` is of its class: its conditional estimate.
    pub fn is_conditional(&self, image: usize) -> bool {
        self.conditional[image]
    }

    /// The image of each row.
    pub fn images(&self) -> Vec<u32> {
        let guided = self.guided.iter().copied();
        (0..self.images)
            .chain(guided)
            .map(|image| image as u32)
            .collect()
    }

    /// The images with a second row, in order.
    pub fn guided_images(&self) -> &[usize] {
        &self.guided
    }

    /// w of every row, where the network takes it as an input.
    pub fn input(&self) -> Option<&[f64]> {
        self.input.as_deref()
    }

    /// Images with a second row beside their own.
    pub fn guided(&self) -> usize {
        self.guided.len()
    }

    /// w of the guided images.
    pub fn strength(&self) -> &Strength {
        &self.strength
    }

    /// Network evaluations for image `image`: 2 where it is guided, else 1.
    pub fn evaluations(&self, image: usize) -> usize {
        1 + usize::from(self.guided.contains(&image))
    }

    /// The second row of image `image`, where there is one.
    pub fn second_row(&self, image: usize) -> Option<usize> {
        let place = self.guided.iter().position(|&guided| guided == image)?;
        Some(self.images + place)
    }

    /// The latents that the rows start from, `[rows, channels, height, width]`, of `z`,
    /// `[images, channels, height, width]`.
    pub fn latents(&self, z: &Tensor<4>) -> Tensor<4> {
        if self.guided.is_empty() {
            z.clone()
        } else {
            Tensor::cat(vec![z.clone(), self.pick(z.clone())], 0)
        }
    }

    /// The rows that the images' estimates start from: their classes, or ∅.
    pub fn first(&self, rows: &Tensor<4>) -> Tensor<4> {
        rows.clone().narrow(0, 0, self.images)
    }

    /// The second rows of the guided images.
    pub fn second(&self, rows: &Tensor<4>) -> Tensor<4> {
        rows.clone().narrow(0, self.images, self.guided.len())
    }

    /// The guided images of a batch of all images.
    pub fn pick(&self, batch: Tensor<4>) -> Tensor<4> {
        if self.guided.len() == self.images {
            return batch;
        }
        let device = batch.device();
        batch.select(0, indices(self.guided.iter().copied(), &device))
    }

    /// The batch of all images with `guided` in the place of the guided ones.
    pub fn replace(&self, batch: Tensor<4>, guided: Tensor<4>) -> Tensor<4> {
        if self.guided.len() == self.images {
            return guided;
        }
        let device = batch.device();
        let mut from: Vec<usize> = (0..self.images).collect();
        for (at, &image) in self.guided.iter().enumerate() {
            from[image] = self.images + at;
        }
        Tensor::cat(vec![batch, guided], 0).select(0, indices(from.into_iter(), &device))
    }
}

fn indices(of: impl ExactSizeIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let count = of.len();
    let values: Vec<i32> = of.map(|i| i as i32).collect();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
