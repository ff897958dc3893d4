//! Checkpoints of `torch.save` before PyTorch 1.6: five pickles in sequence (a magic number, a version, the machine,
//! the saved object, the names of its storages), then the length and the values of each storage in the order of the
//! names.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::pickle::{Counted, Pickle, Storage};
use super::torch::collect;
use super::{Entries, WeightsError};

/// The pickle of 0x1950a86a20f9469cfc6c.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

fn bad<T>(reason: impl Into<String>) -> Result<T, WeightsError> {
    Err(WeightsError::Torch(reason.into()))
}

/// Reads the pickles and locates the values of every tensor.
pub(super) fn entries<R: Read + Seek>(
    reader: &mut R,
    length: u64,
) -> Result<Entries, WeightsError> {
    let mut magic = [0; MAGIC.len()];
    if reader.read_exact(&mut magic).is_err() || magic != MAGIC {
        return Err(WeightsError::Code(
            "objects of its own (it was not written by torch.save)".to_owned(),
        ));
    }
    let mut input = Counted {
        input: BufReader::with_capacity(8192, reader.by_ref()),
        read: MAGIC.len() as u64,
    };
    let mut pickle = Pickle::new(length);
    pickle.load(&mut input)?;
    pickle.load(&mut input)?;
    let top = pickle.load(&mut input)?;
    let mut keys = Pickle::new(length / 4);
    keys.load(&mut input)?;
    let mut at = input.read;
    drop(input);

    // The names are in a list, so each is read once and in order.
    let storages: HashMap<&str, &Storage> = pickle.storages().collect();
    let mut starts = HashMap::new();
    for key in keys.texts() {
        let Some(storage) = storages.get(key) else {
            return bad(format!("its storage {key} is not used"));
        };
        let mut count = [0; 8];
        reader.seek(SeekFrom::Start(at))?;
        reader.read_exact(&mut count)?;
        if u64::from_le_bytes(count) != storage.count {
            return bad(format!(
                "the length of its storage {key} differs from that of its tensors"
            ));
        }
        starts.insert(key, at + 8);
        let bytes = storage.count.checked_mul(storage.dtype.bytes());
        let end = bytes.and_then(|bytes| bytes.checked_add(at + 8));
        at = match end {
            Some(end) if end <= length => end,
            _ => return bad(format!("the values of its storage {key} were cut off")),
        };
    }
    collect(&pickle, top, length, &mut |key, _| match starts.get(key) {
        Some(&start) => Ok(start),
        None => bad(format!("the values of its storage {key} are missing")),
    })
}
