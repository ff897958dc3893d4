//! A module's parameters by name.
//!
//! A parameter's name is the path of fields to it, such as `down.0.blocks.1.residual.conv_in.weight`. It is the name of
//! the tensor in a bundle.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// A visitor of the parameters of a module.
pub trait ParameterVisitor {
    /// Visits the parameter of this name.
    fn visit<const D: usize>(&mut self, name: &str, parameter: &Param<Tensor<D>>);
}

/// A replacement for each parameter of a module.
pub trait ParameterMapper {
    /// The replacement for the parameter of this name.
    fn map<const D: usize>(&mut self, name: &str, parameter: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

/// Visits every floating-point parameter of `module`, in order.
pub fn visit_parameters<M: Module>(module: &M, visitor: &mut impl ParameterVisitor) {
    module.visit(&mut Walk::new(visitor));
}

/// `module` with every floating-point parameter replaced, in order.
pub fn map_parameters<M: Module>(module: M, mapper: &mut impl ParameterMapper) -> M {
    module.map(&mut Walk::new(mapper))
}

/// The name and the shape of a parameter, which may not have been allocated yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// The parameters of `module`, in order.
pub fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut list = List(Vec::new());
    visit_parameters(module, &mut list);
    list.0
}

struct List(Vec<Parameter>);

impl ParameterVisitor for List {
    fn visit<const D: usize>(&mut self, name: &str, parameter: &Param<Tensor<D>>) {
        self.0.push(Parameter {
            name: name.to_owned(),
            // The lazy shape does not allocate the parameter.
            shape: parameter.lazy_shape().to_vec(),
        });
    }
}

/// A walk over a module that keeps the path to the current field.
struct Walk<'a, V> {
    path: Vec<String>,
    each: &'a mut V,
}

impl<'a, V> Walk<'a, V> {
    fn new(each: &'a mut V) -> Self {
        Self {
            path: Vec::new(),
            each,
        }
    }
}

impl<V: ParameterVisitor> ModuleVisitor for Walk<'_, V> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.each.visit(&self.path.join("."), parameter);
    }
}

impl<V: ParameterMapper> ModuleMapper for Walk<'_, V> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.each.map(&self.path.join("."), parameter)
    }
}
