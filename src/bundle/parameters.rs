//! The names and shapes of a module's parameters.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// A parameter of a network: where it is, and how large. It may not have been allocated yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The path of fields to it, such as `down.0.blocks.1.residual.conv_in.weight`: the
    /// tensor's name in a bundle.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// The parameters of `module`, in order.
pub fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.found
}

#[derive(Default)]
struct Collector {
    path: Vec<String>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push(Parameter {
            name: self.path.join("."),
            // The lazy shape: a network is not allocated to be measured.
            shape: param.lazy_shape().to_vec(),
        });
    }
}
