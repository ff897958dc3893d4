//! One sampling, step by step.

use burn::tensor::{Tensor, TensorData, Transaction};
use freeguide::pixels::to_rgba;
use freeguide::sampler::{self, Evaluation, RunState};
use serde_json::json;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device::Device;
use crate::error::Failure;
use crate::network::Drawing;

/// The state of one sampling.
#[wasm_bindgen]
pub struct Run {
    inner: sampler::Run<Drawing>,
    shape: [usize; 3],
    images: usize,
    device: Device,
    /// Between [`Run::divide`] and [`Run::join`]: the rows that are computed here, then their answer.
    own: Option<Own>,
    /// Whether the network's answers were finite numbers up to a step, as read with its images.
    finite: Option<(usize, bool)>,
}

enum Own {
    Rows(Evaluation),
    Answer(Tensor<4>),
}

/// Rows of one evaluation for another instance to compute.
#[wasm_bindgen]
pub struct Part {
    z: Vec<f32>,
    log_snr: f64,
    classes: Vec<u32>,
    joints: Option<String>,
    guidance: Option<Vec<f64>>,
    next_log_snr: Option<f64>,
}

#[wasm_bindgen]
impl Part {
    /// The rows' latents, row after row.
    #[wasm_bindgen(getter)]
    pub fn z(&self) -> Vec<f32> {
        self.z.clone()
    }

    /// λ of all rows.
    #[wasm_bindgen(getter, js_name = logSnr)]
    pub fn log_snr(&self) -> f64 {
        self.log_snr
    }

    /// The class id of each row.
    #[wasm_bindgen(getter)]
    pub fn classes(&self) -> Vec<u32> {
        self.classes.clone()
    }

    /// The attributes and the number of each row as JSON, of a network that takes them.
    #[wasm_bindgen(getter)]
    pub fn joints(&self) -> Option<String> {
        self.joints.clone()
    }

    /// w of each row, of a network that takes it as an input.
    #[wasm_bindgen(getter)]
    pub fn guidance(&self) -> Option<Vec<f64>> {
        self.guidance.clone()
    }

    /// λ that the step leads to, of a network that takes it as an input.
    #[wasm_bindgen(getter, js_name = nextLogSnr)]
    pub fn next_log_snr(&self) -> Option<f64> {
        self.next_log_snr
    }
}

impl Part {
    fn new(rows: Evaluation) -> Result<Self, Failure> {
        Ok(Self {
            z: values(rows.z)?,
            log_snr: rows.level.0,
            classes: rows.classes,
            joints: rows.joints.map(|joints| json!(joints).to_string()),
            guidance: rows.guidance,
            next_log_snr: rows.next.map(|next| next.0),
        })
    }
}

impl Run {
    pub(crate) fn new(inner: sampler::Run<Drawing>, shape: [usize; 3], device: Device) -> Self {
        let [images, ..] = inner.latent().dims();
        Self {
            inner,
            shape,
            images,
            device,
            own: None,
            finite: None,
        }
    }
}

#[wasm_bindgen]
impl Run {
    /// Steps in all.
    #[wasm_bindgen(getter)]
    pub fn steps(&self) -> usize {
        self.inner.steps()
    }

    /// Steps taken.
    #[wasm_bindgen(getter)]
    pub fn step(&self) -> usize {
        self.inner.step()
    }

    /// Network evaluations of the whole run, for the image that needs most.
    #[wasm_bindgen(getter)]
    pub fn nfe(&self) -> usize {
        (0..self.images)
            .map(|image| self.inner.evaluations(image))
            .max()
            .unwrap_or(0)
    }

    /// Takes one step. On WebGPU this resolves when its work is queued, not when it is done.
    ///
    /// # Errors
    ///
    /// Code `device`.
    pub async fn advance(&mut self) -> Result<(), Failure> {
        self.inner.advance();
        self.device.burn().flush().map_err(Failure::device)
    }

    /// Ends the run if none of its images changes any more, where the request has a tolerance. Waits for the device.
    ///
    /// # Errors
    ///
    /// Code `device`, where the device does not answer.
    pub async fn settle(&mut self) -> Result<(), Failure> {
        let Some(at_rest) = self.inner.at_rest() else {
            return Ok(());
        };
        let data = at_rest.into_data_async().await.map_err(Failure::device)?;
        if data.iter::<f32>().all(|rests| rests == 1.0) {
            self.inner.stop();
        }
        Ok(())
    }

    /// Rows of the next evaluation, 0 after the last.
    #[wasm_bindgen(getter)]
    pub fn rows(&self) -> usize {
        self.inner.evaluation().map_or(0, |e| e.classes.len())
    }

