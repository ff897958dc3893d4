//! The weights of a network, read back from the device.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use freeguide::parameters::{ParameterVisitor, visit_parameters};

/// One tensor.
#[derive(Debug, Clone)]
pub struct Weight {
    /// Its name in a bundle, such as `down.0.blocks.1.residual.conv_in.weight`.
    pub name: String,
    /// Its shape in a bundle.
    pub shape: Vec<usize>,
    /// Its values; the last dimension changes fastest.
    pub values: Vec<f32>,
}

/// All tensors of a network, in the order of its fields.
#[derive(Debug, Default)]
pub struct Weights {
    tensors: Vec<Weight>,
}

impl Weights {
    /// Reads every parameter of a network.
    pub fn of<M: Module>(network: &M) -> Self {
        let mut weights = Self::default();
        visit_parameters(network, &mut weights);
        weights
    }

    /// All tensors.
    pub fn iter(&self) -> impl Iterator<Item = &Weight> {
        self.tensors.iter()
    }
}

impl ParameterVisitor for Weights {
    fn visit<const D: usize>(&mut self, name: &str, parameter: &Param<Tensor<D>>) {
        let data = parameter.val().into_data();
        self.tensors.push(Weight {
            name: name.to_owned(),
            shape: data.shape().to_vec(),
            values: data.iter::<f32>().collect(),
        });
    }
}
