//! The header of an untrusted safetensors file. The number of tensors, of their dimensions and of the bytes of their names
//! are limited before they are stored.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::json_extent::check_extent;
use crate::bounded;

/// The most dimensions of a tensor.
const MAX_RANK: usize = 8;
/// The most bytes of the name of a tensor or of its type.
const MAX_NAME: usize = 512;

/// A header's entry for one tensor.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(deserialize_with = "short")]
    pub(super) dtype: String,
    #[serde(deserialize_with = "bounded::list::<MAX_RANK, _, _>")]
    pub(super) shape: Vec<usize>,
    pub(super) data_offsets: [u64; 2],
}

/// The header's entries, and a name that occurs twice if there is one. (A JSON reader would keep the last entry silently.)
#[derive(Default)]
pub(super) struct Entries {
    pub(super) by_name: BTreeMap<String, Entry>,
    pub(super) duplicate: Option<String>,
}

impl Entries {
    /// Reads the header of a file of `bytes` bytes.
    pub(super) fn parse(header: &[u8], bytes: u64) -> Result<Self, serde_json::Error> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        // Even if the header is the whole file, its strings and entries take half of its size plus these constants.
        check_extent(header, (bytes / 8).saturating_add(32 << 10)).map_err(Error::custom)?;
        let room = Room((bytes / 2).saturating_add(128 << 10));
        let mut json = serde_json::Deserializer::from_slice(header);
        let entries = room.deserialize(&mut json)?;
        json.end().map(|()| entries)
    }
}

/// The bytes of memory that the remaining entries may take. No network's file has so many small tensors.
struct Room(usize);

/// Bytes of an entry beside its name and its type, while the table of entries grows.
const ENTRY_BYTES: usize = 288;

impl<'de> DeserializeSeed<'de> for Room {
    type Value = Entries;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Room {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an entry for each tensor")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if name.len() > MAX_NAME {
                return Err(A::Error::custom("a tensor's name is too long"));
            }
            let entry = map
                .next_value::<Entry>()
                .map_err(|e| A::Error::custom(format_args!("its entry for {name}: {e}")))?;
            let taken = ENTRY_BYTES + name.len() + entry.dtype.len();
            self.0 = (self.0.checked_sub(taken))
                .ok_or_else(|| A::Error::custom("it lists more tensors than a network has"))?;
            if entries.by_name.insert(name.clone(), entry).is_some() {
                entries.duplicate = Some(name);
            }
        }
        Ok(entries)
    }
}

fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.len() {
        0..=MAX_NAME => Ok(text),
        _ => Err(D::Error::custom("its type is too long")),
    }
}
