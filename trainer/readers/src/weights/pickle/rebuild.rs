//! The calls of a pickle, which record where tensors are.

use super::super::{MAX_RANK, Shape};
use super::{Global, Pickle, Rebuilt, Storage, Value, WeightsError, bad};

impl Pickle {
    pub(super) fn reduce(&mut self, function: Value, arguments: Value) -> Result<(), WeightsError> {
        let Value::Global(function) = function else {
            return bad("its pickle calls something that cannot be called");
        };
        let result = match (function, self.members(arguments)) {
            (Global::OrderedDict, Some([])) => return self.dict(),
            (Global::RebuildParameter, Some([tensor @ Value::Tensor(_), ..])) => *tensor,
            (Global::Size, Some([dims @ Value::Tuple(_)])) => *dims,
            (Global::Reconstruct, Some(&[Value::Global(Global::NdArray), ..])) => {
                return self.empty_array();
            }
            (Global::FromBuffer, Some(&[numbers, kind, shape, order])) => {
                return self.array_of_buffer(numbers, kind, shape, order);
            }
            (Global::NumpyDType, Some(&[code, ..])) => return self.kind(code),
            (Global::RebuildTensor, Some(&[storage, offset, size, stride, ..])) => {
                let tensor = self.rebuilt(storage, offset, size, stride)?;
                Value::Tensor(self.budget.push(&mut self.tensors, tensor)?)
            }
            _ => return bad("its pickle contains an unknown kind of call"),
        };
        self.push(result)
    }

    /// `('storage', type, key, location, count)`, with which a pickle refers to values outside it.
    pub(super) fn storage(&mut self, id: Value) -> Result<Value, WeightsError> {
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
            return bad("its pickle refers to a storage in an unknown way");
        };
        let (Some("storage"), Some(count)) = (self.text_of(kind), self.number_of(count)) else {
            return bad("its pickle refers to a storage in an unknown way");
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
            return bad("its pickle rebuilds a tensor in an unknown way");
        };
        let (Some(shape), true) = (Shape::new(&size[..rank]), rank == ranks) else {
            return bad("its pickle rebuilds a tensor in an unknown way");
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
            return bad("a tensor in it is larger than its storage");
        }
        Ok(Rebuilt {
            storage,
            offset,
            shape,
            contiguous,
        })
    }

    pub(super) fn members(&self, tuple: Value) -> Option<&[Value]> {
        let Value::Tuple(place) = tuple else {
            return None;
        };
        let [start, count] = *self.tuples.get(place as usize)?;
        self.members.get(start as usize..(start + count) as usize)
    }

    /// A text, where it is one.
    pub fn text_of(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(place) => self.texts.get(place as usize).map(|text| &**text),
            _ => None,
        }
    }

    /// A number, where it is one from 0.
    pub fn number_of(&self, value: Value) -> Option<u64> {
        match value {
            Value::Number(number) => Some(number.into()),
            Value::Large(place) => self.large.get(place as usize).copied(),
            _ => None,
        }
    }

    /// The entries of all dictionaries in the order in which they were set: the dictionary, the key and the value.
    pub fn pairs(&self) -> impl Iterator<Item = (Value, Value, Value)> {
        let pairs = self.pairs.iter();
        pairs.map(|&(dict, key, value)| (Value::Dict(dict), key, value))
    }

    /// All storages, by name.
    pub fn storages(&self) -> impl Iterator<Item = (&str, &Storage)> {
        let storages = self.storages.iter();
        storages.filter_map(|storage| Some((&**self.texts.get(storage.key as usize)?, storage)))
    }

    /// All strings, in the order in which they were read.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    /// A tensor, its storage, and the name of the storage.
    pub fn tensor(&self, value: Value) -> Option<(&Rebuilt, &Storage, &str)> {
        let Value::Tensor(place) = value else {
            return None;
        };
        let tensor = self.tensors.get(place as usize)?;
        let storage = self.storages.get(tensor.storage as usize)?;
        Some((tensor, storage, self.texts.get(storage.key as usize)?))
    }
}
