//! The types of a graph's intermediate values.
//!
//! ONNX's own inference does not see through GroupNormalization, and so every tool that wants types without running the
//! graph (onnxruntime's quantisation, converters to 16 bits) stops at it. A type for each value is enough for them.

use std::collections::HashMap;

use super::proto::tensor_proto::DataType;
use super::proto::type_proto::{self, Tensor};
use super::proto::{NodeProto, TensorProto, TypeProto, ValueInfoProto};

/// The type of every value that a node makes, but for the graph's outputs, which say theirs.
pub fn value_info(
    nodes: &[NodeProto],
    constants: &[TensorProto],
    inputs: &[ValueInfoProto],
    outputs: &[ValueInfoProto],
) -> Vec<ValueInfoProto> {
    let mut types: HashMap<&str, i32> = HashMap::new();
    for constant in constants {
        if let (Some(name), Some(kind)) = (&constant.name, constant.data_type) {
            types.insert(name, kind);
        }
    }
    for input in inputs {
        if let (Some(name), Some(kind)) = (&input.name, elem_type(input)) {
            types.insert(name, kind);
        }
    }
    let is_output = |name: &str| {
        let mut names = outputs.iter().filter_map(|output| output.name.as_deref());
        names.any(|output| output == name)
    };
    let mut info = Vec::new();
    for node in nodes {
        let Some(kind) = type_of(node, &types) else {
            continue;
        };
        for name in &node.output {
            types.insert(name, kind);
            if !is_output(name) {
                info.push(typed(name, kind));
            }
        }
    }
    info
}

/// What a node makes: what its first input is, or what it says.
fn type_of(node: &NodeProto, types: &HashMap<&str, i32>) -> Option<i32> {
    let of_input = |place: usize| {
        let name = node.input.get(place)?;
        types.get(name.as_str()).copied()
    };
    match node.op_type.as_deref()? {
        "Shape" => Some(DataType::Int64 as i32),
        "Equal" => Some(DataType::Bool as i32),
        "Cast" => {
            let mut attributes = node.attribute.iter();
            let to = attributes.find(|attribute| attribute.name.as_deref() == Some("to"))?;
            i32::try_from(to.i?).ok()
        }
        // The scale has the type of what is stored in integers.
        "Where" | "DequantizeLinear" => of_input(1),
        _ => of_input(0),
    }
}

fn elem_type(value: &ValueInfoProto) -> Option<i32> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => tensor.elem_type,
        _ => None,
    }
}

/// A value of a type and no stated shape.
fn typed(name: &str, kind: i32) -> ValueInfoProto {
    let tensor = Tensor {
        elem_type: Some(kind),
        shape: None,
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
