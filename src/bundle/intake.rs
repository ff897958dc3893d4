//! The tensors of a file: checked against the network and copied to the device.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::BundleError;
use super::quantized::{SCALE_SUFFIX, Scales};
use super::safetensors::{ReadTensor, Sink, Values};

/// The destination of the tensors of a file, and what they are checked against.
pub(super) struct Intake<'a> {
    /// The file's name.
    pub(super) file: &'a str,
    /// The number of class names of the bundle.
    pub(super) classes: usize,
    /// The network's tensors and their shapes.
    pub(super) expected: &'a HashMap<String, Vec<usize>>,
    /// The tensors loaded so far.
    pub(super) loaded: &'a mut BTreeMap<String, Tensor<1>>,
    /// The scales of 8-bit tensors that follow in the file.
    pub(super) scales: &'a mut Scales,
    pub(super) device: &'a Device,
    /// Whether tensors in f16 stay in f16.
    pub(super) keep_half: bool,
}

impl Sink for Intake<'_> {
    /// Checks a tensor of the file's header against the network.
    fn expects(&self, name: &str, shape: &[usize]) -> Result<(), BundleError> {
        if self.loaded.contains_key(name) {
            return Err(self.duplicate(name));
        }
        let Some(wanted) = self.expected.get(name) else {
            let Some((tensor, wanted)) = self.scaled(name) else {
                return Err(self.unknown(name));
            };
            return match self.scales.check(tensor, wanted, shape)? {
                true => Ok(()),
                false => Err(self.duplicate(name)),
            };
        };
        if wanted == shape {
            return Ok(());
        }
        // The commonest mismatch, the number of classes, has an error of its own.
        if name == "conditioning.class.weight" && shape.len() == 2 && shape[1] == wanted[1] {
            return Err(BundleError::ClassCount {
                named: self.classes,
                trained: shape[0].saturating_sub(1),
            });
        }
        Err(BundleError::Shape {
            tensor: name.to_owned(),
            expected: wanted.clone(),
            found: shape.to_vec(),
        })
    }

    /// Copies a tensor to the device, or keeps the scale of one that follows.
    fn accept(&mut self, tensor: ReadTensor) -> Result<(), BundleError> {
        let ReadTensor {
            name,
            shape,
            values,
            half,
        } = tensor;
        if !self.expected.contains_key(&name) {
            return match (self.scaled(&name), values) {
                (Some((tensor, _)), Values::Floats(values)) => {
                    self.scales.add(tensor, shape, values);
                    Ok(())
                }
                _ => Err(self.unknown(&name)),
            };
        }
        let values = match values {
            Values::Floats(floats) => floats,
            Values::Integers(integers) => self.scales.apply(&name, &shape, &integers)?,
        };
        let count = values.len();
        let dtype = match half && self.keep_half {
            true => DType::F16,
            false => DType::F32,
        };
        let tensor = Tensor::from_data(TensorData::new(values, [count]), (self.device, dtype));
        self.loaded.insert(name, tensor);
        Ok(())
    }
}

impl<'a> Intake<'a> {
    /// The name and the shape of the network's tensor whose scale is called `name`.
    fn scaled(&self, name: &str) -> Option<(&'a String, &'a Vec<usize>)> {
        let tensor = name.strip_suffix(SCALE_SUFFIX)?;
        self.expected.get_key_value(tensor)
    }

    fn unknown(&self, tensor: &str) -> BundleError {
        BundleError::UnknownTensor {
            file: self.file.to_owned(),
            tensor: tensor.to_owned(),
        }
    }

    fn duplicate(&self, tensor: &str) -> BundleError {
        BundleError::DuplicateTensor {
            file: self.file.to_owned(),
            tensor: tensor.to_owned(),
        }
    }
}
