//! Weights by name, wherever they come from.

use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

/// Why weights do not make a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayerError {
    /// A tensor that the network needs is not there.
    #[error("the weights have no tensor {name:?}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor of another shape.
    #[error("tensor {name:?} has the shape {found:?}, and the network needs {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape that it has.
        found: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
}

/// Tensors in f32 by name.
pub trait Tensors {
    /// Shape and values, row-major.
    fn get(&self, name: &str) -> Option<(&[usize], &[f32])>;

    /// Whether there is a tensor of that name.
    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The shape of a tensor of `D` dimensions.
    ///
    /// # Errors
    ///
    /// [`LayerError::Missing`], [`LayerError::Shape`] where it has more or fewer.
    fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D], LayerError> {
        let (shape, _) = self.need(name)?;
        shape.try_into().map_err(|_| LayerError::Shape {
            name: name.to_owned(),
            found: shape.to_vec(),
            expected: vec![1; D],
        })
    }

    /// Shape and values.
    ///
    /// # Errors
    ///
    /// [`LayerError::Missing`].
    fn need(&self, name: &str) -> Result<(&[usize], &[f32]), LayerError> {
        self.get(name).ok_or_else(|| LayerError::Missing {
            name: name.to_owned(),
        })
    }

    /// The values of a tensor of that shape.
    ///
    /// # Errors
    ///
    /// [`LayerError`].
    fn values(&self, name: &str, expected: &[usize]) -> Result<&[f32], LayerError> {
        let (shape, values) = self.need(name)?;
        if shape != expected {
            return Err(LayerError::Shape {
                name: name.to_owned(),
                found: shape.to_vec(),
                expected: expected.to_vec(),
            });
        }
        Ok(values)
    }

    /// A tensor of that shape on `device`.
    ///
    /// # Errors
    ///
    /// [`LayerError`].
    fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, LayerError> {
        let values = self.values(name, &shape)?.to_vec();
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}
