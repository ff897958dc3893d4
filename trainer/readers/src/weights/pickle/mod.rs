//! A reader for the pickles of `torch.save`. A pickle is a program for a stack machine, of which only the part that
//! rebuilds tensors is implemented. It calls nothing: a pickle may only refer to the names in [`Global`], and each of
//! them only records where a tensor is.
//!
//! [`Pickle::of_arrays`] knows the names that rebuild NumPy's arrays instead of tensors, and keeps lists: what data
//! sets are pickled as.
//!
//! Values have eight bytes and point into tables, so nesting, sharing or cycles in a hostile pickle cost no more than
//! its length. Tables grow by an eighth, and their memory is charged against the file's length.

mod arrays;
mod budget;
mod rebuild;
mod stack;
mod value;

use std::io::Read;

use super::WeightsError;
pub use arrays::Array;
use budget::Budget;
use value::Global;
pub use value::{Rebuilt, Storage, Value};

/// The objects that a pickle has built.
#[derive(Debug)]
pub struct Pickle {
    budget: Budget,
    stack: Vec<Value>,
    marks: Vec<u32>,
    memo: Vec<Value>,
    large: Vec<u64>,
    texts: Vec<Box<str>>,
    /// The values of all tuples, and the position of each tuple's values.
    members: Vec<Value>,
    tuples: Vec<[u32; 2]>,
    /// The pairs of all dictionaries: which dictionary, the key and the value.
    pairs: Vec<(u32, Value, Value)>,
    dicts: u32,
    storages: Vec<Storage>,
    tensors: Vec<Rebuilt>,
    /// What is kept where arrays are wanted; see `arrays.rs`.
    arrays: Option<arrays::Tables>,
}

fn bad<T>(reason: impl Into<String>) -> Result<T, WeightsError> {
    Err(WeightsError::Torch(reason.into()))
}

impl Pickle {
    /// A machine for the pickles of a file of `length` bytes.
    pub fn new(length: u64) -> Self {
        Self {
            // Tables that grow by an eighth take 17/8 of this while they are moved.
            budget: Budget {
                left: (length / 16 * 12).saturating_add(96 << 10),
                length,
            },
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            large: Vec::new(),
            texts: Vec::new(),
            members: Vec::new(),
            tuples: Vec::new(),
            pairs: Vec::new(),
            dicts: 0,
            storages: Vec::new(),
            tensors: Vec::new(),
            arrays: None,
        }
    }

    /// A machine for a pickle of arrays, lists and texts in a file of `length` bytes.
    pub fn of_arrays(length: u64) -> Self {
        Self {
            arrays: Some(arrays::Tables::default()),
            ..Self::new(length)
        }
    }

