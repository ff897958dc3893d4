//! The file around a graph: inputs, outputs and the metadata that a sampler needs.

use freeguide::bundle::{Config, Network, WRITTEN_BY};
use freeguide::network::GuidanceInput;
use freeguide::prediction::Target;
use prost::Message;

use super::conditioning::{Labels, OtherInputs};
use super::graph::{Graph, Value};
use super::guided_step::Step;
use super::proto::tensor_proto::DataType;
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::type_proto::{self, Tensor};
use super::proto::{
    GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto,
    TypeProto, ValueInfoProto,
};
use super::unet::unet;
use super::value_types::value_info;
use super::{OnnxError, Opset, Precision, Tensors};
use crate::weights::Weights;

/// The size limit of protocol buffers.
const MAX_BYTES: usize = (1 << 31) - 1;

/// The function of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The joint network: `z`, `log_snr`, `class` → `prediction`. A student has `guidance` too,
    /// and one of few steps `next_log_snr`.
    Denoiser,
    /// A whole step of DDIM with guidance: `z`, `log_snr`, `next_log_snr`, `class`, `guidance` →
    /// `next_z`, `denoised`.
    GuidedStep,
}

impl Form {
    /// The forms of a model. Guidance needs classes and ∅.
    pub fn of(config: &Config) -> &'static [Self] {
        match config.null_class && !config.classes.is_empty() {
            true => &[Self::Denoiser, Self::GuidedStep],
            false => &[Self::Denoiser],
        }
    }

    /// The name of the file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Denoiser => "denoiser.onnx",
            Self::GuidedStep => "guided_step.onnx",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Denoiser => "denoiser",
            Self::GuidedStep => "guided-step",
        }
    }

    fn description(self, config: &Config) -> String {
        let network = match &config.network {
            Network::UNet(network) => Some(network),
            Network::Compiled(_) => None,
        };
        let number = network.and_then(|network| network.number.as_ref());
        let class = match null_class(config) {
            _ if Labels::of(config).attributes.is_some() => {
                "attributes is 1 for each of the metadata's classes that an image has, else 0; with none it is \
                 unconditional, the null class"
                    .to_owned()
            }
            Some(null) => {
                format!("class is an id from the metadata's classes, {null} the null class")
            }
            None => {
                "class is an id from the metadata's classes; there is no null class, and so no \
                     guidance"
                    .to_owned()
            }
        };
        let class = match number {
            None => class,
            Some(number) => format!(
                "{class}; number is the {} from {} to {} {} where has_number is 1, and none where it is 0",
                number.name, number.min, number.max, number.unit
            ),
        };
        let [channels, size, _] = config.image.dims();
        let divisor = match (self, config.diffusion.target) {
            (Self::GuidedStep, _) | (_, Target::Epsilon | Target::V) => "",
            (_, Target::Velocity) => ", divided by alpha + sigma",
            (_, Target::Edm) => ", divided by sqrt(sigma^2 + alpha^2 / 4)",
        };
        let z = format!(
            "z is [batch, {channels}, {size}, {size}] = alpha x + sigma epsilon with alpha^2 = \
             sigmoid(log_snr), sigma^2 = sigmoid(-log_snr), x in [-1, 1]{divisor}"
        );
        if let (Self::Denoiser, Some(map)) = (self, config.flow_map()) {
            return format!(
                "A denoiser distilled to {} steps of DDIM: next_log_snr is the level that the step leads to, and a step \
                 with the prediction lands on the guided probability flow of strength w = guidance. {z}; {class}.",
                map.steps_in_words()
            );
        }
        match (self, config.guidance_input()) {
            (Self::Denoiser, Some(GuidanceInput { min, max, .. })) => format!(
                "A denoiser distilled from classifier-free guidance: guidance is its strength w from \
                 {min} to {max}, 0 being none. {z}; {class}. The prediction is that of the metadata's \
                 target, guided."
            ),
            (Self::Denoiser, None) => format!(
                "The joint denoiser of classifier-free guidance. {z}; {class}. The prediction is \
                 that of the metadata's target; the guided one is (1 + w) prediction(class) - w \
                 prediction(null)."
            ),
            (Self::GuidedStep, _) => format!(
                "One step of DDIM from log_snr to next_log_snr with classifier-free guidance of \
                 strength w = guidance, 0 being none. {z}; {class}. Begin with Gaussian noise at \
                 the schedule's log_snr_min; denoised, clipped to [-1, 1], is the estimate of x at \
                 every step and after the last one the image."
            ),
        }
    }
}

