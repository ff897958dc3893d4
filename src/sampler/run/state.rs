//! The state of a run between two steps.

use burn::tensor::{ExecutionError, Tensor, TensorData, Transaction};
use thiserror::Error;

use super::super::at_rest::AtRest;
use super::Run;
use crate::denoiser::Denoiser;

/// The state of a run between two steps, as numbers. Any run of the same plan can continue from it, also on another device
/// or in another precision.
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
    /// Which images no longer change, and since when; empty where the plan has no tolerance.
    pub at_rest: Vec<f32>,
}

/// The state belongs to another plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the state belongs to another run: its number of images or their size differs")]
pub struct OtherState;

impl<D: Denoiser> Run<D> {
    /// The state of this run; `None` in the middle of a step.
    ///
    /// # Errors
    ///
    /// Where the device does not answer.
    pub async fn state(&self) -> Result<Option<RunState>, ExecutionError> {
        if self.predictor.is_some() || self.repetition > 0 {
            return Ok(None);
        }
        let average = self.guide.average();
        let of_rest = self.at_rest.as_ref().map(AtRest::state).unwrap_or_default();
        let all = [Some(&self.z), Some(&self.x), average].into_iter();
        let all = all.chain(of_rest).flatten().cloned();
        let reading = all.fold(Transaction::default(), Transaction::register);
        let read = reading.execute_async().await?;
        let mut parts = read.iter().map(|part| part.iter::<f32>().collect());
        let mut next = || parts.next().unwrap_or_default();
        Ok(Some(RunState {
            step: self.step,
            z: next(),
            x: next(),
            average: if average.is_some() {
                next()
            } else {
                Vec::new()
            },
            at_rest: [next(), next(), next()].concat(),
        }))
    }

    /// Continues from the state of another run of the same plan.
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
            && state.at_rest.is_empty() == self.at_rest.is_none()
            && (guided == 0 || guided == self.guide.guided());
        if !fits {
            return Err(OtherState);
        }
        let tensor = |values: &[f32]| {
            let shape = [values.len() / image, channels, height, width];
            Tensor::from_data(TensorData::new(values.to_vec(), shape), &self.device)
        };
        self.z = tensor(&state.z);
        self.guide
            .set_average((guided > 0).then(|| tensor(&state.average)));
        self.x = tensor(&state.x);
        if let Some(at_rest) = &mut self.at_rest
            && !at_rest.resume(&state.at_rest, &self.x)
        {
            return Err(OtherState);
        }
        self.step = state.step;
        self.repetition = 0;
        self.predictor = None;
        self.last = None;
        Ok(())
    }
}
