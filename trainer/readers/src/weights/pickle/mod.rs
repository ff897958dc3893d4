//! A reader for the pickles of `torch.save`. A pickle is a program for a stack machine, of which only the part that
//! rebuilds tensors is implemented. It calls nothing: a pickle may only refer to the names in `Global`, and each of
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
            0x80 => bytes::<1>(input).map(drop),
            0x95 => bytes::<8>(input).map(drop),
            b'(' | b'0' | b'1' | b'2' => self.rearrange(code),
            b'N' | 0x88 | 0x89 | b'K' | b'M' | b'J' | 0x8a | b'G' => self.literal(code, input),
            b'X' | 0x8c | 0x8d | b'U' | b'B' | b'T' | b'C' | 0x8e | 0x96 => {
                self.string(code, input)
            }
            b']' | b')' | 0x85..=0x87 | b't' | b'a' | b'e' | b'}' | b's' | b'u' => {
                self.container(code)
            }
            b'c' | 0x93 | b'Q' | b'R' | b'b' => self.object(code, input),
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memoize(code, input),
            other => Err(WeightsError::Code(format!("the instruction {other:#04x}"))),
        }
    }

    /// The instructions that rearrange the stack: MARK, POP, POP_MARK and DUP.
    fn rearrange(&mut self, code: u8) -> Result<(), WeightsError> {
        match code {
            b'(' => {
                let depth = self.stack.len() as u32;
                self.budget.push(&mut self.marks, depth).map(drop)
            }
            b'0' => self.pop().map(drop),
            b'1' => self.since_mark().map(drop),
            _ => {
                let top = self.pop()?;
                self.push(top)?;
                self.push(top)
            }
        }
    }

    /// The instructions that push None, a Boolean or a number.
    fn literal<R: Read>(&mut self, code: u8, input: &mut Counted<R>) -> Result<(), WeightsError> {
        let value = match code {
            0x88 => Value::Number(1),
            0x89 => Value::Number(0),
            b'K' => {
                let [byte] = bytes(input)?;
                Value::Number(byte.into())
            }
            b'M' => Value::Number(u16::from_le_bytes(bytes(input)?).into()),
            b'J' => {
                let number = i32::from_le_bytes(bytes(input)?);
                u32::try_from(number).map_or(Value::Other, Value::Number)
            }
            0x8a => return self.long(input),
            b'G' => {
                bytes::<8>(input)?;
                Value::Other
            }
            _ => Value::Other,
        };
        self.push(value)
    }

    /// The instructions that push text, which is kept, or bytes, which are not. `U`, `T` and `B` have a length of one or
    /// four bytes and come from Python 2 too.
    fn string<R: Read>(&mut self, code: u8, input: &mut Counted<R>) -> Result<(), WeightsError> {
        let length = match code {
            0x8c | b'U' | b'C' => {
                let [length] = bytes(input)?;
                length.into()
            }
            b'X' | b'B' | b'T' => u32::from_le_bytes(bytes(input)?).into(),
            _ => u64::from_le_bytes(bytes(input)?),
        };
        match code {
            b'X' | 0x8c | 0x8d | b'U' => self.text(input, length),
            _ => self.skip(input, length),
        }
    }

    /// The instructions that make lists, tuples and dictionaries, and add to them.
    fn container(&mut self, code: u8) -> Result<(), WeightsError> {
        match code {
            b']' => self.list(),
            b')' => self.tuple(0),
            b't' => {
                let count = self.since_mark_kept()?;
                self.tuple(count)
            }
            b'a' => {
                let item = self.pop()?;
                let list = self.top()?;
                self.append(list, item)
            }
            b'e' => self.append_all(),
            b'}' => self.dict(),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                let dict = self.top()?;
                self.set(dict, key, value)
            }
            b'u' => self.set_items(),
            // TUPLE1 to TUPLE3.
            _ => self.tuple(usize::from(code - 0x84)),
        }
    }

    /// The instructions that name, rebuild or look up objects outside the pickle.
    fn object<R: Read>(&mut self, code: u8, input: &mut Counted<R>) -> Result<(), WeightsError> {
        match code {
            b'c' => {
                let (module, name) = (line(input)?, line(input)?);
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let pair = (self.text_of(module), self.text_of(name));
                let (Some(module), Some(name)) = pair else {
                    return bad("its pickle contains an unnamed reference");
                };
                let (module, name) = (module.to_owned(), name.to_owned());
                self.global(&module, &name)
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(storage)
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.reduce(function, arguments)
            }
            _ => self.build(),
        }
    }

    /// The instructions that store values in the memo and take them from there.
    fn memoize<R: Read>(&mut self, code: u8, input: &mut Counted<R>) -> Result<(), WeightsError> {
        let index = match code {
            b'q' | b'h' => {
                let [index] = bytes(input)?;
                index.into()
            }
            b'r' | b'j' => u32::from_le_bytes(bytes(input)?),
            _ => self.memo.len() as u32,
        };
        match code {
            b'h' | b'j' => self.recall(index),
            _ => self.remember(index),
        }
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
