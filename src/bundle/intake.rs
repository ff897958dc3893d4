//! Tensors on their way from a file to the device.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::BundleError;
use super::quantized::{SCALE_SUFFIX, Scales};
use super::safetensors::{ReadTensor, Sink, Values};

/// What a tensor that arrives is checked against, and where it goes.
pub(super) struct Intake<'a> {
    /// The file that it came in.
    pub(super) file: &'a str,
    /// Class names of the bundle.
    pub(super) classes: usize,
    /// The network's tensors and their shapes.
    pub(super) expected: &'a HashMap<String, Vec<usize>>,
    /// What has come so far.
    pub(super) loaded: &'a mut BTreeMap<String, Tensor<1>>,
    /// The scales of 8-bit tensors that are still to come.
    pub(super) scales: &'a mut Scales,
    pub(super) device: &'a Device,
    /// Whether what the file has in f16 stays so.
    pub(super) keep_half: bool,
}

impl Sink for Intake<'_> {
    /// Checks what a file says of a tensor against the network.
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
        // The commonest misfit has a plainer name: a class too many or too few.
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

    /// Sends a tensor to the device, or keeps the scale of one that is to come.
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
    /// The tensor of the network that `name` is the scale of, and its shape.
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
