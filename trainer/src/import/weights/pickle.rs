//! A reader for the pickles of `torch.save`: a machine with a stack, of which only the part is built
//! that rebuilds tensors. It calls nothing: what a pickle may ask for are the names in [`Global`],
//! and each of them only makes a note of where a tensor is.
//!
//! Values are eight bytes and point into tables, so that no nesting, sharing or cycle of a hostile
//! pickle costs more than its length; tables grow by an eighth, and what they take is charged
//! against the file's length.

use std::io::Read;

use super::{DType, MAX_RANK, Shape, WeightsError};

/// A value on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing that a tensor is rebuilt from: a number with a fraction, a list, bytes.
    Other,
    Number(u32),
    /// An integer that does not fit above, in the table of integers.
    Large(u32),
    Text(u32),
    Tuple(u32),
    Dict(u32),
    Global(Global),
    Storage(u32),
    Tensor(u32),
}

/// The names that weights need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(DType),
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
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
}

/// A run of numbers in the file that tensors are views of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    /// Its name, in the table of texts.
    key: u32,
    pub(super) dtype: DType,
    /// How many numbers.
    pub(super) count: u64,
}

/// A tensor that the pickle rebuilds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rebuilt {
    storage: u32,
    /// The first of its numbers.
    pub(super) offset: u64,
    pub(super) shape: Shape,
    pub(super) contiguous: bool,
}

/// What a pickle has made.
#[derive(Debug)]
pub(super) struct Pickle {
    budget: Budget,
    stack: Vec<Value>,
    marks: Vec<u32>,
    memo: Vec<Value>,
    large: Vec<u64>,
    texts: Vec<Box<str>>,
    /// The values of all tuples, and where each tuple's are.
    members: Vec<Value>,
    tuples: Vec<[u32; 2]>,
    /// The pairs of all dictionaries: which dictionary, the key and the value.
    pairs: Vec<(u32, Value, Value)>,
    dicts: u32,
    storages: Vec<Storage>,
    tensors: Vec<Rebuilt>,
}

/// What tables may still take, in bytes.
#[derive(Debug)]
struct Budget {
    left: u64,
    length: u64,
}

impl Budget {
    fn charge(&mut self, bytes: usize) -> Result<(), WeightsError> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or(WeightsError::Overfull(self.length))?;
        Ok(())
    }

    /// Puts `value` at the end of a table; its place.
    fn push<T>(&mut self, table: &mut Vec<T>, value: T) -> Result<u32, WeightsError> {
        if table.len() == table.capacity() {
            let more = (table.len() / 8).max(16);
            self.charge(more * size_of::<T>())?;
            table.reserve_exact(more);
        }
        table.push(value);
        u32::try_from(table.len() - 1).map_err(|_| WeightsError::Overfull(self.length))
    }
}

fn bad<T>(reason: impl Into<String>) -> Result<T, WeightsError> {
    Err(WeightsError::Torch(reason.into()))
}

impl Pickle {
    /// A machine for the pickles of a file of `length` bytes.
    pub(super) fn new(length: u64) -> Self {
        Self {
            // Tables that grow by an eighth take 17/8 of this while they move.
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
        }
    }

