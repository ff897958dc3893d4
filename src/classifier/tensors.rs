//! Weights by name, from any source.

use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

/// Why weights do not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayerError {
    /// A tensor of the network is missing.
    #[error("the weights have no tensor {name:?}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor has the wrong shape.
    #[error("tensor {name:?} has the shape {found:?}, and the network needs {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape that it has.
        found: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// The values of a tensor are not weights, or cannot be read.
    #[error("the weights hold tensor {name:?} {reason}")]
    Values {
        /// Its name.
        name: String,
        /// What is wrong with them.
        reason: String,
    },
}

/// Tensors by name. Values are read on demand, so that a file need not be in memory beside its network.
pub trait Tensors {
    /// The shape of a tensor, if it exists.
    fn dims(&self, name: &str) -> Option<Vec<usize>>;

    /// The values of an existing tensor, row-major.
    ///
    /// # Errors
    ///
    /// [`LayerError::Values`], [`LayerError::Missing`].
    fn read(&self, name: &str) -> Result<Vec<f32>, LayerError>;

    /// Whether a tensor of this name exists.
    fn has(&self, name: &str) -> bool {
        self.dims(name).is_some()
    }

    /// The shape of a tensor of `D` dimensions.
    ///
    /// # Errors
    ///
    /// [`LayerError::Missing`], or [`LayerError::Shape`] if it has more or fewer.
    fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D], LayerError> {
        let found = self.dims(name).ok_or_else(|| missing(name))?;
        found.try_into().map_err(|found| LayerError::Shape {
            name: name.to_owned(),
            found,
            expected: vec![1; D],
        })
    }

    /// The values of a tensor, which must have this shape.
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

    /// A tensor on `device`, which must have this shape.
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
