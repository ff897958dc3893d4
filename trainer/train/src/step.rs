//! One step of Algorithm 1, or of a distillation: the gradient of a batch, computed in parts, and the update by the
//! optimiser.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use freeguide::network::UNet;
use freeguide::training::{Method, Objective, Part};

use freeguide::training::clip_global_norm;
use crate::distributed::Ranks;
use crate::precision::{GradientSum, working_copy};
use crate::prepare::{Prepared, Steps};
use crate::state::State;
use crate::teacher::Teacher;
use crate::window::Waits;
use freeguide_recipe::Recipe;

/// Takes training steps.
pub struct Stepper<'a> {
    recipe: &'a Recipe,
    ranks: &'a Ranks,
    stop: &'a AtomicBool,
    objective: Objective,
    teacher: Option<Teacher>,
    device: Device,
    steps: Steps,
    exchanging: Duration,
}

/// The results of a step, still on the device.
pub struct Stepped {
    /// The mean loss of the batch.
    pub loss: Tensor<1>,
    /// The norm of its gradient before clipping.
    pub norm: Option<Tensor<1>>,
    /// Whether the training is to stop after this step; the same on all ranks.
    pub stopping: bool,
}

impl<'a> Stepper<'a> {
    /// `device` is the one with gradients. `steps` start with the first step to take. With a `teacher`, the network
    /// learns its guided predictions instead of the data.
    pub fn new(
        recipe: &'a Recipe,
        teacher: Option<Teacher>,
        ranks: &'a Ranks,
        stop: &'a AtomicBool,
        device: Device,
        steps: Steps,
    ) -> Self {
        Self {
            recipe,
            ranks,
            stop,
            objective: recipe.objective(),
            teacher,
            device,
            steps,
            exchanging: Duration::ZERO,
        }
    }

    /// How long the steps so far have waited for data and for the other ranks.
    pub fn waits(&self) -> Waits {
        Waits {
            data: self.steps.waited(),
            ranks: (self.ranks.size() > 1).then_some(self.exchanging),
        }
    }

    /// Takes the next step with this learning rate.
    pub fn step(&mut self, state: &mut State, rate: f64) -> Result<Stepped> {
        let train = &self.recipe.train;
        let parts = self
            .steps
            .next()
            .context("there are no more steps to take")??;
        let network = working_copy(train.precision, &state.network);
        let scale = state.loss_scale.map_or(1.0, |scale| scale.factor);
        let mut sum = GradientSum::new(1.0 / scale);
        let mut losses = Vec::new();
        for part in parts {
            let mut lesson = self.lesson();
            // On a thread of the pool, so that none is woken and waited for at each of the many operations.
            let (loss, gradients) = rayon::scope(|_| lesson.part(&network, part, state, scale))?;
            sum.add(&network, gradients);
            losses.push(loss);
        }
        let mut loss = match losses.len() {
            1 => losses.remove(0),
            _ => Tensor::cat(losses, 0).sum(),
        };
        let mut gradients = sum.finish();
        let mut stopping = self.stop.load(Ordering::Relaxed);
        if self.ranks.size() > 1 {
            let own = loss.clone().try_into_data().context("the device failed")?;
            let own = own.iter::<f32>().sum();
            let (together, took) =
                self.ranks
                    .sum_step(&state.network, &gradients, own, stopping)?;
            self.exchanging += took;
            (gradients, stopping) = (together.gradients, together.stopping);
            loss = Tensor::from_floats([together.loss], &loss.device());
        }
        let (gradients, norm) = clip_global_norm(&state.network, gradients, train.clip_norm);
        // Reading the norm waits for the device, which only loss scaling makes necessary.
        let mut usable = true;
        if let (Some(scale), Some(norm)) = (&mut state.loss_scale, &norm) {
            let norm = norm.clone().try_into_data().context("the device failed")?;
            usable = norm.iter::<f32>().all(f32::is_finite);
            scale.update(usable)?;
        }
        state.step += 1;
        if usable {
            let State {
                network, optimizer, ..
            } = state;
            *network = rayon::scope(|_| optimizer.step(rate, network.clone(), gradients));
            for average in &mut state.averages {
                average.update(&state.network, state.step);
            }
        }
        Ok(Stepped {
            loss,
            norm: norm.filter(|_| usable),
            stopping,
        })
    }

    fn lesson(&mut self) -> Lesson<'_> {
        Lesson {
            recipe: self.recipe,
            objective: &self.objective,
            teacher: self.teacher.as_mut(),
            device: &self.device,
        }
    }
}

/// What a network learns, and where.
struct Lesson<'a> {
    recipe: &'a Recipe,
    objective: &'a Objective,
    teacher: Option<&'a mut Teacher>,
    device: &'a Device,
}

impl Lesson<'_> {
    /// The contribution of some images of a batch to its mean loss and to the gradient, the latter times `scale`.
    fn part(
        &mut self,
        network: &UNet,
        part: Prepared,
        state: &State,
        scale: f64,
    ) -> Result<(Tensor<1>, GradientsParams)> {
        let step = state.step as u32;
        let (seed, batch) = (self.recipe.train.seed, self.recipe.train.batch);
        let data = &self.recipe.data;
        let (size, channels) = (data.size as usize, data.channels as usize);
        let Prepared {
            images,
            values,
            draw,
        } = part;
        let values = TensorData::new(values, [images.len(), channels, size, size]);
        let denoiser = network.with_dropout(seed, step, images.start);
        let mut loss = match &mut self.teacher {
            None => {
                let x = Tensor::from_data(values, self.device);
                self.objective.loss(&denoiser, x, draw)
            }
            Some(teacher) => {
                let device = self.device.clone().inner();
                let objective = self.objective;
                match objective.jumps.map(|jumps| jumps.method) {
                    None => {
                        let x = Tensor::from_data(values.clone(), &device);
                        let lesson = objective.lesson(&teacher.network, x, &draw);
                        let [x, lesson] = self.with_gradients([values, there(lesson)?]);
                        objective.distillation_loss(&denoiser, x, &draw, lesson)
                    }
                    Some(Method::Trajectories) => {
                        let part = Part {
                            seed,
                            step,
                            batch,
                            images: images.clone(),
                        };
                        let ways =
                            teacher.ways(objective, &part, &draw, [channels, size, size], &device);
                        let shape = [images.len(), channels, size, size];
                        objective.trajectory_loss(&denoiser, &ways, shape, self.device)
                    }
                    Some(_) => {
                        let x = Tensor::from_data(values.clone(), &device);
                        let networks = (&teacher.network, &state.average());
                        let lesson = objective.landing_lesson(networks, x, &draw);
                        let [x, lesson] = self.with_gradients([values, there(lesson)?]);
                        objective.flow_map_loss(&denoiser, x, &draw, lesson)
                    }
                }
            }
        };
        if images.len() < batch {
            loss = loss * (images.len() as f64 / batch as f64);
        }
        let scaled = match scale {
            1.0 => loss.clone(),
            _ => loss.clone() * scale,
        };
        let gradients = GradientsParams::from_grads(scaled.backward(), network);
        Ok((loss.inner(), gradients))
    }

    fn with_gradients(&self, data: [TensorData; 2]) -> [Tensor<4>; 2] {
        data.map(|data| Tensor::from_data(data, self.device))
    }
}

fn there(tensor: Tensor<4>) -> Result<TensorData> {
    tensor.try_into_data().context("the device failed")
}