    /// Reads one pickle exactly to its end and returns the object.
    pub fn load<R: Read>(&mut self, input: &mut R) -> Result<Value, WeightsError> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        let mut input = Counted { input, read: 0 };
        loop {
            let [code] = bytes(&mut input)?;
            if code == b'.' {
                return self.pop();
            }
            self.step(code, &mut input)?;
        }
    }

    fn step<R: Read>(&mut self, code: u8, input: &mut Counted<R>) -> Result<(), WeightsError> {
        match code {
            // The version, and frames, which carry no information.
            0x80 => drop(bytes::<1>(input)?),
            0x95 => drop(bytes::<8>(input)?),
            b'(' => {
                let depth = self.stack.len() as u32;
                self.budget.push(&mut self.marks, depth)?;
            }
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let top = self.pop()?;
                self.push(top)?;
                self.push(top)?;
            }
            b'N' => self.push(Value::Other)?,
            b']' => self.list()?,
            0x88 => self.push(Value::Number(1))?,
            0x89 => self.push(Value::Number(0))?,
            b'K' => {
                let [byte] = bytes(input)?;
                self.push(Value::Number(byte.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(bytes(input)?);
                self.push(Value::Number(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(bytes(input)?);
                self.push(u32::try_from(number).map_or(Value::Other, Value::Number))?;
            }
            0x8a => self.long(input)?,
            b'G' => {
                bytes::<8>(input)?;
                self.push(Value::Other)?;
            }
            b'X' => {
                let length = u32::from_le_bytes(bytes(input)?).into();
                self.text(input, length)?;
            }
            0x8c => {
                let [length] = bytes(input)?;
                self.text(input, length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(bytes(input)?);
                self.text(input, length)?;
            }
            // Strings of Python 2, and bytes.
            b'U' => {
                let [length] = bytes(input)?;
                self.text(input, length.into())?;
            }
            b'B' | b'T' => {
                let length = u32::from_le_bytes(bytes(input)?).into();
                self.skip(input, length)?;
            }
            b'C' => {
                let [length] = bytes(input)?;
                self.skip(input, length.into())?;
            }
            0x8e | 0x96 => {
                let length = u64::from_le_bytes(bytes(input)?);
                self.skip(input, length)?;
            }
            b')' => self.tuple(0)?,
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let count = self.since_mark_kept()?;
                self.tuple(count)?;
            }
            b'a' => {
                let item = self.pop()?;
                let list = self.top()?;
                self.append(list, item)?;
            }
            b'e' => self.append_all()?,
            b'}' => self.dict()?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                let dict = self.top()?;
                self.set(dict, key, value)?;
            }
            b'u' => self.set_items()?,
            b'c' => {
                let (module, name) = (line(input)?, line(input)?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let pair = (self.text_of(module), self.text_of(name));
                let (Some(module), Some(name)) = pair else {
                    return bad("its pickle contains an unnamed reference");
                };
                let (module, name) = (module.to_owned(), name.to_owned());
                self.global(&module, &name)?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(storage)?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.reduce(function, arguments)?;
            }
            b'b' => self.build()?,
            b'q' => {
                let [place] = bytes(input)?;
                self.remember(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(bytes(input)?);
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let [place] = bytes(input)?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(bytes(input)?);
                self.recall(place)?;
            }
            other => {
                return Err(WeightsError::Code(format!("the instruction {other:#04x}")));
            }
        }
        Ok(())
    }

    fn long<R: Read>(&mut self, input: &mut Counted<R>) -> Result<(), WeightsError> {
        let [length] = bytes(input)?;
        let mut number = [0; 8];
        let value = match number.get_mut(..usize::from(length)) {
            Some(part) => {
                input.read_exact(part)?;
                u64::from_le_bytes(number)
            }
            // The magic number of the old format; nothing else is so large.
            None => {
                self.skip(input, length.into())?;
                return Ok(());
            }
        };
        let value = match u32::try_from(value) {
            Ok(small) => Value::Number(small),
            Err(_) => Value::Large(self.budget.push(&mut self.large, value)?),
        };
        self.push(value)
    }

    fn text<R: Read>(&mut self, input: &mut R, length: u64) -> Result<(), WeightsError> {
        // Charged before the allocation, so that no more is allocated than the file has.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.budget.charge(length)?;
        let mut text = vec![0; length];
        input.read_exact(&mut text)?;
        let Ok(text) = String::from_utf8(text) else {
            return bad("a string in its pickle is not UTF-8");
        };
        let place = self.budget.push(&mut self.texts, text.into_boxed_str())?;
        self.push(Value::Text(place))
    }

    fn skip<R: Read>(&mut self, input: &mut Counted<R>, length: u64) -> Result<(), WeightsError> {
        let at = input.read;
        if std::io::copy(&mut input.take(length), &mut std::io::sink())? < length {
            return Err(WeightsError::CutOff);
        }
        self.bytes_at(at, length)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), WeightsError> {
        match Global::find(module, name, self.arrays.is_some()) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(WeightsError::Code(format!("{module}.{name}"))),
        }
    }
}

/// Counts what is read through it.
#[derive(Debug)]
pub struct Counted<R> {
    /// What is read.
    pub input: R,
    /// Bytes that were read so far.
    pub read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(bytes)?;
        self.read += count as u64;
        Ok(count)
    }
}

fn bytes<const N: usize>(input: &mut impl Read) -> Result<[u8; N], WeightsError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A line of text, without the line break.
fn line(input: &mut impl Read) -> Result<String, WeightsError> {
    let mut line = String::new();
    loop {
        match bytes(input)? {
            [b'\n'] => return Ok(line),
            // Names that are known are short.
            [byte] if byte.is_ascii_graphic() && line.len() < 200 => line.push(byte.into()),
            _ => return bad("its pickle is damaged"),
        }
    }
}

#[cfg(test)]
mod tests;
