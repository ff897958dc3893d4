//! The header of a safetensors file: its length in eight bytes, then JSON.

use std::fmt;
use std::io::{Read, Seek};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{DType, Entries, Entry, MAX_RANK, Shape, WeightsError, check_extent};

fn bad<T>(reason: impl Into<String>) -> Result<T, WeightsError> {
    Err(WeightsError::Safetensors(reason.into()))
}

/// The memory of an entry, without its name.
const ENTRY_BYTES: u64 = 208;

/// Reads the header and checks it against the file's length.
pub(super) fn entries<R: Read + Seek>(
    reader: &mut R,
    length: u64,
) -> Result<Entries, WeightsError> {
    let json = header(reader, length)?;
    let header = Header {
        data: 8 + json.len() as u64,
        room: length - 8 - json.len() as u64,
        // If the header is the whole file, a string in it may take what the entries leave.
        budget: length / 2 + (128 << 10),
    };
    let entries = parse(header, &json)?;
    drop(json);
    let ends = |entry: &Entry| {
        let bytes = entry.shape.bytes(entry.dtype).unwrap_or(u64::MAX);
        [entry.at, entry.at.saturating_add(bytes)]
    };
    let mut places: Vec<_> = entries.values().map(ends).collect();
    places.sort_unstable();
    match places.windows(2).all(|pair| pair[0][1] <= pair[1][0]) {
        true => Ok(entries),
        false => bad("two of its tensors share bytes"),
    }
}

/// The string under `key` in the header's `__metadata__`.
pub(super) fn text<R: Read + Seek>(
    reader: &mut R,
    length: u64,
    key: &str,
) -> Result<Option<String>, WeightsError> {
    reader.rewind()?;
    let json = header(reader, length)?;
    parse(Under(&["__metadata__", key]), &json)
}

/// The header's JSON.
fn header<R: Read + Seek>(reader: &mut R, length: u64) -> Result<Vec<u8>, WeightsError> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    let header = u64::from_le_bytes(bytes);
    if header > length.saturating_sub(8) {
        return bad(format!(
            "its header claims {header} bytes, but the file has {length}: it was cut off"
        ));
    }
    let mut json = vec![0; header as usize];
    reader.read_exact(&mut json)?;
    let longest = usize::try_from(length / 8).unwrap_or(usize::MAX);
    check_extent(&json, longest.saturating_add(32 << 10)).or_else(bad)?;
    Ok(json)
}

fn parse<'de, S: DeserializeSeed<'de>>(seed: S, json: &'de [u8]) -> Result<S::Value, WeightsError> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let value = seed.deserialize(&mut json);
    let value = value.and_then(|value| json.end().map(|()| value));
    value.or_else(|e| bad(e.to_string()))
}

/// Reads a string in nested objects by its keys, and skips the rest.
struct Under<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Under<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => String::deserialize(from).map(Some),
            _ => from.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Under<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            match self.0.split_first() {
                Some((first, rest)) if key == *first => found = map.next_value_seed(Under(rest))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Reads the entries. Each is checked as soon as it is read.
struct Header {
    /// The position of the tensors.
    data: u64,
    /// The number of their bytes.
    room: u64,
    /// The number of bytes that the entries and their names may take in memory.
    budget: u64,
}

impl<'de> DeserializeSeed<'de> for Header {
    type Value = Entries;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Header {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an entry for each tensor")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Entries, A::Error> {
        use serde::de::Error;
        let mut entries = Entries::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let read: Described = map.next_value()?;
            let [start, end] = read.data_offsets;
            let fits = read
                .shape
                .0
                .bytes(read.dtype.0)
                .is_some_and(|bytes| start.checked_add(bytes) == Some(end) && end <= self.room);
            if !fits {
                return Err(A::Error::custom(format_args!(
                    "the bytes {start} to {end} of {name} do not match its shape or the file, which may have been cut off"
                )));
            }
            let left = self.budget.checked_sub(ENTRY_BYTES + name.len() as u64);
            self.budget =
                left.ok_or_else(|| A::Error::custom("it has more tensors than a network"))?;
            let entry = Entry {
                shape: read.shape.0,
                dtype: read.dtype.0,
                at: self.data + start,
                contiguous: true,
            };
            if let Some(name) = entries.insert(name.into(), entry).map(|_| "a tensor") {
                return Err(A::Error::custom(format_args!("{name} occurs twice")));
            }
        }
        Ok(entries)
    }
}

#[derive(Deserialize)]
struct Described {
    dtype: Type,
    shape: Dims,
    data_offsets: [u64; 2],
}

struct Type(DType);

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let name = String::deserialize(deserializer)?;
        Ok(Self(match name.as_str() {
            "F64" => DType::F64,
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "BOOL" | "U8" | "I8" => DType::Other(1),
            "I16" | "U16" => DType::Other(2),
            "I32" | "U32" => DType::Other(4),
            "I64" | "U64" => DType::Other(8),
            _ => return Err(D::Error::custom("a tensor has an unknown type")),
        }))
    }
}

struct Dims(Shape);

impl<'de> Deserialize<'de> for Dims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Few;
        impl<'de> Visitor<'de> for Few {
            type Value = Dims;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "up to {MAX_RANK} dimensions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Dims, A::Error> {
                use serde::de::Error;
                let (mut dims, mut rank) = ([0; MAX_RANK], 0);
                while let Some(dim) = seq.next_element::<u64>()? {
                    match dims.get_mut(rank) {
                        Some(place) => *place = dim,
                        None => return Err(A::Error::custom("a tensor has too many dimensions")),
                    }
                    rank += 1;
                }
                let shape = Shape::new(&dims[..rank]);
                shape.map(Dims).ok_or_else(|| A::Error::custom("a shape"))
            }
        }
        deserializer.deserialize_seq(Few)
    }
}
