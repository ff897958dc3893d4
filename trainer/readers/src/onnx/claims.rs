//! Compares what an ONNX file claims with what it contains, before a library without memory limits reads it.
//!
//! The file is read in place: nothing is allocated.

use anyhow::{Context, Result, bail, ensure};

use super::wire::{Field, Message};

/// Bytes that the messages of a file may take as structs, in addition to twice the size of the file. A node takes some
/// hundred bytes, and a large network has a few thousand nodes.
pub const MAX_DECODED: usize = 64 << 20;

/// The largest number of dimensions of a tensor.
const MAX_RANK: usize = 8;

/// Three times the largest size of each kind of message as a struct, because a list that doubles as it grows exists
/// twice while it moves.
mod taken {
    pub const NODE: usize = 1 << 10;
    pub const ATTRIBUTE: usize = 3 << 10;
    pub const TENSOR: usize = 2 << 10;
    pub const VALUE: usize = 1 << 10;
    pub const OTHER: usize = 256;
    /// A number that takes one byte in the file and up to eight in memory, with its copies.
    pub const NUMBER: usize = 32;
}

/// The field numbers of ONNX's messages, as in onnx.proto.
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

/// Checks that the bytes of every tensor are present, that no other file is needed, that there are no subgraphs, and
/// that the decoded file takes at most twice its size plus [`MAX_DECODED`].
///
/// # Errors
///
/// A sentence about the first violation.
pub fn check(bytes: &[u8]) -> Result<()> {
    let mut tally = Tally(2 * bytes.len() + MAX_DECODED);
    let model = whole(Message(bytes))?;
    ensure!(
        model.messages(field::model::GRAPH).next().is_some(),
        "it is not an ONNX file: it has no graph"
    );
    // It comes last in most files, so a file without it may have been cut off.
    ensure!(
        model.messages(field::model::OPERATOR_SETS).next().is_some(),
        "it has no opset_import, which defines its operators: save it again with one, or download it again if it was cut off"
    );
    for (number, field) in model.flatten() {
        tally.takes(taken::OTHER)?;
        match (number, field) {
            (field::model::GRAPH, Field::Bytes(graph)) => check_graph(Message(graph), &mut tally)?,
            (field::model::FUNCTIONS | field::model::TRAINING, _) => {
                bail!("it defines its own functions or training, which are not supported")
            }
            _ => {}
        }
    }
    Ok(())
}

/// The memory that is left.
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

/// Counts the fields of a message and of nested messages, down to the depth that is decoded.
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

const SPARSE: &str = "it has sparse tensors, which are not supported";

fn check_attribute(attribute: Message, tally: &mut Tally) -> Result<()> {
    use field::attribute as of;
    tally.takes(taken::ATTRIBUTE)?;
    let tensors = attribute.every(of::TENSOR).count();
    ensure!(
        tensors <= 1,
        "one of its attributes has two tensors instead of one"
    );
    for (number, field) in whole(attribute)?.flatten() {
        match (number, field) {
            (of::TENSOR | of::TENSORS, Field::Bytes(tensor)) => {
                check_tensor(Message(tensor), tally)?;
            }
            (of::GRAPH | of::GRAPHS, _) => {
                bail!("it has a subgraph (If, Loop or Scan), which a classifier does not need")
            }
            (of::SPARSE_TENSOR | of::SPARSE_TENSORS, _) => bail!(SPARSE),
            (of::INTS | of::FLOATS, field) => tally.takes(numbers(field) * taken::NUMBER)?,
            _ => tally.takes(taken::OTHER)?,
        }
    }
    Ok(())
}

/// The largest number of values in a packed field.
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
                "{} is stored in another file, which is not supported: save the model as one file",
                name()
            ),
            (of::SEGMENT, _) => bail!("{} is stored in segments, which is not supported", name()),
            // Four or eight bytes per value, plus a copy.
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
        .with_context(|| format!("{} has type {kind}, which is not supported", name()))?;
    let raw = tensor.bytes(of::RAW).last().map_or(0, <[u8]>::len);
    let claimed = volume.checked_mul(width);
    ensure!(
        raw == 0 || claimed == Some(raw),
        "{} has {raw} bytes, but its dimensions require {volume} times {width}",
        name()
    );
    Ok(())
}

/// The number of values, from dimensions in packed or unpacked form.
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

/// The bytes of a value of a TensorProto.DataType, for numbers of 8 to 64 bits.
fn width(kind: u64) -> Option<usize> {
    match kind {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}