    /// Reads one pickle, to its end and not a byte further; what it makes.
    pub(super) fn load<R: Read>(&mut self, input: &mut R) -> Result<Value, WeightsError> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let [code] = bytes(input)?;
            if code == b'.' {
                return self.pop();
            }
            self.step(code, input)?;
        }
    }

    fn step<R: Read>(&mut self, code: u8, input: &mut R) -> Result<(), WeightsError> {
        match code {
            // The version, and frames, which say nothing.
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
            b'N' | b']' => self.push(Value::Other)?,
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
            // Texts of Python 2, and bytes.
            b'U' => {
                let [length] = bytes(input)?;
                self.text(input, length.into())?;
            }
            b'B' => {
                let length = u32::from_le_bytes(bytes(input)?).into();
                self.skip(input, length)?;
            }
            b'C' => {
                let [length] = bytes(input)?;
                self.skip(input, length.into())?;
            }
            b')' => self.tuple(0)?,
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let count = self.since_mark_kept()?;
                self.tuple(count)?;
            }
            b'a' => drop(self.pop()?),
            b'e' => self.since_mark()?,
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
                    return bad("its pickle names something by no name");
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
            // Attributes of a dictionary or a tensor: `_metadata`, hooks.
            b'b' => drop(self.pop()?),
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

    fn push(&mut self, value: Value) -> Result<(), WeightsError> {
        self.budget.push(&mut self.stack, value).map(drop)
    }

    fn pop(&mut self) -> Result<Value, WeightsError> {
        // Nothing below the last mark can be taken before the mark is.
        if self
            .marks
            .last()
            .is_some_and(|&mark| self.stack.len() <= mark as usize)
        {
            return bad("its pickle is damaged");
        }
        match self.stack.pop() {
            Some(value) => Ok(value),
            None => bad("its pickle is damaged"),
        }
    }

    fn top(&self) -> Result<Value, WeightsError> {
        match self.stack.last() {
            Some(&value) => Ok(value),
            None => bad("its pickle is damaged"),
        }
    }

    /// Takes the last mark; how many values are above it.
    fn since_mark_kept(&mut self) -> Result<usize, WeightsError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.len() - mark as usize),
            None => bad("its pickle is damaged"),
        }
    }

    /// Takes the last mark and what is above it.
    fn since_mark(&mut self) -> Result<(), WeightsError> {
        let count = self.since_mark_kept()?;
        self.stack.truncate(self.stack.len() - count);
        Ok(())
    }

    fn long<R: Read>(&mut self, input: &mut R) -> Result<(), WeightsError> {
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
        // Charged before it is allocated, so that no more is than the file has.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.budget.charge(length)?;
        let mut text = vec![0; length];
        input.read_exact(&mut text)?;
        let Ok(text) = String::from_utf8(text) else {
            return bad("a text in its pickle is not UTF-8");
        };
        let place = self.budget.push(&mut self.texts, text.into_boxed_str())?;
        self.push(Value::Text(place))
    }

    fn skip<R: Read>(&mut self, input: &mut R, length: u64) -> Result<(), WeightsError> {
        if std::io::copy(&mut input.take(length), &mut std::io::sink())? < length {
            return Err(WeightsError::CutOff);
        }
        self.push(Value::Other)
    }

    fn tuple(&mut self, count: usize) -> Result<(), WeightsError> {
        let floor = self.marks.last().map_or(0, |&mark| mark as usize);
        if count > self.stack.len() - floor {
            return bad("its pickle is damaged");
        }
        let start = self.members.len() as u32;
        for at in self.stack.len() - count..self.stack.len() {
            self.budget.push(&mut self.members, self.stack[at])?;
        }
        self.stack.truncate(self.stack.len() - count);
        let place = self.budget.push(&mut self.tuples, [start, count as u32])?;
        self.push(Value::Tuple(place))
    }

    fn dict(&mut self) -> Result<(), WeightsError> {
        self.dicts += 1;
        self.push(Value::Dict(self.dicts))
    }

    fn set(&mut self, dict: Value, key: Value, value: Value) -> Result<(), WeightsError> {
        match dict {
            Value::Dict(dict) => {
                let pair = (dict, key, value);
                self.budget.push(&mut self.pairs, pair).map(drop)
            }
            // An attribute of something that is not looked at.
            Value::Other => Ok(()),
            _ => bad("its pickle is damaged"),
        }
    }

    fn set_items(&mut self) -> Result<(), WeightsError> {
        let count = self.since_mark_kept()?;
        let start = self.stack.len() - count;
        let dict = start.checked_sub(1).map(|at| self.stack[at]);
        let (Some(dict), true) = (dict, count.is_multiple_of(2)) else {
            return bad("its pickle is damaged");
        };
        for at in (start..start + count).step_by(2) {
            self.set(dict, self.stack[at], self.stack[at + 1])?;
        }
        self.stack.truncate(start);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), WeightsError> {
        match Global::find(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(WeightsError::Code(format!("{module}.{name}"))),
        }
    }

    fn remember(&mut self, place: u32) -> Result<(), WeightsError> {
        let top = self.top()?;
        let place = place as usize;
        while self.memo.len() <= place {
            self.budget.push(&mut self.memo, Value::Other)?;
        }
        self.memo[place] = top;
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), WeightsError> {
        match self.memo.get(place as usize) {
            Some(&value) => self.push(value),
            None => bad("its pickle is damaged"),
        }
    }

    fn reduce(&mut self, function: Value, arguments: Value) -> Result<(), WeightsError> {
        let Value::Global(function) = function else {
            return bad("its pickle calls what cannot be called");
        };
        let result = match (function, self.members(arguments)) {
            (Global::OrderedDict, Some([])) => return self.dict(),
            (Global::RebuildParameter, Some([tensor @ Value::Tensor(_), ..])) => *tensor,
            (Global::Size, Some([dims @ Value::Tuple(_)])) => *dims,
            (Global::RebuildTensor, Some(&[storage, offset, size, stride, ..])) => {
                let tensor = self.rebuilt(storage, offset, size, stride)?;
                Value::Tensor(self.budget.push(&mut self.tensors, tensor)?)
            }
            _ => return bad("its pickle calls something in a way that is not known"),
        };
        self.push(result)
    }

    /// `('storage', type, key, location, count)`, with which a pickle names numbers beside it.
    fn storage(&mut self, id: Value) -> Result<Value, WeightsError> {
        let Some(
            &[
                kind,
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                _,
                count,
                ..,
            ],
        ) = self.members(id)
        else {
            return bad("its pickle names a storage in a way that is not known");
        };
        let (Some("storage"), Some(count)) = (self.text_of(kind), self.number_of(count)) else {
            return bad("its pickle names a storage in a way that is not known");
        };
        let storage = Storage { key, dtype, count };
        Ok(Value::Storage(
            self.budget.push(&mut self.storages, storage)?,
        ))
    }

    fn rebuilt(
        &self,
        storage: Value,
        offset: Value,
        size: Value,
        stride: Value,
    ) -> Result<Rebuilt, WeightsError> {
        let numbers = |of: Value| -> Option<([u64; MAX_RANK], usize)> {
            let members = self.members(of)?;
            let mut numbers = [0; MAX_RANK];
            for (place, &member) in members.iter().enumerate() {
                *numbers.get_mut(place)? = self.number_of(member)?;
            }
            Some((numbers, members.len()))
        };
        let (Value::Storage(storage), Some(offset), Some((size, rank)), Some((stride, ranks))) = (
            storage,
            self.number_of(offset),
            numbers(size),
            numbers(stride),
        ) else {
            return bad("its pickle rebuilds a tensor in a way that is not known");
        };
        let (Some(shape), true) = (Shape::new(&size[..rank]), rank == ranks) else {
            return bad("its pickle rebuilds a tensor in a way that is not known");
        };
        let dtype = self.storages[storage as usize].dtype;
        let held = self.storages[storage as usize].count;
        // In the order of its dimensions, each stride is the product of the dimensions after it.
        let mut expected = 1u64;
        let contiguous = size[..rank]
            .iter()
            .zip(&stride)
            .rev()
            .all(|(&dim, &stride)| {
                let follows = dim <= 1 || stride == expected;
                expected = expected.saturating_mul(dim);
                follows
            });
        let end = shape
            .bytes(dtype)
            .and_then(|bytes| (bytes / dtype.bytes()).checked_add(offset));
        if contiguous && end.is_none_or(|end| end > held) {
            return bad("a tensor in it is larger than the numbers that it is made of");
        }
        Ok(Rebuilt {
            storage,
            offset,
            shape,
            contiguous,
        })
    }

    fn members(&self, tuple: Value) -> Option<&[Value]> {
        let Value::Tuple(place) = tuple else {
            return None;
        };
        let [start, count] = *self.tuples.get(place as usize)?;
        self.members.get(start as usize..(start + count) as usize)
    }

    pub(super) fn text_of(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(place) => self.texts.get(place as usize).map(|text| &**text),
            _ => None,
        }
    }

    fn number_of(&self, value: Value) -> Option<u64> {
        match value {
            Value::Number(number) => Some(number.into()),
            Value::Large(place) => self.large.get(place as usize).copied(),
            _ => None,
        }
    }

    /// The pairs of all dictionaries, in the order in which they were set: the dictionary, the
    /// key and the value.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (Value, Value, Value)> {
        let pairs = self.pairs.iter();
        pairs.map(|&(dict, key, value)| (Value::Dict(dict), key, value))
    }

    /// All storages, by name.
    pub(super) fn storages(&self) -> impl Iterator<Item = (&str, &Storage)> {
        let storages = self.storages.iter();
        storages.filter_map(|storage| Some((&**self.texts.get(storage.key as usize)?, storage)))
    }

    /// All texts, in the order in which they were read.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    /// A tensor, what it is a view of, and the name of that.
    pub(super) fn tensor(&self, value: Value) -> Option<(&Rebuilt, &Storage, &str)> {
        let Value::Tensor(place) = value else {
            return None;
        };
        let tensor = self.tensors.get(place as usize)?;
        let storage = self.storages.get(tensor.storage as usize)?;
        Some((tensor, storage, self.texts.get(storage.key as usize)?))
    }
}

