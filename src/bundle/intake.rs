//! Tensors on their way from a file to the device.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::BundleError;
use super::quantized::{SCALE_SUFFIX, Scales};
use super::safetensors::{ReadTensor, Values};

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

impl Intake<'_> {
    /// Checks a tensor against the network and sends it to the device.
    pub(super) fn accept(&mut self, tensor: ReadTensor) -> Result<(), BundleError> {
        let ReadTensor {
            name,
            shape,
            values,
            half,
        } = tensor;
        if self.loaded.contains_key(&name) {
            return Err(self.duplicate(name));
        }
        let Some(wanted) = self.expected.get(&name) else {
            return self.accept_scale(name, shape, values);
        };
        if *wanted != shape {
            // The commonest misfit has a plainer name: a class too many or too few.
            if name == "conditioning.class.weight" && shape.len() == 2 && shape[1] == wanted[1] {
                return Err(BundleError::ClassCount {
                    named: self.classes,
                    trained: shape[0].saturating_sub(1),
                });
            }
            return Err(BundleError::Shape {
                tensor: name,
                expected: wanted.clone(),
                found: shape,
            });
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

    /// Keeps the scale of an 8-bit tensor; every other tensor that the network lacks is refused.
    fn accept_scale(
        &mut self,
        name: String,
        shape: Vec<usize>,
        values: Values,
    ) -> Result<(), BundleError> {
        let tensor = name.strip_suffix(SCALE_SUFFIX);
        let of = tensor.and_then(|tensor| self.expected.get_key_value(tensor));
        match (of, values) {
            (Some((tensor, wanted)), Values::Floats(values)) => {
                match self.scales.add(tensor, wanted, shape, values)? {
                    true => Ok(()),
                    false => Err(self.duplicate(name)),
                }
            }
            _ => Err(BundleError::UnknownTensor {
                file: self.file.to_owned(),
                tensor: name,
            }),
        }
    }

    fn duplicate(&self, tensor: String) -> BundleError {
        BundleError::DuplicateTensor {
            file: self.file.to_owned(),
            tensor,
        }
    }
}
