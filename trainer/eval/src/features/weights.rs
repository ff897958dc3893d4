//! Weights by name, whatever file they are in.

use std::cell::RefCell;
use std::io::{BufReader, Read, Seek};

use freeguide::classifier::{LayerError, Tensors};

use freeguide_readers::weights::{self, WeightsError};

/// A reader of weights.
trait Source: Read + Seek {}

impl<R: Read + Seek> Source for R {}

/// The tensors of a safetensors file or a PyTorch checkpoint. Each is read when it is requested.
pub struct Weights(RefCell<weights::Weights<BufReader<Box<dyn Source>>>>);

impl Weights {
    /// Reads the descriptions of a file's tensors.
    ///
    /// # Errors
    ///
    /// If the file is not valid.
    pub fn read(file: impl Read + Seek + 'static) -> Result<Self, WeightsError> {
        let file: Box<dyn Source> = Box::new(file);
        let weights = weights::Weights::read(BufReader::new(file))?;
        Ok(Self(RefCell::new(weights)))
    }

    /// The metadata of a safetensors file under `key`.
    ///
    /// # Errors
    ///
    /// If the metadata is not a string.
    pub fn text(&self, key: &str) -> Result<Option<String>, WeightsError> {
        self.0.borrow_mut().text(key)
    }
}

impl Tensors for Weights {
    fn dims(&self, name: &str) -> Option<Vec<usize>> {
        self.0.borrow().dims(name)
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, LayerError> {
        let read = self.0.borrow_mut().values(name);
        let values = read.map_err(|e| LayerError::Values {
            name: name.to_owned(),
            reason: match e {
                WeightsError::Tensor { problem, .. } => problem,
                other => format!("that cannot be read: the file {other}"),
            },
        });
        Ok(values?.values)
    }
}
