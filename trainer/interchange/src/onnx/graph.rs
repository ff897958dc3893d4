//! A graph of ONNX operators under construction.

use half::f16;

use super::proto::{
    AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType,
};
use super::{OnnxError, Opset, Tensors};
use crate::quantize::quantize;
use crate::weights::Weight;

/// A value of the graph, by its name.
pub type Value = String;

/// The type in which the graph keeps its weights and computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats; the embedding of λ, inputs and outputs stay in 32 bits.
    F16,
    /// Weights in 8 bits with a scale per channel, computation in 32-bit floats.
    Int8,
}

/// Nodes and constants in the order in which they were added.
pub struct Graph<'a> {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) constants: Vec<TensorProto>,
    pub(super) tensors: Tensors<'a>,
    precision: Precision,
    pub(super) opset: Opset,
    scope: String,
}

impl<'a> Graph<'a> {
    pub(super) fn new(tensors: Tensors<'a>, precision: Precision, opset: Opset) -> Self {
        Self {
            nodes: Vec::new(),
            constants: Vec::new(),
            tensors,
            precision,
            opset,
            scope: String::new(),
        }
    }

    /// The prefix of the names of the following nodes: the part of the network that they belong to.
    pub(super) fn set_scope(&mut self, scope: &str) {
        scope.clone_into(&mut self.scope);
    }

    /// The type of the computation.
    pub(super) fn computes_in(&self) -> DataType {
        match self.precision {
            Precision::F32 | Precision::Int8 => DataType::Float,
            Precision::F16 => DataType::Float16,
        }
    }

    /// Adds a node with one output.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
    ) -> Value {
        let name = self.unique(operator);
        self.add(operator, inputs, &[&name], attributes);
        name
    }

    /// Adds a node with two outputs.
    pub(super) fn halves(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
    ) -> [Value; 2] {
        let name = self.unique(operator);
        let outputs = [format!("{name}.0"), format!("{name}.1")];
        self.add(operator, inputs, &[&outputs[0], &outputs[1]], attributes);
        outputs
    }

    /// Adds a node whose output has this name.
    pub(super) fn output(&mut self, operator: &str, inputs: &[&Value], name: &str) {
        self.set_scope("");
        self.add(operator, inputs, &[&name.to_owned()], Vec::new());
    }

    fn add(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        outputs: &[&Value],
        attributes: Vec<AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            op_type: Some(operator.to_owned()),
            name: outputs.first().map(|name| format!("{name}/node")),
            input: inputs.iter().map(|&name| name.clone()).collect(),
            output: outputs.iter().map(|&name| name.clone()).collect(),
            attribute: attributes,
            ..NodeProto::default()
        });
    }

    fn unique(&self, operator: &str) -> Value {
        let number = self.nodes.len();
        match self.scope.as_str() {
            "" => format!("{operator}_{number}"),
            scope => format!("{scope}/{operator}_{number}"),
        }
    }

    /// A constant of integers.
    pub(super) fn integers(&mut self, values: &[i64]) -> Value {
        let name = format!("{}_{}", self.unique("integers"), self.constants.len());
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(&name, &[values.len()], DataType::Int64, bytes);
        name
    }

    /// A constant of 32-bit floats.
    pub(super) fn floats(&mut self, values: &[f32], shape: &[usize]) -> Value {
        let name = format!("{}_{}", self.unique("floats"), self.constants.len());
        self.constant(&name, shape, DataType::Float, f32_bytes(values));
        name
    }

    /// A constant of the computation's type.
    pub(super) fn numbers(&mut self, values: &[f32], shape: &[usize]) -> Value {
        match self.computes_in() {
            DataType::Float16 => {
                let name = format!("{}_{}", self.unique("numbers"), self.constants.len());
                self.constant(&name, shape, DataType::Float16, f16_bytes(values));
                name
            }
            _ => self.floats(values, shape),
        }
    }

    /// A tensor of the network in the computation's type.
    pub(super) fn weight(&mut self, name: &str) -> Result<Value, OnnxError> {
        let weight = self.tensors.take(name)?;
        Ok(self.stored(weight, self.precision))
    }

    /// A tensor with a value for each channel, `[channels]`, as `[channels, 1, 1]` in the computation's type.
    pub(super) fn channel_weight(&mut self, name: &str) -> Result<Value, OnnxError> {
        let Weight { shape, values, .. } = self.tensors.take(name)?;
        let shape = [shape, &[1, 1][..]].concat();
        let (kind, bytes) = match self.computes_in() {
            DataType::Float16 => (DataType::Float16, f16_bytes(values)),
            _ => (DataType::Float, f32_bytes(values)),
        };
        self.constant(name, &shape, kind, bytes);
        Ok(name.to_owned())
    }

    /// A tensor of the network in 32-bit floats, even if the computation has 16 bits.
    pub(super) fn precise_weight(&mut self, name: &str) -> Result<Value, OnnxError> {
        let weight = self.tensors.take(name)?;
        let precision = match self.precision {
            Precision::F16 => Precision::F32,
            other => other,
        };
        Ok(self.stored(weight, precision))
    }

    fn stored(&mut self, weight: &Weight, precision: Precision) -> Value {
        let Weight {
            name,
            shape,
            values,
        } = weight;
        match precision {
            Precision::F32 => self.constant(name, shape, DataType::Float, f32_bytes(values)),
            Precision::F16 => self.constant(name, shape, DataType::Float16, f16_bytes(values)),
            Precision::Int8 => self.dequantized(weight),
        }
        name.clone()
    }

    /// A tensor in 8 bits, if it is quantised, with the operator that converts it to floats.
    fn dequantized(&mut self, weight: &Weight) {
        let Weight {
            name,
            shape,
            values,
        } = weight;
        let Some(quantized) = quantize(weight) else {
            return self.constant(name, shape, DataType::Float, f32_bytes(values));
        };
        let (stored, scale) = (format!("{name}.int8"), format!("{name}.scale"));
        let integers = quantized.integers.iter();
        let bytes = integers.flat_map(|v| v.to_le_bytes()).collect();
        self.constant(&stored, shape, DataType::Int8, bytes);
        let scales = &quantized.scales;
        self.constant(&scale, &[scales.len()], DataType::Float, f32_bytes(scales));
        let axis = vec![integer("axis", quantized.axis as i64)];
        self.add("DequantizeLinear", &[&stored, &scale], &[name], axis);
    }

    fn constant(&mut self, name: &str, shape: &[usize], kind: DataType, bytes: Vec<u8>) {
        self.constants.push(TensorProto {
            name: Some(name.to_owned()),
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: Some(kind as i32),
            raw_data: Some(bytes),
            ..TensorProto::default()
        });
    }
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn f16_bytes(values: &[f32]) -> Vec<u8> {
    let halves = values.iter().map(|&v| f16::from_f32(v));
    halves.flat_map(f16::to_le_bytes).collect()
}

/// An attribute that is an integer.
pub(super) fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(value),
        ..AttributeProto::default()
    }
}

/// An attribute that is a list of integers.
pub(super) fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Ints as i32),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

/// An attribute that is a number.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Float as i32),
        f: Some(value),
        ..AttributeProto::default()
    }
}

/// An attribute that is a string.
pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::String as i32),
        s: Some(value.as_bytes().to_vec()),
        ..AttributeProto::default()
    }
}
