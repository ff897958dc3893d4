//! Weights by name, whatever file they are in.

use std::cell::RefCell;
use std::io::{BufReader, Read, Seek};

use freeguide::classifier::{LayerError, Tensors};

use freeguide_readers::weights::{self, WeightsError};

/// Something to read from.
trait Source: Read + Seek {}

impl<R: Read + Seek> Source for R {}

/// The tensors of a safetensors file or of PyTorch's, of which each is read when it is asked for.
pub struct Weights(RefCell<weights::Weights<BufReader<Box<dyn Source>>>>);

impl Weights {
    /// Reads what a file says of its tensors.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub fn read(file: impl Read + Seek + 'static) -> Result<Self, WeightsError> {
        let file: Box<dyn Source> = Box::new(file);
        let weights = weights::Weights::read(BufReader::new(file))?;
        Ok(Self(RefCell::new(weights)))
    }

    /// What a safetensors file says of itself under `key`.
    ///
    /// # Errors
    ///
    /// Where that is no text.
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