/// The model as an ONNX file.
///
/// # Errors
///
/// [`OnnxError`], if the graph cannot represent the whole network.
pub fn write(
    config: &Config,
    weights: &Weights,
    form: Form,
    precision: Precision,
    opset: Opset,
) -> Result<Vec<u8>, OnnxError> {
    let mut graph = Graph::new(Tensors::new(weights), precision, opset);
    match form {
        Form::Denoiser => denoiser(&mut graph, config)?,
        Form::GuidedStep => guided_step(&mut graph, config)?,
    }
    graph.tensors.all_taken()?;
    let (inputs, outputs) = (inputs(form, config), outputs(form, config));
    let value_info = value_info(&graph.nodes, &graph.constants, &inputs, &outputs);
    let model = ModelProto {
        ir_version: Some(opset.ir_version()),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(opset.version()),
        }],
        producer_name: Some("freeguide".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        doc_string: Some(form.description(config)),
        graph: Some(GraphProto {
            name: Some(config.name.clone()),
            node: graph.nodes,
            initializer: graph.constants,
            input: inputs,
            output: outputs,
            value_info,
            ..GraphProto::default()
        }),
        metadata_props: metadata(form, config),
        ..ModelProto::default()
    };
    match model.encoded_len() {
        0..=MAX_BYTES => Ok(model.encode_to_vec()),
        bytes => Err(OnnxError::TooLarge { bytes }),
    }
}

fn named<const N: usize>(names: [&str; N]) -> [Value; N] {
    names.map(str::to_owned)
}

fn denoiser(graph: &mut Graph, config: &Config) -> Result<(), OnnxError> {
    let [z, log_snr] = named(["z", "log_snr"]);
    let prediction = network(graph, config, [&z, &log_snr], &Labels::of(config))?;
    graph.output("Identity", &[&prediction], "prediction");
    Ok(())
}

fn guided_step(graph: &mut Graph, config: &Config) -> Result<(), OnnxError> {
    let [z, log_snr] = named(["z", "log_snr"]);
    let labels = Labels::of(config);
    let [next_log_snr, guidance] = named(["next_log_snr", "guidance"]);
    let target = config.diffusion.target;
    let guided = match config.guidance_input() {
        Some(_) => {
            let input = graph.network_input(&z, &log_snr, target);
            network(graph, config, [&input, &log_snr], &labels)?
        }
        None => {
            let (rows, labels) = graph.guided_rows([&z, &log_snr], &labels, config.classes.len());
            let input = graph.network_input(&rows[0], &rows[1], target);
            let both = network(graph, config, [&input, &rows[1]], &labels)?;
            graph.mixed(&both, &guidance)
        }
    };
    let step = Step {
        next_log_snr: &next_log_snr,
        target: config.diffusion.target,
    };
    let [next, denoised] = graph.ddim_step(&guided, &z, &log_snr, &step);
    graph.output("Identity", &[&next], "next_z");
    graph.output("Identity", &[&denoised], "denoised");
    Ok(())
}

/// The network. Inputs and output are always 32-bit floats.
fn network(
    graph: &mut Graph,
    config: &Config,
    [z, log_snr]: [&Value; 2],
    labels: &Labels,
) -> Result<Value, OnnxError> {
    let others = OtherInputs::of(config);
    let Network::UNet(architecture) = &config.network else {
        return Err(OnnxError::Compiled);
    };
    let kind = graph.computes_in();
    if kind == DataType::Float {
        let inputs = [z, log_snr];
        return unet(graph, architecture, config.image, inputs, labels, &others);
    }
    let z = graph.cast(z, kind);
    let inputs = [&z, log_snr];
    let prediction = unet(graph, architecture, config.image, inputs, labels, &others)?;
    Ok(graph.cast(&prediction, DataType::Float))
}

