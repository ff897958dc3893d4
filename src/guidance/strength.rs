//! The strengths w of a batch.

use burn::tensor::{Device, Tensor, TensorData};

/// w of every image of a batch, kept as one number where they are all alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Strength(Vec<f64>);

impl Strength {
    /// One w an image.
    pub fn new(each: Vec<f64>) -> Self {
        Self(each)
    }

    /// w of each image.
    pub fn each(&self) -> &[f64] {
        &self.0
    }

    /// The images' values times `factor(w)` of their own w.
    ///
    /// # Shapes
    ///
    /// `values` and the result: `[images, channels, height, width]`.
    pub fn times(&self, values: Tensor<4>, factor: impl Fn(f64) -> f64) -> Tensor<4> {
        match self.0.first() {
            Some(&first) if self.0.iter().all(|&w| w == first) => values * factor(first),
            _ => {
                let device: Device = values.device();
                let factors: Vec<f32> = self.0.iter().map(|&w| factor(w) as f32).collect();
                let shape = [factors.len(), 1, 1, 1];
                values * Tensor::<4>::from_data(TensorData::new(factors, shape), &device)
            }
        }
    }
}
