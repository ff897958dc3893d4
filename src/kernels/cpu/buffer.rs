//! Memory that is kept from one use to the next.

/// Values that a cache line holds, and the widest vector.
const LINE: usize = 16;

/// A buffer that begins at a cache line, so that no vector lies across two.
#[derive(Debug, Default)]
pub(super) struct Buffer(Vec<f32>);

impl Buffer {
    /// The first `length` values, which are whatever the last use left in them, or 0.
    pub(super) fn get(&mut self, length: usize) -> &mut [f32] {
        if self.0.len() < length + LINE {
            self.0.clear();
            self.0.resize(length + LINE, 0.0);
        }
        let start = self.0.as_ptr().align_offset(LINE * size_of::<f32>());
        &mut self.0[start.min(LINE)..][..length]
    }
}