    /// Makes the next evaluation here, of all its rows; says whether that completes a step, or the
    /// run was done. On the CPU build, where it takes its time.
    pub fn evaluate(&mut self) -> bool {
        let Some(evaluation) = self.inner.evaluation() else {
            return true;
        };
        let answer = evaluation.predict(self.inner.denoiser());
        self.inner.accept(answer)
    }

    /// Divides the rows of the next evaluation into so many parts of about the same size, at most one for each row. The
    /// first is computed here; the others, which are returned, are for other instances, whose `Model.predict` answers them.
    /// None is returned where there is only one part. [`compute`](Self::compute) and [`join`](Self::join) follow. On the
    /// CPU build; a GPU has nobody to share with.
    ///
    /// # Errors
    ///
    /// Code `device`.
    pub fn divide(&mut self, parts: usize) -> Result<Vec<Part>, Failure> {
        let Some(evaluation) = self.inner.evaluation() else {
            return Ok(Vec::new());
        };
        let mut left = evaluation.classes.len();
        let parts = parts.min(left);
        if parts < 2 {
            return Ok(Vec::new());
        }
        let mut take = |parts: usize, from: Evaluation| {
            let size = left.div_ceil(parts);
            left -= size;
            from.split(size)
        };
        let (own, mut rest) = take(parts, evaluation);
        let mut others = Vec::with_capacity(parts - 1);
        for parts in (2..parts).rev() {
            let (part, after) = take(parts, rest);
            others.push(Part::new(part)?);
            rest = after;
        }
        others.push(Part::new(rest)?);
        self.own = Some(Own::Rows(own));
        Ok(others)
    }

    /// Computes the rows that [`divide`](Self::divide) left here.
    pub fn compute(&mut self) {
        if let Some(Own::Rows(rows)) = self.own.take() {
            self.own = Some(Own::Answer(rows.predict(self.inner.denoiser())));
        }
    }

    /// Continues with the answers to the other parts, one after another; says whether that completes a step.
    ///
    /// # Errors
    ///
    /// Code `input`, where that is not as many values as were asked for.
    pub fn join(&mut self, answer: &[f32]) -> Result<bool, Failure> {
        let Some(Own::Answer(own)) = self.own.take() else {
            return Err(Failure::input(
                "there is nothing to join: divide and compute come first",
            ));
        };
        let [own_rows, channels, height, width] = own.dims();
        let rows = self.rows() - own_rows;
        let other = tensor(answer, [rows, channels, height, width], &own.device())?;
        Ok(self.inner.accept(Tensor::cat(vec![own, other], 0)))
    }

    /// What this run has come to, for [`Model::resume`](crate::Model::resume): the values of z, of x̃ and of guidance's
    /// memory where it has one, and of what is at rest; none in the middle of a step.
    ///
    /// # Errors
    ///
    /// Code `device`, where the device does not answer.
    pub async fn state(&self) -> Result<Vec<f32>, Failure> {
        let state = self.inner.state().await.map_err(Failure::device)?;
        Ok(state.map_or(Vec::new(), |state| {
            [state.z, state.x, state.average, state.at_rest].concat()
        }))
    }

    /// RGBA bytes, image after image, row by row, of `"denoised"` (x̃, after the last step the
    /// result) or `"latent"` (z).
    ///
    /// # Errors
    ///
    /// Code `input` for another `kind`; code `device` where the device does not answer.
    pub async fn images(&mut self, kind: &str) -> Result<Vec<u8>, Failure> {
        let tensor = match kind {
            "denoised" => self.inner.denoised(),
            "latent" => self.inner.latent(),
            other => {
                return Err(Failure::input(format!(
                    "there are \"denoised\" and \"latent\" images, not {other:?}"
                )));
            }
        };
        let step = self.inner.step();
        let Some(overflow) = overflow(&self.inner) else {
            return self.pixels(tensor).await;
        };
        // Both at once, as a device that answers has nothing else to do meanwhile.
        let reading = Transaction::default().register(tensor).register(overflow);
        let read = reading.execute_async().await.map_err(Failure::device)?;
        let mut read = read
            .iter()
            .map(|data| data.iter::<f32>().collect::<Vec<f32>>());
        let (values, overflow) = (read.next().unwrap_or_default(), read.next());
        self.finite = overflow.map(|number| (step, number.iter().all(|&n| n == 0.0)));
        Ok(to_rgba(&values, self.shape))
    }

