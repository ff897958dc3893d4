//! One sampling, step by step.

use burn::tensor::Tensor;
use freeguide::network::UNet;
use freeguide::pixels::to_rgba;
use freeguide::sampler;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device::Device;
use crate::error::Failure;

/// The state of one sampling.
#[wasm_bindgen]
pub struct Run {
    inner: sampler::Run<UNet>,
    shape: [usize; 3],
    images: usize,
    device: Device,
}

impl Run {
    pub(crate) fn new(inner: sampler::Run<UNet>, shape: [usize; 3], device: Device) -> Self {
        let [images, ..] = inner.latent().dims();
        Self {
            inner,
            shape,
            images,
            device,
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

    /// RGBA bytes, image after image, row by row, of `"denoised"` (x̃, after the last step the
    /// result) or `"latent"` (z).
    ///
    /// # Errors
    ///
    /// Code `input` for another `kind`; code `device` where the device does not answer.
    pub async fn images(&self, kind: &str) -> Result<Vec<u8>, Failure> {
        let tensor = match kind {
            "denoised" => self.inner.denoised(),
            "latent" => self.inner.latent(),
            other => {
                return Err(Failure::input(format!(
                    "there are \"denoised\" and \"latent\" images, not {other:?}"
                )));
            }
        };
        self.pixels(tensor).await
    }

    /// RGBA bytes of x̃(c) and x̃(∅) of the last step taken: first the conditional estimates of all
    /// images, then the unconditional ones. Pictures of estimates that were not needed, and so were
    /// not made, are transparent, zero in every byte.
    ///
    /// # Errors
    ///
    /// Code `device`.
    pub async fn sides(&self) -> Result<Vec<u8>, Failure> {
        let (mut made, mut places) = (Vec::new(), Vec::new());
        for (image, sides) in self.inner.sides().into_iter().enumerate() {
            let both = [
                (image, sides.conditional),
                (self.images + image, sides.unconditional),
            ];
            for (place, side) in both {
                if let Some(side) = side {
                    places.push(place);
                    made.push(side);
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
        for (picture, place) in pixels.chunks_exact(bytes).zip(places) {
            out[place * bytes..(place + 1) * bytes].copy_from_slice(picture);
        }
        Ok(out)
    }
}

impl Run {
    async fn pixels(&self, values: Tensor<4>) -> Result<Vec<u8>, Failure> {
        let data = values.into_data_async().await.map_err(Failure::device)?;
        let values: Vec<f32> = data.iter::<f32>().collect();
        Ok(to_rgba(&values, self.shape))
    }
}
