//! Reads weights from files of other programs: safetensors, and files of PyTorch's `torch.save`.
//!
//! Opening a file reads the descriptions of its tensors. Values are read one tensor at a time, when they are requested.
//! No claim of a file is trusted beyond its own length: opening it takes at most twice its size plus a fixed number of
//! kilobytes.
//!
//! Pickles are treated as data. The reader knows the few instructions and names that rebuild tensors, and refuses every
//! other by name. Nothing in a file is ever executed.

// Shared with the library. The reader is fuzzed without the library, which takes long to compile.
#[path = "../../../../src/bundle/json_extent.rs"]
mod json_extent;
mod legacy;
pub mod pickle;
mod safetensors;
mod torch;
mod wrapped;
pub mod zip;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use half::{bf16, f16};
pub use json_extent::check_extent;
use thiserror::Error;

/// Why weights cannot be read. Each message continues a sentence that starts with the file name.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// Reading the file failed.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// It ends before it should.
    #[error("is shorter than its parts: it was cut off")]
    CutOff,
    /// The format is unknown.
    #[error("is neither a safetensors file nor a PyTorch checkpoint")]
    Unknown,
    /// A pointer to the file, which Git leaves if Git LFS is not installed.
    #[error("is a Git LFS pointer and not the file itself: fetch it with `git lfs pull`")]
    Pointer,
    /// An invalid safetensors file.
    #[error("is not a valid safetensors file: {0}")]
    Safetensors(String),
    /// An invalid or damaged PyTorch checkpoint.
    #[error("is not a valid PyTorch checkpoint: {0}")]
    Torch(String),
    /// Its pickle would have to be executed.
    #[error(
        "would run code: its pickle asks for {0}, which weights do not need. Save only the weights, with torch.save(model.state_dict(), FILE) or as safetensors"
    )]
    Code(String),
    /// The file describes too much for its size.
    #[error("describes more than its {0} bytes can hold: it is not a checkpoint")]
    Overfull(u64),
    /// A tensor is missing.
    #[error("has no tensor {0}")]
    Missing(String),
    /// A tensor in an unsupported form.
    #[error("has the tensor {name} {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl From<io::Error> for WeightsError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Io(error),
        }
    }
}

/// The data type of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    /// 64-bit floats.
    F64,
    /// 32-bit floats.
    F32,
    /// 16-bit floats with 5 bits of exponent.
    F16,
    /// 16-bit floats with 8 bits of exponent.
    BF16,
    /// Integers or booleans with this number of bytes, which are never weights.
    Other(u8),
}

impl DType {
    fn bytes(self) -> u64 {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Other(bytes) => u64::from(bytes),
        }
    }
}

/// The largest number of dimensions of a tensor.
const MAX_RANK: usize = 6;

/// The sizes of a tensor or an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    dims: [u64; MAX_RANK],
    rank: u8,
}

impl Shape {
    fn new(dims: &[u64]) -> Option<Self> {
        let mut shape = Self {
            dims: [1; MAX_RANK],
            rank: dims.len() as u8,
        };
        shape.dims.get_mut(..dims.len())?.copy_from_slice(dims);
        Some(shape)
    }

    fn dims(&self) -> &[u64] {
        &self.dims[..usize::from(self.rank)]
    }

    /// Bytes of a tensor of this shape.
    fn bytes(&self, dtype: DType) -> Option<u64> {
        let mut dims = self.dims().iter();
        dims.try_fold(dtype.bytes(), |n, &d| n.checked_mul(d))
    }
}

/// The location of a tensor's values.
#[derive(Debug, Clone)]
struct Entry {
    shape: Shape,
    dtype: DType,
    /// The position of the first byte in the file.
    at: u64,
    /// Whether its values are contiguous in the order of its dimensions.
    contiguous: bool,
}

type Entries = BTreeMap<Box<str>, Entry>;

/// The number of items, of some dozen bytes each, that a file of `bytes` bytes may describe.
fn budget(bytes: u64) -> usize {
    usize::try_from(bytes / 64)
        .unwrap_or(usize::MAX)
        .saturating_add(2048)
}

/// A tensor in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values; the last dimension changes fastest.
    pub values: Vec<f32>,
}

/// The tensors of one file, or of several that belong together.
#[derive(Debug)]
pub struct Weights<R = BufReader<File>> {
    files: Vec<Opened<R>>,
    /// What was taken off before their names.
    prefix: String,
}

/// A file whose tensors are known.
#[derive(Debug)]
struct Opened<R> {
    reader: R,
    length: u64,
    entries: Entries,
    /// The number of bytes of tensors that may still be requested.
    left: u64,
    /// Whether there is a header that may contain strings.
    safetensors: bool,
}

impl Weights {
    /// Opens a file, whatever its extension.
    ///
    /// # Errors
    ///
    /// [`WeightsError`], if the file is damaged or does not contain weights.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        Self::read(BufReader::new(File::open(path)?))
    }
}

