//! Arrays of NumPy's and lists: what data sets are pickled as.

use super::super::{MAX_RANK, Shape};
use super::{Pickle, Value, WeightsError, bad};

/// What a pickle has made of them.
#[derive(Debug, Default)]
pub struct Tables {
    /// The items of all lists: which list, and the item.
    items: Vec<(u32, Value)>,
    lists: u32,
    /// Where bytes are in the pickle, and how many.
    bytes: Vec<[u64; 2]>,
    arrays: Vec<Option<Array>>,
    kinds: Vec<Kind>,
}

/// What the numbers of an array are: `u1` is a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// `u` unsigned, `i` signed, `f` with a fraction.
    letter: u8,
    bytes: u8,
    /// Whether the first byte is the one that counts most.
    big_endian: bool,
}

/// An array in a pickle.
#[derive(Debug, Clone, Copy)]
pub struct Array {
    kind: Kind,
    shape: Shape,
    /// Where its numbers begin, counted from the beginning of the pickle.
    pub at: u64,
}

impl Array {
    /// Its sizes.
    pub fn dims(&self) -> &[u64] {
        self.shape.dims()
    }

    /// Its numbers' kind as NumPy writes it: `|u1`, `<i8`.
    pub fn descr(&self) -> String {
        let order = match (self.kind.bytes, self.kind.big_endian) {
            (1, _) => '|',
            (_, false) => '<',
            (_, true) => '>',
        };
        format!("{order}{}{}", char::from(self.kind.letter), self.kind.bytes)
    }
}

impl Pickle {
    pub(super) fn list(&mut self) -> Result<(), WeightsError> {
        let Some(tables) = &mut self.arrays else {
            return self.push(Value::Other);
        };
        tables.lists += 1;
        let list = Value::List(tables.lists);
        self.push(list)
    }

