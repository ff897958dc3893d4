//! What an ONNX file claims to hold, held against what it has, before a program whose memory knows no bounds reads it.
//!
//! Read in place: nothing is allocated.

use anyhow::{Context, Result, bail, ensure};

use super::wire::{Field, Message};

/// Bytes that a file's messages may take as structs, beside twice its own. A node is some hundred bytes, and a large
/// network has a few thousands.
pub const MAX_DECODED: usize = 64 << 20;

/// The most dimensions of a tensor.
const MAX_RANK: usize = 8;

/// What a message of each kind takes as a struct, at the most, three times: a list that doubles as it grows is there
/// twice.
mod taken {
    pub const NODE: usize = 1 << 10;
    pub const ATTRIBUTE: usize = 3 << 10;
    pub const TENSOR: usize = 2 << 10;
    pub const VALUE: usize = 1 << 10;
    pub const OTHER: usize = 256;
    /// A number of up to eight bytes that takes one in the file, and its copies.
    pub const NUMBER: usize = 32;
}

/// Numbers of the fields of ONNX's messages, as in onnx.proto.
mod field {
    pub mod model {
        pub const GRAPH: u64 = 7;
        pub const OPERATOR_SETS: u64 = 8;
        pub const TRAINING: u64 = 20;
        pub const FUNCTIONS: u64 = 25;
    }
    pub mod graph {
        pub const NODE: u64 = 1;
        pub const INITIALIZER: u64 = 5;
        pub const INPUT: u64 = 11;
        pub const OUTPUT: u64 = 12;
        pub const VALUE_INFO: u64 = 13;
        pub const SPARSE_INITIALIZER: u64 = 15;
    }
    pub mod node {
        pub const ATTRIBUTE: u64 = 5;
    }
    pub mod attribute {
        pub const TENSOR: u64 = 5;
        pub const GRAPH: u64 = 6;
        pub const FLOATS: u64 = 7;
        pub const INTS: u64 = 8;
        pub const TENSORS: u64 = 10;
        pub const GRAPHS: u64 = 11;
        pub const SPARSE_TENSOR: u64 = 22;
        pub const SPARSE_TENSORS: u64 = 23;
    }
    pub mod tensor {
        pub const DIMS: u64 = 1;
        pub const TYPE: u64 = 2;
        pub const SEGMENT: u64 = 3;
        pub const FLOATS: u64 = 4;
        pub const INT32S: u64 = 5;
        pub const INT64S: u64 = 7;
        pub const NAME: u64 = 8;
        pub const RAW: u64 = 9;
        pub const DOUBLES: u64 = 10;
        pub const UINT64S: u64 = 11;
        pub const EXTERNAL: u64 = 13;
        pub const LOCATION: u64 = 14;
    }
}

/// Checks that every tensor's bytes are there, that no other file is needed, that there is no graph within a graph, and
/// that what the file holds does not take more than twice its size and [`MAX_DECODED`] once it is decoded.
///
/// # Errors
///
/// A sentence on the first thing that is not so.
pub fn check(bytes: &[u8]) -> Result<()> {
    let mut tally = Tally(2 * bytes.len() + MAX_DECODED);
    let model = whole(Message(bytes))?;
    ensure!(
        model.messages(field::model::GRAPH).next().is_some(),
        "it is not an ONNX file: it has no graph"
    );
    // It stands last in most files, and a file that ends before it may be one that was cut off there.
    ensure!(
        model.messages(field::model::OPERATOR_SETS).next().is_some(),
        "it has no opset_import, which says what its operators mean: save it again with one, or fetch it again where it was cut off"
    );
    for (number, field) in model.flatten() {
        tally.takes(taken::OTHER)?;
        match (number, field) {
            (field::model::GRAPH, Field::Bytes(graph)) => check_graph(Message(graph), &mut tally)?,
            (field::model::FUNCTIONS | field::model::TRAINING, _) => {
                bail!("it defines functions or training of its own, which are not read")
            }
            _ => {}
        }
    }
    Ok(())
}

/// Room that is left.
struct Tally(usize);

impl Tally {
    fn takes(&mut self, bytes: usize) -> Result<()> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.context("it lists more than a network has")?;
        Ok(())
    }
}

fn whole(message: Message) -> Result<Message> {
    message.check().context("it is not an ONNX file")?;
    Ok(message)
}

fn check_graph(graph: Message, tally: &mut Tally) -> Result<()> {
    for (number, field) in whole(graph)?.flatten() {
        match (number, field) {
            (field::graph::NODE, Field::Bytes(node)) => check_node(Message(node), tally)?,
            (field::graph::INITIALIZER, Field::Bytes(tensor)) => {
                check_tensor(Message(tensor), tally)?;
            }
            (
                field::graph::INPUT | field::graph::OUTPUT | field::graph::VALUE_INFO,
                Field::Bytes(value),
            ) => {
                tally.takes(taken::VALUE)?;
                check_parts(Message(value), 5, tally)?;
            }
            (field::graph::SPARSE_INITIALIZER, _) => bail!(SPARSE),
            _ => tally.takes(taken::OTHER)?,
        }
    }
    Ok(())
}

