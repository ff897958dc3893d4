//! Any classifier in ONNX as a feature network, through tract.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use rayon::prelude::*;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use tract_onnx::prelude::*;

use super::{FeatureError, Rows};

/// A network in ONNX, prepared for one image at a time: tract computes on one core, so every core takes an image.
pub struct OnnxNetwork {
    model: Arc<TypedRunnableModel>,
    /// Height and width of its input.
    input: usize,
    features: usize,
    classes: usize,
}

/// Where the features and the logits are in a graph.
struct Ends {
    features: String,
    logits: String,
}

/// The input size of a network that takes any.
const DEFAULT_INPUT: usize = 224;

impl OnnxNetwork {
    /// Opens a classifier: one input `[batch, 3, height, width]`, and as output the logits or, behind a Softmax, the
    /// probabilities, `[batch, classes]`. Its features are what the last Gemm or MatMul takes.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Format`] says what is missing.
    pub fn open(path: &Path) -> Result<Self, FeatureError> {
        let bad = |reason: String| FeatureError::Format {
            path: path.to_owned(),
            reason,
        };
        let reading = |e: TractError| bad(format!("no ONNX network that tract can run: {e:#}"));
        let onnx = tract_onnx::onnx();
        let mut proto = onnx.proto_model_for_path(path).map_err(reading)?;
        let (input, ends) = inspect(&mut proto).map_err(|reason| bad(reason.to_owned()))?;
        let folder = path.parent().and_then(Path::to_str);
        let model = onnx
            .parse(&proto, folder)
            .and_then(|parsed| {
                let place = |name: &str| {
                    let found = parsed.outlets_by_name.get(name).copied();
                    found.ok_or_else(|| anyhow!("there is no {name:?}"))
                };
                let outlets = [place(&ends.features)?, place(&ends.logits)?];
                parsed
                    .model
                    .with_output_outlets(&outlets)?
                    .with_input_fact(0, f32::fact([1, 3, input, input]).into())?
                    .into_optimized()?
                    .into_runnable()
            })
            .map_err(reading)?;
        let mut network = Self {
            model,
            input,
            features: 0,
            classes: 0,
        };
        // What an image gives says how wide the answers are.
        let (features, logits) = network
            .run_one(&vec![0.0; 3 * input * input])
            .map_err(reading)?;
        (network.features, network.classes) = (features.len(), logits.len());
        Ok(network)
    }

    /// Height and width of the input.
    pub fn input(&self) -> usize {
        self.input
    }

    /// The length of a feature vector.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Features and logits of normalised images, `[batch, 3, input, input]`.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Run`].
    pub fn forward(&self, images: &[f32]) -> Result<(Rows, Rows), FeatureError> {
        let answers = images
            .par_chunks_exact(3 * self.input * self.input)
            .map(|image| self.run_one(image))
            .collect::<TractResult<Vec<_>>>()
            .map_err(|e| FeatureError::Run(format!("{e:#}")))?;
        let (mut features, mut logits) = (Vec::new(), Vec::new());
        for (f, l) in answers {
            features.extend(f);
            logits.extend(l);
        }
        Ok((
            Rows::new(self.features, features),
            Rows::new(self.classes, logits),
        ))
    }

    fn run_one(&self, image: &[f32]) -> TractResult<(Vec<f32>, Vec<f32>)> {
        let input = Tensor::from_shape(&[1, 3, self.input, self.input], image)?;
        let outputs = self.model.run(tvec!(input.into()))?;
        let values = |value: &TValue| -> TractResult<Vec<f32>> {
            Ok(value
                .to_plain_array_view::<f32>()?
                .iter()
                .copied()
                .collect())
        };
        Ok((values(&outputs[0])?, values(&outputs[1])?))
    }
}

/// The size of the input, and where the features and the logits are.
fn inspect(proto: &mut ModelProto) -> Result<(usize, Ends), &'static str> {
    let graph = proto.graph.as_mut().ok_or("the file has no graph")?;
    let input = input_size(graph)?;
    let output = graph.output.first().ok_or("the graph has no output")?;
    let maker = |name: &str| {
        graph
            .node
            .iter()
            .find(|n| n.output.iter().any(|o| o == name))
    };
    let mut logits = output.name.clone();
    loop {
        let node = maker(&logits).ok_or("no layer makes its output")?;
        match node.op_type.as_str() {
            "Softmax" | "Identity" | "Flatten" | "Reshape" => {
                logits = first_input(node)?.to_owned();
            }
            "Gemm" | "MatMul" => break,
            // x W + b, as some exporters write a linear layer.
            "Add" => {
                let product = node.input.iter().filter_map(|name| maker(name));
                let product = product.into_iter().find(|n| n.op_type == "MatMul");
                let product = product.ok_or(NO_LINEAR)?;
                let features = first_input(product)?.to_owned();
                return Ok((input, Ends { features, logits }));
            }
            _ => return Err(NO_LINEAR),
        }
    }
    let features = first_input(maker(&logits).ok_or(NO_LINEAR)?)?.to_owned();
    Ok((input, Ends { features, logits }))
}

const NO_LINEAR: &str = "its output is not made by a Gemm or MatMul (with a Softmax behind it or none), as a classifier's is";

fn first_input(node: &NodeProto) -> Result<&str, &'static str> {
    node.input
        .first()
        .map(String::as_str)
        .ok_or("a layer has no input")
}

/// Height and width of the graph's only true input.
fn input_size(graph: &GraphProto) -> Result<usize, &'static str> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value;
    use tract_onnx::pb::type_proto::Value as Type;
    const WANTED: &str = "it needs one input of the shape [batch, 3, size, size]";
    let is_weight = |v: &&ValueInfoProto| graph.initializer.iter().any(|w| w.name == v.name);
    let input = graph.input.iter().find(|v| !is_weight(v)).ok_or(WANTED)?;
    let Some(Type::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Err(WANTED);
    };
    let dims = &tensor.shape.as_ref().ok_or(WANTED)?.dim;
    let size = |k: usize| match dims.get(k).and_then(|d| d.value.as_ref()) {
        Some(Value::DimValue(v)) => usize::try_from(*v).ok().filter(|&v| v > 0),
        _ => None,
    };
    if dims.len() != 4 || size(1).is_some_and(|channels| channels != 3) || size(2) != size(3) {
        return Err(WANTED);
    }
    Ok(size(2).unwrap_or(DEFAULT_INPUT))
}
