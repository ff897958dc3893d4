//! What a run has come to, between two steps.

use burn::tensor::{ExecutionError, Tensor, TensorData, Transaction};
use thiserror::Error;

use super::Run;
use crate::denoiser::Denoiser;
use crate::sampler::Before;

/// All that a run has come to between two steps, as numbers: any run of the same plan goes on from it, on another device
/// or in another precision too.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// Steps taken.
    pub step: usize,
    /// The latents that the next step starts from, of all images.
    pub z: Vec<f32>,
    /// x̃ of the last step taken, as `z`.
    pub x: Vec<f32>,
    /// The momentum's memory of adaptive projected guidance, of the images that are guided; empty where there is none.
    pub average: Vec<f32>,
}

/// A state of another plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is not the state of such a run")]
pub struct OtherState;

impl<D: Denoiser> Run<D> {
    /// What this run has come to; `None` in the middle of a step.
    ///
    /// # Errors
    ///
    /// Where the device does not answer.
    pub async fn state(&self) -> Result<Option<RunState>, ExecutionError> {
        if self.trial.is_some() {
            return Ok(None);
        }
        let all = [Some(&self.z), Some(&self.x), self.guide.average()];
        let all = all.into_iter().flatten().cloned();
        let reading = all.fold(Transaction::default(), Transaction::register);
        let read = reading.execute_async().await?;
        let mut parts = read.iter().map(|part| part.iter::<f32>().collect());
        let mut next = || parts.next().unwrap_or_default();
        Ok(Some(RunState {
            step: self.step,
            z: next(),
            x: next(),
            average: next(),
        }))
    }

    /// Goes on from the state of another run of the same plan.
    ///
    /// # Errors
    ///
    /// [`OtherState`] where it is of another number of images, or of images of another size.
    pub fn resume(&mut self, state: &RunState) -> Result<(), OtherState> {
        let [channels, height, width] = self.shape;
        let image = channels * height * width;
        let (images, guided) = (self.images.len(), state.average.len() / image);
        let fits = state.step <= self.levels.len()
            && [&state.z, &state.x].map(Vec::len) == [images * image; 2]
            && state.average.len() == guided * image
            && (guided == 0 || guided == self.guide.guided());
        if !fits {
            return Err(OtherState);
        }
        let tensor = |values: &[f32]| {
            let shape = [values.len() / image, channels, height, width];
            Tensor::from_data(TensorData::new(values.to_vec(), shape), &self.device)
        };
        let x = tensor(&state.x);
        // The solver of second order looks back at the last step.
        let last = state.step.checked_sub(1);
        let level = last.and_then(|last| self.levels.get(last));
        self.before = level.map(|&level| Before {
            x: x.clone(),
            level,
        });
        self.z = tensor(&state.z);
        self.guide
            .set_average((guided > 0).then(|| tensor(&state.average)));
        self.x = x;
        self.step = state.step;
        self.trial = None;
        self.seen = None;
        Ok(())
    }
}
