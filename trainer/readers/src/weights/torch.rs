//! Checkpoints of `torch.save` since PyTorch 1.6: an archive with a pickle, `data.pkl`, and one file per storage with
//! its values.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::pickle::{Pickle, Value};
use super::zip::Archive;
use super::{Entries, Entry, WeightsError};

fn bad<T>(reason: impl Into<String>) -> Result<T, WeightsError> {
    Err(WeightsError::Torch(reason.into()))
}

/// The largest number of bytes of a pickle or a small member that are read at a time.
const BUFFER: usize = 8192;

/// Reads the pickle and locates the values of every tensor.
pub(super) fn entries<R: Read + Seek>(
    reader: &mut R,
    length: u64,
) -> Result<Entries, WeightsError> {
    let archive = Archive::read(reader, length)?;
    let Some(folder) = archive.folder() else {
        return bad("there is no data.pkl in it");
    };
    if let Some(order) = archive.find(folder, "byteorder") {
        let start = archive.stored(reader, order)?;
        let mut text = String::new();
        reader.seek(SeekFrom::Start(start))?;
        reader
            .by_ref()
            .take(order.bytes.min(16))
            .read_to_string(&mut text)?;
        if text.trim() != "little" {
            return bad("its values are big-endian");
        }
    }
    let Some(pickled) = archive.find(folder, "data.pkl") else {
        return bad("there is no data.pkl in it");
    };
    let start = archive.stored(reader, pickled)?;
    reader.seek(SeekFrom::Start(start))?;
    let mut pickle = Pickle::new(length);
    let mut input = BufReader::with_capacity(BUFFER, reader.by_ref().take(pickled.bytes));
    let top = pickle.load(&mut input)?;
    collect(&pickle, top, length, &mut |key, bytes| {
        let Some(member) = archive.find(folder, &format!("data/{key}")) else {
            return bad(format!("the values of its storage {key} are missing"));
        };
        if member.bytes < bytes {
            return bad(format!("the values of its storage {key} were cut off"));
        }
        archive.stored(reader, member)
    })
}

/// The tensors of the dictionary `top` and of dictionaries in it, whose tensors are named after both keys. `find`
/// returns the position in the file of a storage of which this many bytes are needed.
pub(super) fn collect(
    pickle: &Pickle,
    top: Value,
    length: u64,
    find: &mut dyn FnMut(&str, u64) -> Result<u64, WeightsError>,
) -> Result<Entries, WeightsError> {
    let Value::Dict(_) = top else {
        return bad("it contains no dictionary of tensors");
    };
    let mut inner = HashMap::new();
    for (dict, key, value) in pickle.pairs() {
        if dict == top
            && let (Value::Dict(id), Some(name)) = (value, pickle.text_of(key))
        {
            inner.insert(id, name);
        }
    }
    let mut entries = Entries::new();
    // Names are copied here, but no more of them than the file has bytes.
    let mut named = 0;
    for (dict, key, value) in pickle.pairs() {
        let (Some((tensor, storage, storage_key)), Some(name)) =
            (pickle.tensor(value), pickle.text_of(key))
        else {
            continue;
        };
        let prefix = match dict {
            dict if dict == top => None,
            Value::Dict(id) => match inner.get(&id) {
                Some(prefix) => Some(*prefix),
                None => continue,
            },
            _ => continue,
        };
        named += name.len() + prefix.map_or(0, str::len) + 128;
        if named as u64 > length / 2 + (64 << 10) {
            return Err(WeightsError::Overfull(length));
        }
        let name = match prefix {
            Some(prefix) => format!("{prefix}.{name}"),
            None => name.to_owned(),
        };
        let size = storage.dtype.bytes();
        let Some(bytes) = storage.count.checked_mul(size) else {
            return bad("a tensor in it is larger than the file");
        };
        let start = find(storage_key, bytes)?;
        let entry = Entry {
            shape: tensor.shape,
            dtype: storage.dtype,
            // In the storage, which is in the file.
            at: start + tensor.offset.saturating_mul(size),
            contiguous: tensor.contiguous,
        };
        entries.insert(name.into(), entry);
    }
    if entries.is_empty() {
        return bad("it contains no dictionary of tensors");
    }
    Ok(entries)
}
