//! Reads a safetensors file as it arrives: eight bytes of header length, a JSON header, and the tensors. The file is never
//! held whole.

use std::collections::BTreeMap;

use half::f16;
use sha2::{Digest, Sha256};

use super::header::Entries;
use super::{BundleError, WeightsFile};

/// The most bytes of a header, which has a name and a few numbers for each tensor.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// A complete tensor.
#[derive(Debug)]
pub(crate) struct ReadTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
    /// Whether it is stored in 16-bit floats.
    pub(crate) half: bool,
}

/// A tensor's values.
#[derive(Debug)]
pub(crate) enum Values {
    /// Finite floats.
    Floats(Vec<f32>),
    /// Signed integers of one byte.
    Integers(Vec<u8>),
}

/// The destination of the tensors.
pub(super) trait Sink {
    /// Checks a tensor before its bytes arrive.
    fn expects(&self, name: &str, shape: &[usize]) -> Result<(), BundleError>;

    /// Takes a tensor.
    fn accept(&mut self, tensor: ReadTensor) -> Result<(), BundleError>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DType {
    F32,
    F16,
    I8,
}

impl DType {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }
}

#[derive(Debug)]
struct Pending {
    name: String,
    shape: Vec<usize>,
    dtype: DType,
    bytes: usize,
}

#[derive(Debug)]
enum State {
    Length,
    Header(usize),
    /// The remaining tensors, the next one last.
    Tensors(Vec<Pending>),
}

/// Reads one file chunk by chunk, and checks its length, SHA-256, header, types and that all numbers are finite.
#[derive(Debug)]
pub(super) struct FileReader {
    file: WeightsFile,
    seen: u64,
    hash: Sha256,
    state: State,
    buffer: Vec<u8>,
}

