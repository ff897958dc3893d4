//! The values on the stack of a pickle.

use super::super::{DType, Shape};

/// A value on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A value that no tensor is rebuilt from: a fraction, a list, bytes.
    Other,
    Number(u32),
    /// The index of a large integer in the table of integers.
    Large(u32),
    Text(u32),
    Tuple(u32),
    Dict(u32),
    Global(Global),
    Storage(u32),
    Tensor(u32),
}

/// The names that weights need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(DType),
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", "DoubleStorage") => Self::Storage(DType::F64),
            ("torch", "FloatStorage") => Self::Storage(DType::F32),
            ("torch", "HalfStorage") => Self::Storage(DType::F16),
            ("torch", "BFloat16Storage") => Self::Storage(DType::BF16),
            ("torch", "LongStorage") => Self::Storage(DType::Other(8)),
            ("torch", "IntStorage") => Self::Storage(DType::Other(4)),
            ("torch", "ShortStorage") => Self::Storage(DType::Other(2)),
            ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => {
                Self::Storage(DType::Other(1))
            }
            _ => return None,
        })
    }
}

/// A storage: values in the file that tensors are views of.
#[derive(Debug, Clone, Copy)]
pub struct Storage {
    /// The index of its name in the table of strings.
    pub(super) key: u32,
    pub dtype: DType,
    /// The number of values.
    pub count: u64,
}

/// A tensor that the pickle rebuilds.
#[derive(Debug, Clone, Copy)]
pub struct Rebuilt {
    pub(super) storage: u32,
    /// The index of its first value.
    pub offset: u64,
    pub shape: Shape,
    pub contiguous: bool,
}