/// Counts the fields of a message and of those within it, to a depth below which nothing is decoded.
fn check_parts(message: Message, depth: usize, tally: &mut Tally) -> Result<()> {
    for (_, field) in message.flatten() {
        tally.takes(taken::OTHER)?;
        if let (Field::Bytes(part), 1..) = (field, depth) {
            check_parts(Message(part), depth - 1, tally)?;
        }
    }
    Ok(())
}

fn check_node(node: Message, tally: &mut Tally) -> Result<()> {
    tally.takes(taken::NODE)?;
    for (number, field) in whole(node)?.flatten() {
        match (number, field) {
            (field::node::ATTRIBUTE, Field::Bytes(attribute)) => {
                check_attribute(Message(attribute), tally)?;
            }
            _ => tally.takes(taken::OTHER)?,
        }
    }
    Ok(())
}

const SPARSE: &str = "it has sparse tensors, which are not read";

fn check_attribute(attribute: Message, tally: &mut Tally) -> Result<()> {
    use field::attribute as of;
    tally.takes(taken::ATTRIBUTE)?;
    let tensors = attribute.every(of::TENSOR).count();
    ensure!(
        tensors <= 1,
        "one of its attributes has two tensors for one"
    );
    for (number, field) in whole(attribute)?.flatten() {
        match (number, field) {
            (of::TENSOR | of::TENSORS, Field::Bytes(tensor)) => {
                check_tensor(Message(tensor), tally)?;
            }
            (of::GRAPH | of::GRAPHS, _) => {
                bail!(
                    "it has a graph within its graph (If, Loop or Scan), which a classifier needs not"
                )
            }
            (of::SPARSE_TENSOR | of::SPARSE_TENSORS, _) => bail!(SPARSE),
            (of::INTS | of::FLOATS, field) => tally.takes(numbers(field) * taken::NUMBER)?,
            _ => tally.takes(taken::OTHER)?,
        }
    }
    Ok(())
}

/// The most numbers that a field can hold one after another.
fn numbers(field: Field) -> usize {
    match field {
        // The last byte of an integer is below 128.
        Field::Bytes(packed) => packed.iter().filter(|&&byte| byte < 0x80).count(),
        Field::Number(_) | Field::Fixed => 1,
    }
}

fn check_tensor(tensor: Message, tally: &mut Tally) -> Result<()> {
    use field::tensor as of;
    tally.takes(taken::TENSOR)?;
    let tensor = whole(tensor)?;
    let name = || {
        let name: String = tensor.text(of::NAME).chars().take(40).collect();
        format!("its tensor {name:?}")
    };
    for (number, field) in tensor.flatten() {
        match (number, field) {
            (of::LOCATION, Field::Number(1)) | (of::EXTERNAL, _) => bail!(
                "{} lies in another file, which is not read: save the model as one file",
                name()
            ),
            (of::SEGMENT, _) => bail!("{} comes in segments, which are not read", name()),
            // Four or eight bytes each, and copied.
            (of::FLOATS | of::DOUBLES, Field::Bytes(packed)) => tally.takes(2 * packed.len())?,
            (of::INT32S | of::INT64S | of::UINT64S | of::DIMS, field) => {
                tally.takes(numbers(field) * taken::NUMBER)?;
            }
            (of::RAW, _) => {}
            _ => tally.takes(taken::OTHER)?,
        }
    }
    let volume = volume(tensor).with_context(|| format!("{} has impossible dimensions", name()))?;
    let kind = tensor.number(of::TYPE).unwrap_or(0);
    let width = width(kind)
        .with_context(|| format!("{} is of the type {kind}, which is not read", name()))?;
    let raw = tensor.bytes(of::RAW).last().map_or(0, <[u8]>::len);
    let claimed = volume.checked_mul(width);
    ensure!(
        raw == 0 || claimed == Some(raw),
        "{} has {raw} bytes where its dimensions say {volume} times {width}",
        name()
    );
    Ok(())
}

/// The number of values, from dimensions that stand one by one or packed.
fn volume(tensor: Message) -> Option<usize> {
    let mut volume: usize = 1;
    let mut rank = 0;
    let mut times = |dim: u64| {
        rank += 1;
        volume = volume.checked_mul(usize::try_from(dim.cast_signed()).ok()?)?;
        (rank <= MAX_RANK).then_some(())
    };
    for field in tensor.every(field::tensor::DIMS) {
        match field {
            Field::Number(dim) => times(dim)?,
            Field::Bytes(packed) => {
                for dim in Message(packed).varints() {
                    times(dim.ok()?)?;
                }
            }
            Field::Fixed => return None,
        }
    }
    Some(volume)
}

/// Bytes of a value of a TensorProto.DataType: numbers of 8 to 64 bits.
fn width(kind: u64) -> Option<usize> {
    match kind {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}
