//! Memory that activations take, give back and take again.

use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values of a cache line, which is also the widest vector. Activations have a multiple of so many channels.
pub(crate) const LINE: usize = 16;

/// A cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Values that begin at a cache line, so that no vector lies across two.
#[derive(Debug, Default)]
pub(crate) struct Values {
    lines: Vec<Line>,
    length: usize,
}

impl Values {
    /// So many zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let lines = vec![Line([0.0; LINE]); length.div_ceil(LINE)];
        Self { lines, length }
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is 16 values without padding, and there are `length` of them at least.
        unsafe { slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`.
        unsafe { slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

/// Buffers of one thread, each used by one activation after another.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    free: Vec<Values>,
}

impl Arena {
    /// So many values, which are whatever their last use left in them.
    pub(crate) fn take(&mut self, length: usize) -> Values {
        let lines = length.div_ceil(LINE);
        let fitting = self.free.iter().enumerate();
        let fitting = fitting.filter(|(_, values)| values.lines.len() >= lines);
        let best = fitting.min_by_key(|(_, values)| values.lines.len());
        match best.map(|(i, _)| i) {
            Some(i) => {
                let mut values = self.free.swap_remove(i);
                values.length = length;
                values
            }
            None => {
                // In the place of the largest, which is too small, so that what is kept does not grow with every size.
                let largest = self.free.iter().enumerate();
                let largest = largest.max_by_key(|(_, values)| values.lines.len());
                if let Some((i, _)) = largest {
                    drop(self.free.swap_remove(i));
                }
                Values::zeros(length)
            }
        }
    }

    /// Takes back what nobody reads any more.
    pub(crate) fn give(&mut self, values: Values) {
        self.free.push(values);
    }
}

/// The arenas of a network, one for each thread that evaluates it, between its evaluations.
#[derive(Debug, Default)]
pub(crate) struct Arenas(Mutex<Vec<Arena>>);

impl Arenas {
    /// What `work` makes of an arena that nobody else has meanwhile.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Arena) -> T) -> T {
        let mut arena = self.lock().pop().unwrap_or_default();
        let result = work(&mut arena);
        self.lock().push(arena);
        result
    }

    /// Gives back the memory.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arena>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The arenas of whoever has no other, one for each thread that computes.
#[cfg(feature = "autodiff")]
static ARENAS: Arenas = Arenas(Mutex::new(Vec::new()));

/// What `work` makes of an arena that nobody else has meanwhile, and that is kept for the next.
#[cfg(feature = "autodiff")]
pub(crate) fn with_arena<T>(work: impl FnOnce(&mut Arena) -> T) -> T {
    ARENAS.with(work)
}
