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
/// The most values that a network may compute of an image, in all its layers: two gigabytes of them. The largest
/// classifiers that are published compute a quarter of that.
pub const MAX_VALUES: usize = 1 << 29;
/// The most characters of what tract says that are passed on.
const MAX_REASON: usize = 300;

impl OnnxNetwork {
    /// Reads the file of a classifier: one input `[batch, 3, height, width]`, and as output the logits or, behind a
    /// Softmax, the probabilities, `[batch, classes]`. Its features are what the last Gemm or MatMul takes. `most` is
    /// [`MAX_VALUES`].
    ///
    /// # Errors
    ///
    /// What is missing, or what it claims to have and has not.
    pub fn read(bytes: &[u8], most: usize) -> Result<Self> {
        claims::check(bytes)?;
        let mut proto = ModelProto::decode(bytes).context("it is not an ONNX file")?;
        let (input, ends) = inspect(&proto).map_err(|reason| anyhow!(reason))?;
        forget_shapes(&mut proto);
        state_defaults(&mut proto);
        let loaded = caught(|| Self::load(&proto, input, &ends, most));
        loaded.map_err(|e| {
            let reason: String = format!("{e:#}").chars().take(MAX_REASON).collect();
            anyhow!("it is no ONNX network that tract can run: {reason}")
        })
    }

    fn load(proto: &ModelProto, input: usize, ends: &Ends, most: usize) -> Result<Self> {
        let onnx = tract_onnx::onnx();
        let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
        let mut kinds = nodes.map(|node| &node.op_type);
        if let Some(kind) = kinds.find(|&kind| !onnx.op_register.0.contains_key(kind)) {
            bail!("it does not know the operator {kind}");
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
        // What an image gives says how wide the answers are.
        let (features, logits) = network.run_one(&vec![0.0; 3 * input * input])?;
        ensure!(
            !features.is_empty() && !logits.is_empty(),
            "its answer is empty"
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

/// What `act` answers; where it panics, as tract does at some files, that it did.
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
    // Nothing that `act` changes outlives it.
    let answer = catch_unwind(AssertUnwindSafe(act));
    QUIET.set(false);
    answer.unwrap_or_else(|_| bail!("it fails at it"))
}

/// Checks that every Transpose permutes: of what does not, tract makes a list without an end.
fn check_permutations(proto: &ModelProto) -> Result<()> {
    let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    let transposes = nodes.filter(|node| node.op_type == "Transpose");
    for attribute in transposes.flat_map(|node| &node.attribute) {
        let mut axes = attribute.ints.clone();
        axes.sort_unstable();
        ensure!(
            axes.iter().zip(0..).all(|(&axis, place)| axis == place),
            "the axes {:?} of a Transpose are no permutation",
            attribute.ints
        );
    }
    Ok(())
}

/// Leaves the shapes out that the file states: they follow from the input's, and may be whole expressions.
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

/// Gives every ConstantOfShape without a value the one that ONNX says it has, a zero in 32 bits: tract takes one in 64,
/// which nothing that follows can be added to.
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

/// The size of the input, and where the features and the logits are.
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
    // Each of them once: a graph may run in a circle.
    for _ in &graph.node {
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
    let product = maker(&logits).filter(|n| matches!(n.op_type.as_str(), "Gemm" | "MatMul"));
    let features = first_input(product.ok_or(NO_LINEAR)?)?.to_owned();
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
