//! The memory budget of tables, which depends on the file's length.

use super::super::WeightsError;

/// The number of bytes that tables may still take.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) left: u64,
    pub(super) length: u64,
}

impl Budget {
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), WeightsError> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or(WeightsError::Overfull(self.length))?;
        Ok(())
    }

    /// Appends `value` to a table and returns its index.
    pub(super) fn push<T>(&mut self, table: &mut Vec<T>, value: T) -> Result<u32, WeightsError> {
        if table.len() == table.capacity() {
            let more = (table.len() / 8).max(16);
            self.charge(more * size_of::<T>())?;
            table.reserve_exact(more);
        }
        table.push(value);
        u32::try_from(table.len() - 1).map_err(|_| WeightsError::Overfull(self.length))
    }
}
