//! Which rows the network has to see.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Strength;
use crate::condition::{Condition, Joint};
use crate::denoiser::Class;

/// The rows of one guided evaluation: every image once with its class, and once more with the class
/// that guidance leads away from where both estimates are needed. That is ∅, or a negative class.
///
/// Both kinds of rows go through the network as one batch. Where w = 0 the second row is left out,
/// where w = −1 the first one; an image of class ∅ has one row unless there is a negative class. An image of a mix has a row
/// for each of its classes, and one of attributes that are guided one by one has a row for each of them, of which
/// [`merged`](Self::merged) makes one.
#[derive(Debug, Clone)]
pub struct GuidedRows {
    /// Class id of every row: of the images in order, of the guided ones again, and of the further terms of mixes.
    classes: Vec<u32>,
    /// What every row is conditioned on, where that is more than a class of some.
    joints: Option<Vec<Joint>>,
    /// Whether an image's first row is of its own class, and not of the one that guidance leads away from.
    conditional: Vec<bool>,
    /// Images whose second row follows, in order.
    guided: Vec<usize>,
    /// w of every guided image.
    strength: Strength,
    images: usize,
    mixes: Mixes,
    /// w of every row, where the network takes it as an input.
    input: Option<Vec<f64>>,
    /// The second rows, where another model answers them.
    of_guide: Option<Box<GuidedRows>>,
}

/// The rows of the further terms of mixes.
#[derive(Debug, Clone, Default)]
struct Mixes {
    /// The weight of each image's first row.
    first: Vec<f64>,
    /// The image of each further row.
    images: Vec<usize>,
    /// Its weight.
    weights: Vec<f64>,
    /// Guided images whose second row, which is of ∅, is a term of their mix too, with its weight.
    seconds: Vec<(usize, f64)>,
}

impl GuidedRows {
    /// Plans the rows for images of these classes with these strengths w, one of each an image.
    /// `null` is the id of ∅; guidance leads away from `negative`, or from ∅ where that is `None`.
    /// `both` says whether a strength needs both estimates.
    pub fn new(
        classes: &[Condition],
        guidance: &[f64],
        null: u32,
        negative: Class,
        both: impl Fn(f64) -> bool,
    ) -> Self {
        let mut rows = Vec::with_capacity(2 * classes.len());
        let mut conditional = Vec::with_capacity(classes.len());
        let (mut guided, mut strengths) = (Vec::new(), Vec::new());
        let mut mixes = Mixes::default();
        let mut others = Vec::new();
        let second = Joint::class(negative);
        for (image, (class, &w)) in classes.iter().zip(guidance).enumerate() {
            let is_conditional = w != -1.0 && (!class.is_unconditional() || negative.is_some());
            let is_guided = is_conditional && both(w);
            if is_conditional {
                let mut terms = class.terms();
                let last = terms
                    .last()
                    .map(|(joint, weight)| (joint.is_empty(), *weight));
                if let Some((true, weight)) = last
                    && terms.len() > 1
                    && is_guided
                    && negative.is_none()
                {
                    terms.pop();
                    mixes.seconds.push((image, weight));
                }
                rows.push(mixes.add(image, terms, &mut others));
            } else {
                rows.push(second.clone());
                mixes.first.push(1.0);
            }
            conditional.push(is_conditional);
            if is_guided {
                guided.push(image);
                strengths.push(w);
            }
        }
        rows.extend(guided.iter().map(|_| second.clone()));
        rows.extend(others);
        let (classes, joints) = of_rows(rows, null);
        Self {
            images: conditional.len(),
            classes,
            joints,
            conditional,
            guided,
            strength: Strength::new(strengths),
            mixes,
            input: None,
            of_guide: None,
        }
    }

