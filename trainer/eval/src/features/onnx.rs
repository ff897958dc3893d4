//! Any classifier in ONNX as a feature network, through tract.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Once};

use anyhow::{Context, Result, anyhow, bail, ensure};
use prost::Message;
use rayon::prelude::*;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};
use tract_onnx::prelude::*;

use super::{FeatureError, Rows, onnx_sizes};
use freeguide_readers::onnx::claims;

/// A network in ONNX for one image at a time. tract computes on one core, so each core processes an image.
pub struct OnnxNetwork {
    model: Arc<TypedRunnableModel>,
    /// The height and width of its input in pixels.
    input: usize,
    features: usize,
    classes: usize,
}

/// The positions of the features and the logits in a graph.
struct Ends {
    features: String,
    logits: String,
}

/// The input size of a network that accepts any size.
const DEFAULT_INPUT: usize = 224;
/// The largest number of values that a network may compute per image, over all layers: two gigabytes. The largest
/// published classifiers compute a quarter of that.
pub const MAX_VALUES: usize = 1 << 29;
/// The largest number of characters of tract's messages that are shown.
const MAX_REASON: usize = 300;

impl OnnxNetwork {
    /// Reads the file of a classifier. Its input is `[batch, 3, height, width]`; its output is the logits or, after a
    /// Softmax, the probabilities, `[batch, classes]`. The features are the input of the last Gemm or MatMul. `most` is
    /// [`MAX_VALUES`].
    ///
    /// # Errors
    ///
    /// If something is missing, or the file claims something that it does not contain.
    pub fn read(bytes: &[u8], most: usize) -> Result<Self> {
        claims::check(bytes)?;
        let mut proto = ModelProto::decode(bytes).context("it is not an ONNX file")?;
        let (input, ends) = inspect(&proto).map_err(|reason| anyhow!(reason))?;
        forget_shapes(&mut proto);
        state_defaults(&mut proto);
        let loaded = caught(|| Self::load(&proto, input, &ends, most));
        loaded.map_err(|e| {
            let reason: String = format!("{e:#}").chars().take(MAX_REASON).collect();
            anyhow!("tract cannot run it: {reason}")
        })
    }

    fn load(proto: &ModelProto, input: usize, ends: &Ends, most: usize) -> Result<Self> {
        let onnx = tract_onnx::onnx();
        let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
        let mut kinds = nodes.map(|node| &node.op_type);
        if let Some(kind) = kinds.find(|&kind| !onnx.op_register.0.contains_key(kind)) {
            bail!("the operator {kind} is not supported");
        }
        check_permutations(proto)?;
        let parsed = onnx.parse(proto, None)?;
        let place = |name: &str| {
            let found = parsed.outlets_by_name.get(name).copied();
            found.with_context(|| format!("there is no {name:?}"))
        };
        let outlets = [place(&ends.features)?, place(&ends.logits)?];
        let mut model = parsed
            .model
            .with_output_outlets(&outlets)?
            .with_input_fact(0, f32::fact([1, 3, input, input]).into())?
            .into_compact()?;
        onnx_sizes::infer(&mut model, most)?;
        let model = model.into_typed()?;
        onnx_sizes::check(&model, most)?;
        let mut network = Self {
            model: model.into_optimized()?.into_runnable()?,
            input,
            features: 0,
            classes: 0,
        };
        // A test image gives the widths of the outputs.
        let (features, logits) = network.run_one(&vec![0.0; 3 * input * input])?;
        ensure!(
            !features.is_empty() && !logits.is_empty(),
            "its output is empty"
        );
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

/// The result of `act`. If it panics, as tract does on some files, an error that says so.
fn caught<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |panic| match QUIET.get() {
            true => {}
            false => hook(panic),
        }));
    });
    QUIET.set(true);
    // Nothing that `act` changes is used afterwards.
    let answer = catch_unwind(AssertUnwindSafe(act));
    QUIET.set(false);
    answer.unwrap_or_else(|_| bail!("the network fails on it"))
}

/// Checks that every Transpose is a permutation. For others, tract builds an endless list.
fn check_permutations(proto: &ModelProto) -> Result<()> {
    let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    let transposes = nodes.filter(|node| node.op_type == "Transpose");
    for attribute in transposes.flat_map(|node| &node.attribute) {
        let mut axes = attribute.ints.clone();
        axes.sort_unstable();
        ensure!(
            axes.iter().zip(0..).all(|(&axis, place)| axis == place),
            "the axes {:?} of a Transpose are not a permutation",
            attribute.ints
        );
    }
    Ok(())
}

/// Removes the shapes stated in the file. They follow from the input's shape and may be whole expressions.
fn forget_shapes(proto: &mut ModelProto) {
    if let Some(graph) = &mut proto.graph {
        graph.value_info.clear();
        for value in graph.input.iter_mut().chain(&mut graph.output) {
            let Some(Type::TensorType(tensor)) =
                value.r#type.as_mut().and_then(|kind| kind.value.as_mut())
            else {
                continue;
            };
            tensor.shape = None;
        }
    }
}

/// Gives every ConstantOfShape without a value ONNX's default, a 32-bit zero. tract assumes a 64-bit zero, which cannot
/// be added to the values that follow.
fn state_defaults(proto: &mut ModelProto) {
    let nodes = proto.graph.iter_mut().flat_map(|graph| &mut graph.node);
    for node in nodes.filter(|node| node.op_type == "ConstantOfShape") {
        if node.attribute.iter().any(|a| a.name == "value") {
            continue;
        }
        let zero = TensorProto {
            dims: vec![1],
            data_type: DataType::Float as i32,
            float_data: vec![0.0],
            ..TensorProto::default()
        };
        node.attribute.push(AttributeProto {
            name: "value".to_owned(),
            r#type: AttributeType::Tensor as i32,
            t: Some(zero),
            ..AttributeProto::default()
        });
    }
}

/// The size of the input, and the positions of the features and the logits.
fn inspect(proto: &ModelProto) -> Result<(usize, Ends), &'static str> {
    let graph = proto.graph.as_ref().ok_or("the file has no graph")?;
    let input = input_size(graph)?;
    let output = graph.output.first().ok_or("the graph has no output")?;
    let maker = |name: &str| {
        graph
            .node
            .iter()
            .find(|n| n.output.iter().any(|o| o == name))
    };
    let mut logits = output.name.clone();
    // Each node once, because a graph may contain a cycle.
    for _ in &graph.node {
        let node = maker(&logits).ok_or("no layer computes its output")?;
        match node.op_type.as_str() {
            "Softmax" | "Identity" | "Flatten" | "Reshape" => {
                logits = first_input(node)?.to_owned();
            }
            "Gemm" | "MatMul" => break,
            // x W + b: some exporters write a linear layer in this way.
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
    let product = maker(&logits).filter(|n| matches!(n.op_type.as_str(), "Gemm" | "MatMul"));
    let features = first_input(product.ok_or(NO_LINEAR)?)?.to_owned();
    Ok((input, Ends { features, logits }))
}

const NO_LINEAR: &str = "its output does not come from a Gemm or MatMul (with or without a Softmax), as in a classifier";

fn first_input(node: &NodeProto) -> Result<&str, &'static str> {
    node.input
        .first()
        .map(String::as_str)
        .ok_or("a layer has no input")
}

/// The height and width of the graph's only real input.
fn input_size(graph: &GraphProto) -> Result<usize, &'static str> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value;
    const WANTED: &str = "it must have one input of shape [batch, 3, size, size]";
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
