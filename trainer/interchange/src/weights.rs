//! The weights of a network, read back from the device.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

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
        let mut collector = Collector::default();
        network.visit(&mut collector);
        Self {
            tensors: collector.found,
        }
    }

    /// All tensors.
    pub fn iter(&self) -> impl Iterator<Item = &Weight> {
        self.tensors.iter()
    }
}

#[derive(Default)]
struct Collector {
    path: Vec<String>,
    found: Vec<Weight>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        self.found.push(Weight {
            name: self.path.join("."),
            shape: data.shape().to_vec(),
            values: data.iter::<f32>().collect(),
        });
    }
}
