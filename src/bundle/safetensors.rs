//! Reading a safetensors file as it arrives: eight bytes of header length, a JSON header, the
//! tensors one after another. The file is never held whole.

use half::f16;
use sha2::{Digest, Sha256};

use super::header::Entries;
use super::{BundleError, WeightsFile};

/// A header beyond this is no header of ours: a name and three numbers for each tensor.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// One tensor, complete.
#[derive(Debug)]
pub(crate) struct ReadTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
    /// Whether the file has it in 16-bit floats.
    pub(crate) half: bool,
}

/// A tensor's values.
#[derive(Debug)]
pub(crate) enum Values {
    /// Finite floats.
    Floats(Vec<f32>),
    /// Signed integers, one a byte.
    Integers(Vec<u8>),
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
    /// Tensors to come, the next one last.
    Tensors(Vec<Pending>),
}

/// Reads one file, chunk by chunk, and checks it: length, SHA-256, header, types, finite numbers.
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
        Err(BundleError::BadWeights {
            file: self.file.file.clone(),
            reason: reason.into(),
        })
    }

    /// How many bytes complete what is being read now.
    fn wanted(&self) -> Option<usize> {
        match &self.state {
            State::Length => Some(8),
            State::Header(bytes) => Some(*bytes),
            State::Tensors(pending) => pending.last().map(|p| p.bytes),
        }
    }

    /// Takes the next bytes of the file; hands every tensor that they complete to `sink`.
    pub(super) fn push(
        &mut self,
        mut chunk: &[u8],
        sink: &mut dyn FnMut(ReadTensor) -> Result<(), BundleError>,
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
            if chunk.len() < missing {
                self.buffer.extend_from_slice(chunk);
                return Ok(());
            }
            let (now, later) = chunk.split_at(missing);
            self.buffer.extend_from_slice(now);
            chunk = later;
            let part = std::mem::take(&mut self.buffer);
            if let Some(tensor) = self.complete(part)? {
                sink(tensor)?;
            }
        }
        if chunk.is_empty() {
            Ok(())
        } else {
            self.bad("there are bytes after the last tensor")
        }
    }

    fn complete(&mut self, part: Vec<u8>) -> Result<Option<ReadTensor>, BundleError> {
        match &mut self.state {
            State::Length => {
                let length = part
                    .iter()
                    .rev()
                    .fold(0u64, |n, &b| (n << 8) | u64::from(b));
                if length > MAX_HEADER_BYTES || length + 8 > self.file.bytes {
                    return self.bad(format!("its header claims {length} bytes"));
                }
                self.state = State::Header(length as usize);
                Ok(None)
            }
            State::Header(_) => {
                let mut pending = self.parse_header(&part)?;
                pending.reverse();
                self.state = State::Tensors(pending);
                Ok(None)
            }
            State::Tensors(pending) => match pending.pop() {
                Some(tensor) => decode(tensor, part).map(Some),
                None => Ok(None),
            },
        }
    }

    /// The tensors in the order of their bytes, which must follow one another without a gap.
    fn parse_header(&self, header: &[u8]) -> Result<Vec<Pending>, BundleError> {
        let entries = match Entries::parse(header, self.file.bytes) {
            Ok(entries) => entries,
            Err(e) => return self.bad(format!("its header cannot be understood: {e}")),
        };
        if let Some(tensor) = entries.duplicate {
            return Err(BundleError::DuplicateTensor {
                file: self.file.file.clone(),
                tensor,
            });
        }
        let mut found: Vec<_> = entries.by_name.into_iter().collect();
        found.sort_by_key(|(_, entry)| entry.data_offsets);
        // What the tensors may take: no claim of the header leads beyond the length in config.json.
        let room = self.file.bytes - 8 - header.len() as u64;
        let mut at = 0;
        let mut pending = Vec::new();
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
                    return self.bad(format!(
                        "the bytes {start} to {end} of {name} do not fit its shape, the tensor before it or the file"
                    ));
                }
            }
            at = end;
        }
        if at != room {
            return self.bad(format!(
                "its tensors take {at} bytes where there are {room}"
            ));
        }
        Ok(pending)
    }

    /// Checks that the file is complete and is the right one.
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

/// The tensors of a file that is held whole, in the order of their bytes.
pub(crate) fn read_whole(name: &str, bytes: &[u8]) -> Result<Vec<ReadTensor>, BundleError> {
    let mut reader = FileReader::new(WeightsFile {
        file: name.to_owned(),
        bytes: bytes.len() as u64,
        sha256: hex(&Sha256::digest(bytes)),
    });
    let mut tensors = Vec::new();
    reader.push(bytes, &mut |tensor| {
        tensors.push(tensor);
        Ok(())
    })?;
    match &reader.state {
        State::Tensors(pending) if pending.is_empty() => Ok(tensors),
        _ => reader.bad("it ends within a tensor or its header"),
    }
}

fn decode(tensor: Pending, bytes: Vec<u8>) -> Result<ReadTensor, BundleError> {
    let floats: Vec<f32> = match tensor.dtype {
        DType::F32 => bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        DType::F16 => bytes
            .chunks_exact(2)
            .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        DType::I8 => {
            return Ok(ReadTensor {
                name: tensor.name,
                shape: tensor.shape,
                values: Values::Integers(bytes),
                half: false,
            });
        }
    };
    if floats.iter().all(|v| v.is_finite()) {
        Ok(ReadTensor {
            name: tensor.name,
            shape: tensor.shape,
            values: Values::Floats(floats),
            half: tensor.dtype == DType::F16,
        })
    } else {
        Err(BundleError::NotFinite {
            tensor: tensor.name,
        })
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