fn bytes<const N: usize>(input: &mut impl Read) -> Result<[u8; N], WeightsError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A line of text, without its end.
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
mod tests {
    use super::*;

    fn load(pickle: &[u8]) -> Result<Value, String> {
        let mut machine = Pickle::new(pickle.len() as u64);
        machine.load(&mut &*pickle).map_err(|e| e.to_string())
    }

    #[test]
    fn values_are_small() {
        assert_eq!(size_of::<Value>(), 8);
    }

    /// What `pickle.dumps` makes of `os.system("true")` and of a lambda's like.
    #[test]
    fn code_is_refused_by_name() {
        let error =
            load(b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.");
        assert!(error.unwrap_err().contains("posix.system"));
        let error = load(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.");
        assert!(error.unwrap_err().contains("builtins.eval"));
        let error = load(b"\x80\x02i__main__\nModel\n.");
        assert!(error.unwrap_err().contains("instruction 0x69"));
    }

    #[test]
    fn a_damaged_pickle_is_refused() {
        for pickle in [
            &b""[..],
            b".",
            b"\x80",
            b"(1",
            b"u.",
            b"}(K\x01u.",
            b"N\x86.",
            b"(N(\x85t.",
            b"h\x00.",
            b"X\xff\xff\xff\xff.",
            b"X\x01\x00\x00\x00\xff.",
            b"NR.",
            b"NQ.",
            b"NNs.",
        ] {
            load(pickle).unwrap_err();
        }
        // Four gigabytes of memo for six bytes.
        let error = load(b"Nr\xff\xff\xff\xff.").unwrap_err();
        assert!(error.contains("more than its 7 bytes"), "{error}");
    }

    #[test]
    fn cycles_and_depth_cost_nothing() {
        load(b"}q\x00X\x01\x00\x00\x00ah\x00s.").unwrap();
        let mut deep = vec![b')'];
        deep.extend([0x85; 3000]);
        deep.push(b'.');
        load(&deep).unwrap();
    }
}