fn inputs(form: Form, config: &Config) -> Vec<ValueInfoProto> {
    let mut inputs = vec![images("z", config), rows("log_snr", DataType::Float)];
    if form == Form::GuidedStep {
        inputs.push(rows("next_log_snr", DataType::Float));
    }
    let labels = Labels::of(config);
    if let Some(name) = labels.class {
        inputs.push(rows(&name, DataType::Int64));
    }
    if let Some(name) = labels.attributes {
        inputs.push(value(&name, DataType::Float, &[config.classes.len()]));
    }
    for name in labels.number.into_iter().flatten() {
        inputs.push(rows(&name, DataType::Float));
    }
    if form == Form::GuidedStep || config.guidance_input().is_some() {
        inputs.push(rows("guidance", DataType::Float));
    }
    if form == Form::Denoiser && config.flow_map().is_some() {
        inputs.push(rows("next_log_snr", DataType::Float));
    }
    inputs
}

fn outputs(form: Form, config: &Config) -> Vec<ValueInfoProto> {
    match form {
        Form::Denoiser => vec![images("prediction", config)],
        Form::GuidedStep => vec![images("next_z", config), images("denoised", config)],
    }
}

fn images(name: &str, config: &Config) -> ValueInfoProto {
    value(name, DataType::Float, &config.image.dims())
}

fn rows(name: &str, kind: DataType) -> ValueInfoProto {
    value(name, kind, &[])
}

/// An input or output of `[batch, …]`.
fn value(name: &str, kind: DataType, dims: &[usize]) -> ValueInfoProto {
    let batch = dimension::Value::DimParam("batch".to_owned());
    let fixed = dims.iter().map(|&d| dimension::Value::DimValue(d as i64));
    let dim = std::iter::once(batch).chain(fixed).map(|value| Dimension {
        value: Some(value),
        ..Dimension::default()
    });
    let tensor = Tensor {
        elem_type: Some(kind as i32),
        shape: Some(TensorShapeProto { dim: dim.collect() }),
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

/// The id of ∅, if the model knows it.
fn null_class(config: &Config) -> Option<usize> {
    config.null_class.then_some(config.classes.len())
}

fn metadata(form: Form, config: &Config) -> Vec<StringStringEntryProto> {
    let target = match config.diffusion.target {
        Target::Epsilon => "epsilon",
        Target::V => "v",
        Target::Velocity => "velocity",
        Target::Edm => "edm",
    };
    let (range, origin) = (config.diffusion.log_snr, &config.provenance);
    let entries = [
        ("form", form.name().to_owned()),
        ("name", config.name.clone()),
        ("classes", serde_json::json!(config.classes).to_string()),
        (
            "null_class",
            null_class(config).map_or("none".to_owned(), |id| id.to_string()),
        ),
        ("target", target.to_owned()),
        ("log_snr_min", range.min.to_string()),
        ("log_snr_max", range.max.to_string()),
        (
            "schedule",
            "log_snr(u) = -2 log(tan(a u + b)), b = atan(exp(-log_snr_max/2)), a = \
             atan(exp(-log_snr_min/2)) - b; step t of T is at u = 1 - t/(T - 1), t = 0 ... T - 1"
                .to_owned(),
        ),
        ("sampling", serde_json::json!(config.sampling).to_string()),
        ("dataset", origin.dataset.clone()),
        ("license", origin.license.clone()),
        ("attribution", origin.attribution.clone()),
        ("written_by", WRITTEN_BY.to_owned()),
    ];
    let input = config.guidance_input();
    let input = input.map(|input| ("guidance_range", format!("{} {}", input.min, input.max)));
    entries
        .into_iter()
        .chain(input)
        .map(|(key, value)| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        })
        .collect()
}
