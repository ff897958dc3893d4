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
    /// A tensor whose values are no weights, or cannot be read.
    #[error("the weights hold tensor {name:?} {reason}")]
    Values {
        /// Its name.
        name: String,
        /// What is the matter with them.
        reason: String,
    },
}

/// Tensors by name. Values are read when they are asked for, so that a file is not in memory beside the network that is
/// made of it.
pub trait Tensors {
    /// The shape of a tensor, if it is there.
    fn dims(&self, name: &str) -> Option<Vec<usize>>;

    /// The values of a tensor that is there, row-major.
    ///
    /// # Errors
    ///
    /// [`LayerError::Values`], [`LayerError::Missing`].
    fn read(&self, name: &str) -> Result<Vec<f32>, LayerError>;

    /// Whether there is a tensor of that name.
    fn has(&self, name: &str) -> bool {
        self.dims(name).is_some()
    }

    /// The shape of a tensor of `D` dimensions.
    ///
    /// # Errors
    ///
    /// [`LayerError::Missing`], [`LayerError::Shape`] where it has more or fewer.
    fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D], LayerError> {
        let found = self.dims(name).ok_or_else(|| missing(name))?;
        found.try_into().map_err(|found| LayerError::Shape {
            name: name.to_owned(),
            found,
            expected: vec![1; D],
        })
    }

    /// The values of a tensor of that shape.
    ///
    /// # Errors
    ///
    /// [`LayerError`].
    fn values(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, LayerError> {
        let found = self.dims(name).ok_or_else(|| missing(name))?;
        if found != expected {
            return Err(LayerError::Shape {
                name: name.to_owned(),
                found,
                expected: expected.to_vec(),
            });
        }
        self.read(name)
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
        let values = self.values(name, &shape)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

fn missing(name: &str) -> LayerError {
    LayerError::Missing {
        name: name.to_owned(),
    }
}
