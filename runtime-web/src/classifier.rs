//! A classifier, for pages that measure what their visitors draw.

use burn::tensor::Tensor;
use freeguide::classifier;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device::Device;
use crate::error::Failure;

/// A classifier that `freeguide classifier` has trained.
#[wasm_bindgen]
pub struct Classifier {
    inner: classifier::Classifier,
}

#[wasm_bindgen]
impl Classifier {
    /// Reads the bytes of its file.
    ///
    /// # Errors
    ///
    /// Code `bundle`, where the file is damaged or another one.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: &[u8], device: &Device) -> Result<Classifier, Failure> {
        let inner = classifier::Classifier::read(bytes, device.burn())?;
        Ok(Self { inner })
    }

    /// What it says of itself, as JSON.
    ///
    /// # Errors
    ///
    /// None in practice: its fields are text and finite numbers.
    #[wasm_bindgen(getter)]
    pub fn description(&self) -> Result<String, Failure> {
        serde_json::to_string(self.inner.description()).map_err(Failure::input)
    }

    /// For each image of `side` by `side` pixels, RGBA8, its features and then its class probabilities. Images of another
    /// size than the classifier's are resized.
    ///
    /// # Errors
    ///
    /// Code `input`, where these are no images of that size; code `device` where the
    /// device does not answer.
    pub async fn classify(&self, pixels: &[u8], side: usize) -> Result<Vec<f32>, Failure> {
        let (features, probabilities) = self.inner.classify(pixels, side, 4)?;
        let both = Tensor::cat(vec![features, probabilities], 1);
        let data = both.into_data_async().await.map_err(Failure::device)?;
        Ok(data.iter::<f32>().collect())
    }
}
