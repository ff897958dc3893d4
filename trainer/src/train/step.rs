//! One step of Algorithm 1: the gradient of a batch, in parts, and what the optimiser makes of it.

use std::ops::Range;

use anyhow::{Context, Result};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use freeguide::network::UNet;
use freeguide::training::{Objective, Part, flips};

use super::clip::clip_global_norm;
use super::precision::GradientSum;
use super::state::State;
use crate::data::TrainingSet;
use crate::recipe::Recipe;

/// Takes steps.
pub struct Stepper<'a> {
    recipe: &'a Recipe,
    dataset: &'a TrainingSet,
    objective: Objective,
    device: Device,
}

/// What a step leaves behind, still on the device.
pub struct Stepped {
    /// The mean loss of the batch.
    pub loss: Tensor<1>,
    /// The norm of its gradient before clipping.
    pub norm: Option<Tensor<1>>,
}

impl<'a> Stepper<'a> {
    /// `device` is the one with gradients.
    pub fn new(recipe: &'a Recipe, dataset: &'a TrainingSet, device: Device) -> Self {
        Self {
            recipe,
            dataset,
            objective: recipe.objective(),
            device,
        }
    }

    /// Takes the next step, with these images and this learning rate.
    pub fn step(&self, state: &mut State, batch: &[usize], rate: f64) -> Result<Stepped> {
        let train = &self.recipe.train;
        let network = train.precision.working_copy(&state.network);
        let scale = state.loss_scale.map_or(1.0, |scale| scale.factor);
        let mut sum = GradientSum::new(1.0 / scale);
        let mut losses = Vec::new();
        let size = batch.len() / train.accumulate;
        for first in (0..batch.len()).step_by(size) {
            let images = first..first + size;
            let (loss, gradients) = self.part(&network, batch, images, state.step as u32, scale)?;
            sum.add(&network, gradients);
            losses.push(loss);
        }
        let loss = match losses.len() {
            1 => losses.remove(0),
            _ => Tensor::cat(losses, 0).sum(),
        };
        let (gradients, norm) = clip_global_norm(&state.network, sum.finish(), train.clip_norm);
        // Reading the norm waits for the device, which only a loss that is scaled makes necessary.
        let mut usable = true;
        if let (Some(scale), Some(norm)) = (&mut state.loss_scale, &norm) {
            let norm = norm.clone().try_into_data().context("the device failed")?;
            usable = norm.iter::<f32>().all(f32::is_finite);
            scale.update(usable)?;
        }
        state.step += 1;
        if usable {
            state.network = state.optimizer.step(rate, state.network.clone(), gradients);
            for average in &mut state.averages {
                average.update(&state.network, state.step);
            }
        }
        Ok(Stepped {
            loss,
            norm: norm.filter(|_| usable),
        })
    }

    /// The share of some images of a batch in its mean loss and in the gradient of that, the latter
    /// times `scale`.
    fn part(
        &self,
        network: &UNet,
        batch: &[usize],
        images: Range<usize>,
        step: u32,
        scale: f64,
    ) -> Result<(Tensor<1>, GradientsParams)> {
        let (seed, data) = (self.recipe.train.seed, self.dataset);
        let flips = if self.recipe.data.flip {
            flips(seed, step, batch.len())
        } else {
            vec![false; batch.len()]
        };
        let part = Part {
            seed,
            step,
            batch: batch.len(),
            images: images.clone(),
        };
        let chosen = &batch[images.clone()];
        let found = data.batch(chosen, &flips[images.clone()])?;
        let shape = [chosen.len(), data.channels, data.size, data.size];
        let x = Tensor::<4>::from_data(TensorData::new(found.values, shape), &self.device);
        let null = data.classes.len() as u32;
        let draw = self
            .objective
            .draw(&part, &found.labels, null, data.image_len());

        let denoiser = network.with_dropout(seed, step, images.start);
        let mut loss = self.objective.loss(&denoiser, x, draw);
        if images.len() < batch.len() {
            loss = loss * (images.len() as f64 / batch.len() as f64);
        }
        let scaled = match scale {
            1.0 => loss.clone(),
            _ => loss.clone() * scale,
        };
        let gradients = GradientsParams::from_grads(scaled.backward(), network);
        Ok((loss.inner(), gradients))
    }
}
