//! The signature and the metadata of a denoiser in a user's ONNX file.
//!
//! The file is untrusted, so it is read in place and without an allocation that grows with it.

use anyhow::{Context, Result, bail, ensure};

use super::wire::Message;

/// The inputs with their ranks and types, in order.
const INPUTS: [(&str, usize, u64); 3] =
    [("z", 4, FLOAT), ("log_snr", 1, FLOAT), ("class", 1, INT64)];

/// TensorProto.DataType.
const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// The largest number of inputs and constants of a file. Older files list their constants as inputs too.
const MAX_NAMES: usize = 4096;

/// The field numbers of ONNX's messages that are read, as in onnx.proto.
mod field {
    pub mod model {
        pub const GRAPH: u64 = 7;
        pub const METADATA: u64 = 14;
    }
    pub mod metadata {
        pub const KEY: u64 = 1;
        pub const VALUE: u64 = 2;
    }
    pub mod graph {
        pub const INITIALIZER: u64 = 5;
        pub const INPUT: u64 = 11;
        pub const OUTPUT: u64 = 12;
    }
    pub const TENSOR_NAME: u64 = 8;
    pub mod value {
        pub const NAME: u64 = 1;
        pub const TYPE: u64 = 2;
    }
    pub const TENSOR_TYPE: u64 = 1;
    pub mod tensor_type {
        pub const ELEMENT: u64 = 1;
        pub const SHAPE: u64 = 2;
    }
    pub const DIMENSION: u64 = 1;
    pub const DIMENSION_VALUE: u64 = 1;
}

/// What a bundle must know about the network.
#[derive(Debug)]
pub struct Signature<'a> {
    /// Channels of the image.
    pub channels: usize,
    /// Height and width of the image.
    pub size: usize,
    model: Message<'a>,
}

impl<'a> Signature<'a> {
    /// Reads and checks an ONNX file: inputs `z` `[batch, channels, size, size]`, `log_snr`
    /// `[batch]`, `class` `[batch]`, one output.
    ///
    /// # Errors
    ///
    /// If the signature is not as expected.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let model = Message(bytes);
        model.check().context("it is not an ONNX file")?;
        let graphs = || model.messages(field::model::GRAPH);
        ensure!(
            graphs().next().is_some(),
            "it is not an ONNX file: it has no graph"
        );
        for graph in graphs() {
            graph.check().context("it is not an ONNX file")?;
        }
        // Several graphs in one field are merged.
        let all = |number| graphs().flat_map(move |graph| graph.messages(number));
        let inputs = inputs(
            || all(field::graph::INPUT),
            || all(field::graph::INITIALIZER),
        )?;
        // Limited to what is readable in an error.
        let shown = |input: &Message| input.text(field::value::NAME).chars().take(40).collect();
        let names: Vec<String> = inputs.iter().take(8).map(shown).collect();
        let wanted = INPUTS.map(|(name, _, _)| name);
        ensure!(
            names == wanted,
            "its inputs are {names:?}, but those of a denoiser are {wanted:?} in this order"
        );
        for (&input, (name, rank, kind)) in inputs.iter().zip(INPUTS) {
            let (dims, found) = (shape(input), element(input));
            ensure!(
                dims.len() == rank && found == Some(kind),
                "its input {name} has {} dimensions and type {}, but must have {rank} and type {}",
                dims.len(),
                kind_name(found),
                kind_name(Some(kind))
            );
        }
        let outputs = all(field::graph::OUTPUT).count();
        ensure!(
            outputs == 1,
            "it has {outputs} outputs, but a denoiser has one, its prediction"
        );
        let dims = shape(inputs[0]);
        match dims[..] {
            [_, Some(channels @ (1 | 3)), Some(height), Some(width)] if height == width => {
                Ok(Self {
                    channels,
                    size: height,
                    model,
                })
            }
            _ => bail!(
                "z has the dimensions {dims:?}, but must have [batch, 1 or 3, size, size] with a fixed size"
            ),
        }
    }

    /// A required metadata entry.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn needed(&self, key: &str) -> Result<&'a str> {
        self.optional(key).with_context(|| {
            format!("its metadata have no entry {key:?}; onnx.helper.set_model_props adds it")
        })
    }

    /// A metadata entry.
    pub fn optional(&self, key: &str) -> Option<&'a str> {
        let entries = self.model.messages(field::model::METADATA);
        let mut found = entries.filter(|entry| entry.text(field::metadata::KEY) == key);
        found.next().map(|entry| entry.text(field::metadata::VALUE))
    }
}

/// The inputs that are not constants of the file.
fn inputs<'a, I: Iterator<Item = Message<'a>>, C: Iterator<Item = Message<'a>>>(
    inputs: impl Fn() -> I,
    constants: impl Fn() -> C,
) -> Result<Vec<Message<'a>>> {
    let (given, known) = (inputs().count(), constants().count());
    ensure!(
        given <= MAX_NAMES && known <= MAX_NAMES,
        "it has {given} inputs and {known} constants, but at most {MAX_NAMES} of each are allowed"
    );
    let mut names = Vec::with_capacity(known);
    names.extend(constants().map(|constant| constant.text(field::TENSOR_NAME)));
    names.sort_unstable();
    let free = |input: &Message| {
        names
            .binary_search(&input.text(field::value::NAME))
            .is_err()
    };
    let mut found = Vec::with_capacity(given);
    found.extend(inputs().filter(free));
    Ok(found)
}

/// The tensor type of an input.
fn tensor(value: Message<'_>) -> Option<Message<'_>> {
    let kind = value.messages(field::value::TYPE).last()?;
    kind.messages(field::TENSOR_TYPE).last()
}

/// The type of an input's numbers.
fn element(value: Message) -> Option<u64> {
    tensor(value)?.number(field::tensor_type::ELEMENT)
}

/// The dimensions, limited to the relevant ones. A dimension that is not fixed is `None`.
fn shape(value: Message) -> Vec<Option<usize>> {
    let shape = tensor(value).and_then(|t| t.messages(field::tensor_type::SHAPE).last());
    let dims = shape
        .into_iter()
        .flat_map(|shape| shape.messages(field::DIMENSION));
    // int64 on the wire.
    let fixed =
        |dim: Message| usize::try_from(dim.number(field::DIMENSION_VALUE)?.cast_signed()).ok();
    dims.map(fixed).take(8).collect()
}

/// The name of a data type in ONNX.
fn kind_name(kind: Option<u64>) -> String {
    match kind {
        Some(FLOAT) => "FLOAT".to_owned(),
        Some(INT64) => "INT64".to_owned(),
        Some(other) => format!("number {other}"),
        None => "none".to_owned(),
    }
}