    /// Of a model in f16: whether the network's answers have been finite numbers so far. Waits for the device.
    ///
    /// # Errors
    ///
    /// Code `device`, where the device does not answer.
    #[wasm_bindgen(js_name = isFinite)]
    pub async fn is_finite(&self) -> Result<bool, Failure> {
        if let Some((step, finite)) = self.finite
            && step == self.inner.step()
        {
            return Ok(finite);
        }
        let Some(overflow) = overflow(&self.inner) else {
            return Ok(true);
        };
        let data = overflow.into_data_async().await.map_err(Failure::device)?;
        Ok(data.iter::<f32>().all(|number| number == 0.0))
    }

    /// RGBA bytes of x̃(c) and x̃(∅) of the last step taken: first the conditional estimates of all
    /// images, then the unconditional ones. Pictures of estimates that were not needed, and so were
    /// not made, are transparent, zero in every byte.
    ///
    /// # Errors
    ///
    /// Code `device`.
    pub async fn branches(&self) -> Result<Vec<u8>, Failure> {
        let (mut made, mut positions) = (Vec::new(), Vec::new());
        for (image, estimates) in self.inner.branches().into_iter().enumerate() {
            let both = [
                (image, estimates.conditional),
                (self.images + image, estimates.unconditional),
            ];
            for (picture, estimate) in both {
                if let Some(estimate) = estimate {
                    positions.push(picture);
                    made.push(estimate);
                }
            }
        }
        let [_, height, width] = self.shape;
        let bytes = height * width * 4;
        let mut out = vec![0; 2 * self.images * bytes];
        if made.is_empty() {
            return Ok(out);
        }
        let pixels = self.pixels(Tensor::cat(made, 0)).await?;
        for (picture, position) in pixels.chunks_exact(bytes).zip(positions) {
            out[position * bytes..(position + 1) * bytes].copy_from_slice(picture);
        }
        Ok(out)
    }
}

impl Run {
    /// Continues from `state`, after `step` steps.
    pub(crate) fn resume(&mut self, step: usize, state: &[f32]) -> Result<(), Failure> {
        let [channels, height, width] = self.shape;
        let whole = self.images * channels * height * width;
        // Guidance's memory is of as many images as are guided, and comes before what is known of images at rest.
        let of_rest = match self.inner.at_rest() {
            Some(_) if step > 0 => 2 * self.images + whole,
            Some(_) => 2 * self.images,
            None => 0,
        };
        let end = state.len().saturating_sub(of_rest);
        let part = |from: usize, to: usize| state.get(from..to).unwrap_or_default().to_vec();
        let state = RunState {
            step,
            z: part(0, whole),
            x: part(whole, 2 * whole),
            average: part(2 * whole, end),
            at_rest: part(end, state.len()),
        };
        self.inner.resume(&state).map_err(Failure::input)
    }

    async fn pixels(&self, values: Tensor<4>) -> Result<Vec<u8>, Failure> {
        let data = values.into_data_async().await.map_err(Failure::device)?;
        let values: Vec<f32> = data.iter::<f32>().collect();
        Ok(to_rgba(&values, self.shape))
    }
}

/// One number, which is not 0 once an answer was not a finite number; `None` of a network that does not look.
#[cfg(not(all(feature = "webgpu", not(feature = "compiled-network"))))]
fn overflow(_: &sampler::Run<Drawing>) -> Option<Tensor<1>> {
    None
}

/// One number, which is not 0 once an answer was not a finite number; `None` of a network that does not look.
#[cfg(all(feature = "webgpu", not(feature = "compiled-network")))]
fn overflow(run: &sampler::Run<Drawing>) -> Option<Tensor<1>> {
    let own = run.denoiser().overflow();
    Some(match run.guide_denoiser() {
        Some(guide) => own + guide.overflow(),
        None => own,
    })
}

/// What a tensor holds; on the CPU, which answers at once.
pub(crate) fn values(tensor: Tensor<4>) -> Result<Vec<f32>, Failure> {
    let data = tensor.try_into_data().map_err(Failure::device)?;
    Ok(data.iter::<f32>().collect())
}

/// A tensor of these values, as many as its shape takes.
pub(crate) fn tensor(
    values: &[f32],
    shape: [usize; 4],
    device: &burn::tensor::Device,
) -> Result<Tensor<4>, Failure> {
    let wanted: usize = shape.iter().product();
    if values.len() != wanted {
        let found = values.len();
        return Err(Failure::input(format!(
            "{found} values came where {wanted} were wanted"
        )));
    }
    Ok(Tensor::from_data(
        TensorData::new(values.to_vec(), shape),
        device,
    ))
}
