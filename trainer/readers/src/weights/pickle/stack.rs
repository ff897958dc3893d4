//! The stack, the marks and the memo.

use super::{Pickle, Value, WeightsError, bad};

impl Pickle {
    pub(super) fn push(&mut self, value: Value) -> Result<(), WeightsError> {
        self.budget.push(&mut self.stack, value).map(drop)
    }

    pub(super) fn pop(&mut self) -> Result<Value, WeightsError> {
        // Nothing below the last mark can be popped before the mark.
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

    pub(super) fn top(&self) -> Result<Value, WeightsError> {
        match self.stack.last() {
            Some(&value) => Ok(value),
            None => bad("its pickle is damaged"),
        }
    }

    /// Pops the last mark and returns the number of values above it.
    pub(super) fn since_mark_kept(&mut self) -> Result<usize, WeightsError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.len() - mark as usize),
            None => bad("its pickle is damaged"),
        }
    }

    /// Pops the last mark and the values above it.
    pub(super) fn since_mark(&mut self) -> Result<(), WeightsError> {
        let count = self.since_mark_kept()?;
        self.stack.truncate(self.stack.len() - count);
        Ok(())
    }

    pub(super) fn tuple(&mut self, count: usize) -> Result<(), WeightsError> {
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

    pub(super) fn dict(&mut self) -> Result<(), WeightsError> {
        self.dicts += 1;
        self.push(Value::Dict(self.dicts))
    }

    pub(super) fn set(
        &mut self,
        dict: Value,
        key: Value,
        value: Value,
    ) -> Result<(), WeightsError> {
        match dict {
            Value::Dict(dict) => {
                let pair = (dict, key, value);
                self.budget.push(&mut self.pairs, pair).map(drop)
            }
            // An attribute of an object that is ignored.
            Value::Other => Ok(()),
            _ => bad("its pickle is damaged"),
        }
    }

    pub(super) fn set_items(&mut self) -> Result<(), WeightsError> {
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

    pub(super) fn remember(&mut self, place: u32) -> Result<(), WeightsError> {
        let top = self.top()?;
        let place = place as usize;
        while self.memo.len() <= place {
            self.budget.push(&mut self.memo, Value::Other)?;
        }
        self.memo[place] = top;
        Ok(())
    }

    pub(super) fn recall(&mut self, place: u32) -> Result<(), WeightsError> {
        match self.memo.get(place as usize) {
            Some(&value) => self.push(value),
            None => bad("its pickle is damaged"),
        }
    }
}
