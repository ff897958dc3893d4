//! The average of a classifier's weights over its last steps, which is what is kept.

use freeguide::classifier::{LayerError, Tensors};
use half::f16;

use super::network::NamedTensor;

/// The decay per step after the first steps.
const DECAY: f32 = 0.995;

/// An exponential moving average of weights and running statistics.
pub struct Average {
    tensors: Vec<NamedTensor>,
    steps: u32,
}

impl Average {
    /// An average that starts from these weights.
    pub fn new(tensors: Vec<NamedTensor>) -> Self {
        Self { tensors, steps: 0 }
    }

    /// Updates the average with the weights after a step. The decay is smaller in the first steps.
    pub fn add(&mut self, tensors: Vec<NamedTensor>) {
        self.steps += 1;
        let steps = self.steps as f32;
        let decay = DECAY.min((1.0 + steps) / (10.0 + steps));
        for (mean, new) in self.tensors.iter_mut().zip(tensors) {
            for (mean, new) in mean.values.iter_mut().zip(new.values) {
                *mean += (1.0 - decay) * (new - *mean);
            }
        }
    }

    /// The average in 16 bits, as written to the file.
    pub fn finish(mut self) -> Finished {
        for tensor in &mut self.tensors {
            for value in &mut tensor.values {
                *value = f16::from_f32(*value).to_f32();
            }
        }
        Finished(self.tensors)
    }
}

/// Rounds weights to values that 16 bits represent exactly.
pub struct Finished(pub Vec<NamedTensor>);

impl Tensors for Finished {
    fn dims(&self, name: &str) -> Option<Vec<usize>> {
        let tensor = self.0.iter().find(|tensor| tensor.name == name)?;
        Some(tensor.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, LayerError> {
        let found = self.0.iter().find(|tensor| tensor.name == name);
        let tensor = found.ok_or_else(|| LayerError::Missing {
            name: name.to_owned(),
        })?;
        Ok(tensor.values.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: f32) -> Vec<NamedTensor> {
        vec![NamedTensor {
            name: "a".to_owned(),
            shape: vec![1],
            values: vec![value],
        }]
    }

    #[test]
    fn the_average_follows_the_weights_and_forgets_where_it_began() {
        let mut average = Average::new(one(100.0));
        (0..2000).for_each(|_| average.add(one(1.0)));
        average.add(one(2.0));
        let kept = average.finish();
        let values = kept.read("a").unwrap();
        assert!((values[0] - 1.005).abs() < 1e-3, "{values:?}");
        assert!(!kept.has("b"));
    }
}