impl FileReader {
    pub(super) fn new(file: WeightsFile) -> Self {
        Self {
            file,
            seen: 0,
            hash: Sha256::new(),
            state: State::Length,
            buffer: Vec::new(),
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.file.file
    }

    fn bad<T>(&self, reason: impl Into<String>) -> Result<T, BundleError> {
        bad(&self.file.file, reason)
    }

    /// The bytes of the part that is being read.
    fn wanted(&self) -> Option<usize> {
        match &self.state {
            State::Length => Some(8),
            State::Header(bytes) => Some(*bytes),
            State::Tensors(pending) => pending.last().map(|p| p.bytes),
        }
    }

    /// Takes the next bytes of the file, and passes every tensor that they complete to `sink`. Tensors that `sink` refuses
    /// are never buffered.
    pub(super) fn push(
        &mut self,
        mut chunk: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<(), BundleError> {
        self.seen += chunk.len() as u64;
        if self.seen > self.file.bytes {
            return Err(BundleError::Length {
                file: self.file.file.clone(),
                expected: self.file.bytes,
                found: self.seen,
            });
        }
        self.hash.update(chunk);
        while let Some(wanted) = self.wanted() {
            let missing = wanted - self.buffer.len();
            // The exact size: a header is limited, and a tensor is one of the network's.
            self.buffer.reserve_exact(missing);
            if chunk.len() < missing {
                self.buffer.extend_from_slice(chunk);
                return Ok(());
            }
            let (now, later) = chunk.split_at(missing);
            self.buffer.extend_from_slice(now);
            chunk = later;
            let part = std::mem::take(&mut self.buffer);
            if let Some(tensor) = self.complete(part, sink)? {
                sink.accept(tensor)?;
            }
        }
        if chunk.is_empty() {
            Ok(())
        } else {
            self.bad("there are bytes after the last tensor")
        }
    }

    fn complete(
        &mut self,
        part: Vec<u8>,
        sink: &dyn Sink,
    ) -> Result<Option<ReadTensor>, BundleError> {
        match &mut self.state {
            State::Length => {
                let length = header_length(&self.file.file, self.file.bytes, &part)?;
                self.state = State::Header(length);
                Ok(None)
            }
            State::Header(_) => {
                let mut pending = pending(&self.file.file, self.file.bytes, &part)?;
                for tensor in &pending {
                    sink.expects(&tensor.name, &tensor.shape)?;
                }
                pending.reverse();
                self.state = State::Tensors(pending);
                Ok(None)
            }
            State::Tensors(pending) => match pending.pop() {
                Some(tensor) => tensor.decode(part).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Checks the length and the SHA-256 of the file.
    pub(super) fn end(self) -> Result<(), BundleError> {
        if self.seen != self.file.bytes {
            return Err(BundleError::Length {
                file: self.file.file,
                expected: self.file.bytes,
                found: self.seen,
            });
        }
        let found = hex(&self.hash.finalize());
        if found != self.file.sha256 {
            return Err(BundleError::Hash {
                file: self.file.file,
                expected: self.file.sha256,
                found,
            });
        }
        Ok(())
    }
}

fn bad<T>(file: &str, reason: impl Into<String>) -> Result<T, BundleError> {
    Err(BundleError::BadWeights {
        file: file.to_owned(),
        reason: reason.into(),
    })
}

/// The length of the header, from the first bytes of a file of `bytes` bytes.
fn header_length(file: &str, bytes: u64, start: &[u8]) -> Result<usize, BundleError> {
    let digits = start.iter().rev();
    let length = digits.fold(0u64, |n, &b| (n << 8) | u64::from(b));
    if length > MAX_HEADER_BYTES || length + 8 > bytes {
        return bad(file, format!("its header claims {length} bytes"));
    }
    Ok(length as usize)
}

/// The tensors of a file of `bytes` bytes in the order of their data, which must have no gaps.
fn pending(file: &str, bytes: u64, header: &[u8]) -> Result<Vec<Pending>, BundleError> {
    let entries = match Entries::parse(header, bytes) {
        Ok(entries) => entries,
        Err(e) => return bad(file, format!("its header is invalid: {e}")),
    };
    if let Some(tensor) = entries.duplicate {
        return Err(BundleError::DuplicateTensor {
            file: file.to_owned(),
            tensor,
        });
    }
    let mut found: Vec<_> = entries.by_name.into_iter().collect();
    found.sort_by_key(|(_, entry)| entry.data_offsets);
    // The bytes of all tensors. Offsets beyond them are refused.
    let room = bytes - 8 - header.len() as u64;
    let mut at = 0;
    let mut pending = Vec::with_capacity(found.len());
    for (name, entry) in found {
        let dtype = match entry.dtype.as_str() {
            "F32" => DType::F32,
            "F16" => DType::F16,
            "I8" => DType::I8,
            other => {
                return Err(BundleError::DType {
                    tensor: name,
                    found: other.to_owned(),
                });
            }
        };
        let [start, end] = entry.data_offsets;
        let bytes = entry
            .shape
            .iter()
            .try_fold(dtype.bytes(), |n, &d| n.checked_mul(d))
            .filter(|&bytes| start.checked_add(bytes as u64) == Some(end));
        match bytes {
            Some(bytes) if start == at && end <= room => pending.push(Pending {
                name,
                shape: entry.shape,
                dtype,
                bytes,
            }),
            _ => {
                return bad(
                    file,
                    format!(
                        "the bytes {start} to {end} of {name} do not fit its shape, the tensor before it or the file"
                    ),
                );
            }
        }
        at = end;
    }
    if at != room {
        return bad(
            file,
            format!("its tensors take {at} bytes, but it has {room}"),
        );
    }
    Ok(pending)
}

/// A tensor of a file in memory.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) shape: Vec<usize>,
    dtype: DType,
    bytes: &'a [u8],
}

impl View<'_> {
    /// Its values, if they are finite floats.
    pub(crate) fn floats(&self) -> Option<Vec<f32>> {
        floats(self.dtype, self.bytes)
    }
}

/// The header of a file in memory, and its tensors by name.
pub(crate) fn view<'a>(
    file: &str,
    bytes: &'a [u8],
) -> Result<(&'a [u8], BTreeMap<String, View<'a>>), BundleError> {
    let Some((start, rest)) = bytes.split_at_checked(8) else {
        return bad(file, "it ends within its first eight bytes");
    };
    let length = header_length(file, bytes.len() as u64, start)?;
    // The header's length and those of the tensors are checked, so that no split can fail.
    let (header, mut rest) = rest.split_at(length);
    let mut views = BTreeMap::new();
    for tensor in pending(file, bytes.len() as u64, header)? {
        let (now, later) = rest.split_at(tensor.bytes);
        rest = later;
        let view = View {
            shape: tensor.shape,
            dtype: tensor.dtype,
            bytes: now,
        };
        views.insert(tensor.name, view);
    }
    Ok((header, views))
}

impl Pending {
    fn decode(self, bytes: Vec<u8>) -> Result<ReadTensor, BundleError> {
        let values = match self.dtype {
            DType::I8 => Some(Values::Integers(bytes)),
            dtype => floats(dtype, &bytes).map(Values::Floats),
        };
        match values {
            Some(values) => Ok(ReadTensor {
                name: self.name,
                shape: self.shape,
                values,
                half: self.dtype == DType::F16,
            }),
            None => Err(BundleError::NotFinite { tensor: self.name }),
        }
    }
}

/// The values, if they are finite floats.
fn floats(dtype: DType, bytes: &[u8]) -> Option<Vec<f32>> {
    let floats: Vec<f32> = match dtype {
        DType::F32 => bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        DType::F16 => bytes
            .chunks_exact(2)
            .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        DType::I8 => return None,
    };
    floats.iter().all(|v| v.is_finite()).then_some(floats)
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