    /// Puts an item at the end of a list.
    pub(super) fn append(&mut self, list: Value, item: Value) -> Result<(), WeightsError> {
        match (&mut self.arrays, list) {
            (Some(tables), Value::List(list)) => {
                self.budget.push(&mut tables.items, (list, item)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Puts what is above the last mark at the end of the list below it.
    pub(super) fn append_all(&mut self) -> Result<(), WeightsError> {
        let count = self.since_mark_kept()?;
        let start = self.stack.len() - count;
        if self.arrays.is_some() {
            let Some(&list) = start.checked_sub(1).and_then(|at| self.stack.get(at)) else {
                return bad("its pickle is damaged");
            };
            for at in start..start + count {
                self.append(list, self.stack[at])?;
            }
        }
        self.stack.truncate(start);
        Ok(())
    }

    /// Notes bytes that were passed over.
    pub(super) fn bytes_at(&mut self, at: u64, length: u64) -> Result<(), WeightsError> {
        let value = match &mut self.arrays {
            Some(tables) => Value::Bytes(self.budget.push(&mut tables.bytes, [at, length])?),
            None => Value::Other,
        };
        self.push(value)
    }

    /// An array that its state is yet to fill.
    pub(super) fn empty_array(&mut self) -> Result<(), WeightsError> {
        let Some(tables) = &mut self.arrays else {
            return bad("its pickle calls something in a way that is not known");
        };
        let place = self.budget.push(&mut tables.arrays, None)?;
        self.push(Value::Array(place))
    }

    /// The kind of numbers that a text like `u1` says. Where a state says no other, the first byte counts least.
    pub(super) fn kind(&mut self, code: Value) -> Result<(), WeightsError> {
        let text = self.text_of(code).unwrap_or_default().as_bytes();
        let kind = match text {
            &[letter @ (b'u' | b'i' | b'f' | b'b'), digit @ b'1'..=b'8'] => Some(Kind {
                letter,
                bytes: digit - b'0',
                big_endian: false,
            }),
            _ => None,
        };
        let (Some(kind), Some(tables)) = (kind, &mut self.arrays) else {
            return bad("an array in it is not of plain numbers");
        };
        let place = self.budget.push(&mut tables.kinds, kind)?;
        self.push(Value::Kind(place))
    }

    /// Gives what is below the top of the stack the state on top: the numbers of an array, the order of bytes of a kind.
    /// Attributes of anything else, `_metadata` or hooks, are not looked at.
    pub(super) fn build(&mut self) -> Result<(), WeightsError> {
        let state = self.pop()?;
        let target = self.top()?;
        match target {
            Value::Kind(place) => {
                let order = match self.members(state) {
                    Some(&[_, order, ..]) => self.text_of(order) == Some(">"),
                    _ => return bad("its pickle is damaged"),
                };
                let kinds = self.arrays.as_mut().map(|tables| &mut tables.kinds);
                if let Some(kind) = kinds.and_then(|kinds| kinds.get_mut(place as usize)) {
                    kind.big_endian = order;
                }
                Ok(())
            }
            Value::Array(place) => {
                let Some(&[_, shape, kind, columns_first, numbers]) = self.members(state) else {
                    return bad("an array in it is rebuilt in a way that is not known");
                };
                if self.number_of(columns_first) != Some(0) {
                    return bad("an array in it is stored column by column");
                }
                let array = self.array(shape, kind, numbers)?;
                let arrays = self.arrays.as_mut().map(|tables| &mut tables.arrays);
                if let Some(slot) = arrays.and_then(|arrays| arrays.get_mut(place as usize)) {
                    *slot = Some(array);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `_frombuffer(numbers, kind, shape, order)`, as NumPy pickles with protocol 5.
    pub(super) fn array_of_buffer(
        &mut self,
        numbers: Value,
        kind: Value,
        shape: Value,
        order: Value,
    ) -> Result<(), WeightsError> {
        if self.text_of(order) != Some("C") {
            return bad("an array in it is stored column by column");
        }
        let array = self.array(shape, kind, numbers)?;
        let Some(tables) = &mut self.arrays else {
            return bad("its pickle calls something in a way that is not known");
        };
        let place = self.budget.push(&mut tables.arrays, Some(array))?;
        self.push(Value::Array(place))
    }

    fn array(&self, shape: Value, kind: Value, numbers: Value) -> Result<Array, WeightsError> {
        let (Some(tables), Value::Kind(kind), Value::Bytes(bytes)) = (&self.arrays, kind, numbers)
        else {
            return bad(
                "an array in it does not hold its numbers as bytes: it was saved by Python 3 in the protocol of Python 2",
            );
        };
        let kind = tables.kinds[kind as usize];
        let [at, length] = tables.bytes[bytes as usize];
        let mut dims = [0; MAX_RANK];
        let members = self.members(shape).unwrap_or_default();
        for (place, &member) in members.iter().enumerate() {
            let (Some(dim), Some(number)) = (dims.get_mut(place), self.number_of(member)) else {
                return bad("an array in it has a shape that is not known");
            };
            *dim = number;
        }
        let shape = Shape::new(&dims[..members.len()]);
        let product = dims[..members.len()]
            .iter()
            .try_fold(u64::from(kind.bytes), |all, &dim| all.checked_mul(dim));
        match shape {
            Some(shape) if product == Some(length) => Ok(Array { kind, shape, at }),
            _ => bad("an array in it is of another size than its numbers"),
        }
    }

    /// An array whose numbers are there.
    pub fn array_of(&self, value: Value) -> Option<&Array> {
        let Value::Array(place) = value else {
            return None;
        };
        self.arrays.as_ref()?.arrays.get(place as usize)?.as_ref()
    }

    /// The items of a list, in their order.
    pub fn items(&self, value: Value) -> impl Iterator<Item = Value> {
        let items = self.arrays.iter().flat_map(|tables| &tables.items);
        items
            .filter(move |(list, _)| Value::List(*list) == value)
            .map(|&(_, item)| item)
    }
}
