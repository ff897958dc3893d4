//! Prepares the steps ahead of the device: loads images and draws all random numbers.

use std::ops::Range;
use std::sync::Arc;

use freeguide::condition::Joint;
use freeguide::training::{Draw, Objective, Order, Part, SmallPictures, flips};

use crate::distributed::Ranks;
use freeguide_data::{Ahead, DataError, TrainingSet};
use freeguide_recipe::Recipe;

/// The number of steps that are prepared in advance.
const DEPTH: usize = 3;

/// A part of a batch, ready for the device.
pub struct Prepared {
    /// The positions of these images in the batch.
    pub images: Range<usize>,
    /// Their values, `[images, channels, size, size]` in [−1, 1].
    pub values: Vec<f32>,
    /// The noise levels, the noise and the classes.
    pub draw: Draw,
}

/// Prepared steps.
pub type Steps = Ahead<Result<Vec<Prepared>, DataError>>;

/// Prepares steps. Each is a function of the seed, its number and the data set.
struct Preparer {
    dataset: Arc<TrainingSet>,
    objective: Objective,
    order: Order,
    seed: u64,
    flip: bool,
    /// Whether images have attributes or a number, and not a class alone.
    joint: bool,
    /// The small pictures that a network of super-resolution enlarges.
    small: Option<SmallPictures>,
    batch: usize,
    /// The images of every batch that this process computes.
    share: Range<usize>,
    /// The number of images that it computes at a time.
    at_a_time: usize,
}

/// The parts of the steps from `first` on, prepared by a thread.
///
/// # Errors
/// If the system cannot create a thread.
pub fn prepare(
    recipe: &Recipe,
    dataset: &Arc<TrainingSet>,
    ranks: &Ranks,
    first: u64,
) -> std::io::Result<Steps> {
    let train = &recipe.train;
    let share = ranks.share(train.batch);
    let mut preparer = Preparer {
        dataset: Arc::clone(dataset),
        objective: recipe.objective(),
        order: Order::new(train.seed, dataset.len()),
        seed: train.seed,
        flip: recipe.data.flip,
        joint: recipe.network.takes_more_than_a_class(),
        small: SmallPictures::of(&recipe.network),
        batch: train.batch,
        at_a_time: share.len().div_ceil(train.accumulate).max(1),
        share,
    };
    Ahead::start(first..train.steps, DEPTH, move |step| preparer.step(step))
}

impl Preparer {
    fn step(&mut self, step: u64) -> Result<Vec<Prepared>, DataError> {
        let batch = self.order.batch(step, self.batch);
        let flips = match self.flip {
            true => flips(self.seed, step as u32, self.batch),
            false => vec![false; self.batch],
        };
        self.share
            .clone()
            .step_by(self.at_a_time)
            .map(|first| {
                let images = first..(first + self.at_a_time).min(self.share.end);
                self.part(
                    step as u32,
                    &batch[images.clone()],
                    &flips[images.clone()],
                    images,
                )
            })
            .collect()
    }

    fn part(
        &self,
        step: u32,
        chosen: &[usize],
        flips: &[bool],
        images: Range<usize>,
    ) -> Result<Prepared, DataError> {
        let loaded = self.dataset.batch(chosen, flips)?;
        let part = Part {
            seed: self.seed,
            step,
            batch: self.batch,
            images: images.clone(),
        };
        let null = self.dataset.classes.len() as u32;
        let values = self.dataset.image_len();
        let mut draw = match self.joint {
            false => self.objective.draw(&part, &loaded.labels, null, values),
            true => {
                let joints: Vec<Joint> = loaded.places.iter().map(|&i| self.joint(i)).collect();
                self.objective.draw_joints(&part, &joints, null, values)
            }
        };
        let small = self.small.as_ref();
        draw.low_resolution =
            small.map(|small| small.draw(&part, &loaded.values, self.dataset.size));
        Ok(Prepared {
            images,
            values: loaded.values,
            draw,
        })
    }

    /// All that an image of the data set is conditioned on.
    fn joint(&self, image: usize) -> Joint {
        Joint {
            labels: self.dataset.labels_of(image).to_vec(),
            number: self.dataset.number_of(image),
        }
    }
}
