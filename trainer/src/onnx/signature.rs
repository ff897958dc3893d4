//! The signature of a denoiser in an ONNX file of one's own, and what its metadata say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use prost::Message;

use super::proto::tensor_proto::DataType;
use super::proto::tensor_shape_proto::dimension;
use super::proto::type_proto::Value;
use super::proto::{GraphProto, ModelProto, ValueInfoProto};

/// Inputs, their ranks and types, in order.
const INPUTS: [(&str, usize, DataType); 3] = [
    ("z", 4, DataType::Float),
    ("log_snr", 1, DataType::Float),
    ("class", 1, DataType::Int64),
];

/// What a bundle has to know of the network.
#[derive(Debug)]
pub struct Signature {
    /// Channels of the image.
    pub channels: usize,
    /// Height and width of the image.
    pub size: usize,
    metadata: BTreeMap<String, String>,
}

impl Signature {
    /// Reads and checks an ONNX file: inputs `z` `[batch, channels, size, size]`, `log_snr`
    /// `[batch]`, `class` `[batch]`, one output.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let model = ModelProto::decode(bytes).context("it is not an ONNX file")?;
        let graph = model
            .graph
            .context("it is not an ONNX file: it has no graph")?;
        let inputs = inputs(&graph);
        let names: Vec<_> = inputs.iter().map(|input| input.name()).collect();
        let wanted = INPUTS.map(|(name, _, _)| name);
        ensure!(
            names == wanted,
            "its inputs are {names:?}, and a denoiser's are {wanted:?} in this order"
        );
        for (input, (name, rank, kind)) in inputs.iter().zip(INPUTS) {
            let (dims, found) = shape(input);
            ensure!(
                dims.len() == rank && found == Some(kind),
                "its input {name} has {} dimensions and the type {}, and should have {rank} and the type {}",
                dims.len(),
                found.map_or("none", |kind| kind.as_str_name()),
                kind.as_str_name()
            );
        }
        let outputs = graph.output.len();
        ensure!(
            outputs == 1,
            "it has {outputs} outputs, and a denoiser's one is its prediction"
        );
        let (dims, _) = shape(inputs[0]);
        match dims[..] {
            [_, Some(channels @ (1 | 3)), Some(height), Some(width)] if height == width => {
                Ok(Self {
                    channels,
                    size: height,
                    metadata: model
                        .metadata_props
                        .into_iter()
                        .filter_map(|entry| Some((entry.key?, entry.value?)))
                        .collect(),
                })
            }
            _ => bail!(
                "z has the dimensions {dims:?}, and should have [batch, 1 or 3, size, size] with a size that is fixed"
            ),
        }
    }

    /// A metadata entry that must be there.
    pub fn needed(&self, key: &str) -> Result<&str> {
        self.optional(key).with_context(|| {
            format!("its metadata have no entry {key:?}; onnx.helper.set_model_props adds it")
        })
    }

    /// A metadata entry.
    pub fn optional(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }
}

/// The inputs that no constant of the file gives a value to.
fn inputs(graph: &GraphProto) -> Vec<&ValueInfoProto> {
    let constants: BTreeSet<_> = graph.initializer.iter().map(|c| c.name()).collect();
    let inputs = graph.input.iter();
    inputs
        .filter(|input| !constants.contains(input.name()))
        .collect()
}

/// Dimensions, those that are not fixed being none, and the type.
fn shape(value: &ValueInfoProto) -> (Vec<Option<usize>>, Option<DataType>) {
    let Some(Value::TensorType(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return (Vec::new(), None);
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let fixed = |dim: Option<&dimension::Value>| match dim {
        Some(dimension::Value::DimValue(size)) => usize::try_from(*size).ok(),
        _ => None,
    };
    let kind = tensor
        .elem_type
        .and_then(|kind| DataType::try_from(kind).ok());
    (dims.map(|dim| fixed(dim.value.as_ref())).collect(), kind)
}