impl<R: Read + Seek> Weights<R> {
    /// Like [`open`](Weights::open), from any reader.
    pub fn read(mut reader: R) -> Result<Self, WeightsError> {
        let length = reader.seek(SeekFrom::End(0))?;
        reader.rewind()?;
        let mut start = Vec::new();
        reader.by_ref().take(64).read_to_end(&mut start)?;
        reader.rewind()?;
        let mut safetensors = false;
        let entries = if start.starts_with(b"PK\x03\x04") {
            torch::entries(&mut reader, length)
        } else if start.starts_with(b"version https://git-lfs") {
            Err(WeightsError::Pointer)
        } else if start.get(8) == Some(&b'{') {
            safetensors = true;
            safetensors::entries(&mut reader, length)
        } else if start.first() == Some(&0x80) {
            legacy::entries(&mut reader, length)
        } else {
            Err(WeightsError::Unknown)
        }?;
        Ok(Self {
            files: vec![Opened {
                reader,
                length,
                entries,
                left: length,
                safetensors,
            }],
            prefix: String::new(),
        })
    }

    /// The metadata of a safetensors file under `key`.
    ///
    /// # Errors
    ///
    /// [`WeightsError`], if the file cannot be read any more or the metadata is not a string.
    pub fn text(&mut self, key: &str) -> Result<Option<String>, WeightsError> {
        for file in self.files.iter_mut().filter(|file| file.safetensors) {
            if let Some(text) = safetensors::text(&mut file.reader, file.length, key)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.files.iter().flat_map(|file| file.entries.keys());
        names.map(|name| &**name)
    }

    /// Whether there is a tensor with this name.
    pub fn contains(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.files.iter().find_map(|file| file.entries.get(name))
    }

    /// The shape of a tensor, if there is one with this name.
    pub fn dims(&self, name: &str) -> Option<Vec<usize>> {
        let dims = self.entry(name)?.shape.dims();
        Some(dims.iter().map(|&d| d as usize).collect())
    }

    /// Combines these tensors with those of another file.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Tensor`], if a tensor is in both.
    pub fn join(mut self, further: Self) -> Result<Self, WeightsError> {
        if let Some(name) = further.names().find(|name| self.contains(name)) {
            return Err(WeightsError::Tensor {
                name: name.to_owned(),
                problem: "that another file also has".to_owned(),
            });
        }
        self.files.extend(further.files);
        Ok(self)
    }

    /// The values of a tensor. All requests together may take at most the size of the file, because in a small file
    /// many large tensors could share the same bytes.
    ///
    /// # Errors
    ///
    /// [`WeightsError`], if there is no such tensor, if its values are not floating-point numbers or not finite, or if
    /// the tensors read before used up the file's bytes.
    pub fn values(&mut self, name: &str) -> Result<Values, WeightsError> {
        let mut files = self.files.iter_mut();
        let found = files.find_map(|file| {
            let entry = file.entries.get(name)?.clone();
            Some((file, entry))
        });
        let (file, entry) = found.ok_or_else(|| WeightsError::Missing(name.to_owned()))?;
        let reader = &mut file.reader;
        let problem = |problem: &str| WeightsError::Tensor {
            name: name.to_owned(),
            problem: problem.to_owned(),
        };
        if !entry.contiguous {
            return Err(problem(
                "as a view with gaps: save a copy, with tensor.contiguous()",
            ));
        }
        if matches!(entry.dtype, DType::Other(_)) {
            return Err(problem("of integers, which cannot be weights"));
        }
        // In range: the entry was checked against the file's length.
        let bytes = entry.shape.bytes(entry.dtype).unwrap_or(0);
        let left = file.left.checked_sub(bytes);
        file.left = left.ok_or_else(|| problem("in bytes that other tensors also use"))?;
        let count = (bytes / entry.dtype.bytes()) as usize;
        let mut values = Vec::with_capacity(count);
        reader.seek(SeekFrom::Start(entry.at))?;
        let mut chunk = [0u8; 8192];
        let mut left = bytes as usize;
        while left > 0 {
            let part = left.min(chunk.len());
            let part = &mut chunk[..part];
            reader.read_exact(part)?;
            decode(entry.dtype, part, &mut values);
            left -= part.len();
        }
        if !values.iter().all(|v| v.is_finite()) {
            return Err(problem("with a value that is not a finite number"));
        }
        Ok(Values {
            shape: entry.shape.dims().iter().map(|&d| d as usize).collect(),
            values,
        })
    }
}

fn decode(dtype: DType, bytes: &[u8], values: &mut Vec<f32>) {
    match dtype {
        DType::F64 => values.extend(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|&b| f64::from_le_bytes(b) as f32),
        ),
        DType::F32 => values.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
        DType::F16 => {
            values.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&b| f16::from_le_bytes(b).to_f32()),
            );
        }
        DType::BF16 => {
            values.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&b| bf16::from_le_bytes(b).to_f32()),
            );
        }
        DType::Other(_) => {}
    }
}