    /// The rows where another model answers the second rows: those of the images alone, and [`of_guide`](Self::of_guide)
    /// those of the other model. `asked` says what it is asked of for an image, with its own ids, of which the given one is
    /// ∅, and `both` whether a strength needs both estimates.
    pub(super) fn of_model(
        classes: &[Condition],
        guidance: &[f64],
        null: u32,
        (asked, guide_null): (&dyn Fn(usize) -> Condition, u32),
        both: impl Fn(f64) -> bool,
    ) -> Self {
        let plain = |classes: &[Condition], null| {
            let strengths = vec![0.0; classes.len()];
            Self::new(classes, &strengths, null, None, |_| false)
        };
        // At w = −1 the estimate is the other model's alone, which the mix of both comes to as well.
        let second = |&image: &usize| both(guidance[image]) || guidance[image] == -1.0;
        let guided: Vec<usize> = (0..classes.len()).filter(second).collect();
        let asked: Vec<Condition> = guided.iter().map(|&image| asked(image)).collect();
        Self {
            strength: Strength::new(guided.iter().map(|&image| guidance[image]).collect()),
            guided,
            of_guide: Some(Box::new(plain(&asked, guide_null))),
            ..plain(classes, null)
        }
    }

    /// One row for each image, and for each further class of its mix, of a network that takes w as an input.
    pub fn of_input(classes: &[Condition], guidance: &[f64], null: u32) -> Self {
        let mut mixes = Mixes::default();
        let mut others = Vec::new();
        let each = classes.iter().enumerate();
        let mut rows: Vec<Joint> = each
            .map(|(image, class)| mixes.add(image, class.terms(), &mut others))
            .collect();
        rows.extend(others);
        let (rows, joints) = of_rows(rows, null);
        let input = guidance.iter().copied();
        let of_others = mixes.images.iter().map(|&image| guidance[image]);
        Self {
            classes: rows,
            joints,
            conditional: classes.iter().map(|c| !c.is_unconditional()).collect(),
            guided: Vec::new(),
            strength: Strength::new(Vec::new()),
            images: classes.len(),
            input: Some(input.chain(of_others).collect()),
            mixes,
            of_guide: None,
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

    /// What every row is conditioned on, where that is more than a class of some.
    pub fn joints(&self) -> Option<&[Joint]> {
        self.joints.as_deref()
    }

    /// Whether the first row of image `image` is of its class: its conditional estimate.
    pub fn is_conditional(&self, image: usize) -> bool {
        self.conditional[image]
    }

    /// The image of each row.
    pub fn images(&self) -> Vec<u32> {
        let images = self.image_of_each_row().into_iter();
        images.map(|image| image as u32).collect()
    }

    fn image_of_each_row(&self) -> Vec<usize> {
        let others = self.own_seconds().iter().chain(&self.mixes.images).copied();
        (0..self.images).chain(others).collect()
    }

    /// The images whose second row is answered by the network itself.
    fn own_seconds(&self) -> &[usize] {
        match self.of_guide {
            Some(_) => &[],
            None => &self.guided,
        }
    }

    /// The rows of the guided images that another model answers, where there is one and it is asked.
    pub fn of_guide(&self) -> Option<&Self> {
        self.of_guide.as_deref().filter(|rows| !rows.is_empty())
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

    /// Network evaluations for image `image`: 2 where it is guided, else 1, and one more for each further term of a mix.
    pub fn evaluations(&self, image: usize) -> usize {
        let others = self.mixes.images.iter().filter(|&&other| other == image);
        let second = match (self.second_row(image), self.of_guide()) {
            (Some(row), Some(guide)) => guide.evaluations(row - self.images),
            (second, _) => usize::from(second.is_some()),
        };
        1 + second + others.count()
    }

    /// The second row of image `image`, where there is one.
    pub fn second_row(&self, image: usize) -> Option<usize> {
        let place = self.guided.iter().position(|&guided| guided == image)?;
        Some(self.images + place)
    }

    /// The latents that the rows start from, `[rows, channels, height, width]`, of `z`,
    /// `[images, channels, height, width]`.
    pub fn latents(&self, z: &Tensor<4>) -> Tensor<4> {
        if !self.mixes.images.is_empty() {
            let rows = indices(self.image_of_each_row().into_iter(), &z.device());
            z.clone().select(0, rows)
        } else if self.own_seconds().is_empty() {
            z.clone()
        } else {
            Tensor::cat(vec![z.clone(), self.pick(z.clone())], 0)
        }
    }

    /// The network's answer to the rows, with one row in the place of those of a mix: their weighted mean. The other methods
    /// read this.
    ///
    /// # Shapes
    ///
    /// `output`: `[rows, channels, height, width]`; result: `[images + guided images, channels, height, width]`, without the
    /// guided images where another model answers for them.
    pub fn merged(&self, output: Tensor<4>) -> Tensor<4> {
        let own = self.images + self.own_seconds().len();
        let merged = self.mixes.merged(output.clone(), own);
        self.with_seconds(merged, output)
    }

    /// Adds the second rows to the mixes that they are a term of.
    fn with_seconds(&self, merged: Tensor<4>, output: Tensor<4>) -> Tensor<4> {
        if self.mixes.seconds.is_empty() {
            return merged;
        }
        let [rows, ..] = merged.dims();
        let device = merged.device();
        let (mut from, mut weights) = ((0..rows).collect::<Vec<_>>(), vec![0.0; rows]);
        for &(image, weight) in &self.mixes.seconds {
            if let Some(second) = self.second_row(image) {
                (from[image], weights[image]) = (second, weight as f32);
            }
        }
        let seconds = output.select(0, indices(from.into_iter(), &device));
        merged + seconds * factors(weights, &device)
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

impl Mixes {
    /// Adds an image of these terms. Returns what its first row is of and adds the others to `others`.
    fn add(&mut self, image: usize, terms: Vec<(Joint, f64)>, others: &mut Vec<Joint>) -> Joint {
        let mut terms = terms.into_iter();
        let (first, weight) = terms.next().unwrap_or((Joint::default(), 1.0));
        self.first.push(weight);
        for (term, weight) in terms {
            others.push(term);
            self.images.push(image);
            self.weights.push(weight);
        }
        first
    }

    /// The first `rows` rows, to which those of the mixes are added.
    fn merged(&self, output: Tensor<4>, rows: usize) -> Tensor<4> {
        if self.images.is_empty() {
            return output;
        }
        let device = output.device();
        let mut own = vec![1.0; rows];
        for (own, &weight) in own.iter_mut().zip(&self.first) {
            *own = weight as f32;
        }
        let mut sum = output.clone().narrow(0, 0, rows) * factors(own, &device);
        // Each time the next term of every image that has one; the others add nothing of themselves.
        let mut left: Vec<usize> = (0..self.images.len()).collect();
        while !left.is_empty() {
            let (mut from, mut weights) = ((0..rows).collect::<Vec<_>>(), vec![0.0; rows]);
            left.retain(|&other| {
                let image = self.images[other];
                let taken = weights[image] != 0.0;
                if !taken {
                    from[image] = rows + other;
                    weights[image] = self.weights[other] as f32;
                }
                taken
            });
            let next = output.clone().select(0, indices(from.into_iter(), &device));
            sum = sum + next * factors(weights, &device);
        }
        sum
    }
}

/// The class ids of rows, and what they are conditioned on where that is more.
fn of_rows(rows: Vec<Joint>, null: u32) -> (Vec<u32>, Option<Vec<Joint>>) {
    let classes = rows.iter().map(|row| row.first(null)).collect();
    let is_more = rows.iter().any(Joint::is_more_than_a_class);
    (classes, is_more.then_some(rows))
}

/// A factor for each row.
fn factors(of: Vec<f32>, device: &Device) -> Tensor<4> {
    let rows = of.len();
    Tensor::from_data(TensorData::new(of, [rows, 1, 1, 1]), device)
}

fn indices(of: impl ExactSizeIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let count = of.len();
    let values: Vec<i32> = of.map(|i| i as i32).collect();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
