//! The values on the stack of a pickle.

use super::super::{DType, Shape};

/// A value on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A value that no tensor is rebuilt from: a fraction, a list, bytes.
    Other,
    /// An integer from 0.
    Number(u32),
    /// The index of a large integer in the table of integers.
    Large(u32),
    /// A text, in the table of texts.
    Text(u32),
    /// A tuple, in the table of tuples.
    Tuple(u32),
    /// A dictionary, by its number.
    Dict(u32),
    /// A name that may be called.
    Global(Global),
    /// A run of numbers, in the table of storages.
    Storage(u32),
    /// A tensor, in the table of tensors.
    Tensor(u32),
    /// A list, by its number, where arrays are wanted.
    List(u32),
    /// Bytes in the file, in their table, where arrays are wanted.
    Bytes(u32),
    /// An array of NumPy's, in the table of arrays.
    Array(u32),
    /// What the numbers of an array are, in the table of kinds.
    Kind(u32),
}

/// The names that weights need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(DType),
    Reconstruct,
    FromBuffer,
    NdArray,
    NumpyDType,
}

impl Global {
    /// A name of those that rebuild tensors or, where `arrays` are wanted, NumPy's arrays.
    pub(super) fn find(module: &str, name: &str, arrays: bool) -> Option<Self> {
        if arrays {
            return Self::of_arrays(module, name);
        }
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

    fn of_arrays(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Self::Reconstruct
            }
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy", "dtype") => Self::NumpyDType,
            _ => return None,
        })
    }
}

/// A storage: values in the file that tensors are views of.
#[derive(Debug, Clone, Copy)]
pub struct Storage {
    /// The index of its name in the table of strings.
    pub(super) key: u32,
    /// What they are.
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
    /// Its shape.
    pub shape: Shape,
    /// Whether its numbers follow one another in the order of its dimensions.
    pub contiguous: bool,
}
