//! Work split over the threads of rayon's pool, where the crate is built with it; one after another elsewhere.
//!
//! Who computes what never changes a result: every unit of work is computed alone, in the same order of operations,
//! and no two of them are added up in an order that depends on the threads.

use std::mem::MaybeUninit;

#[cfg(feature = "rayon")]
use rayon::prelude::*;

/// How many units of work run at a time.
pub(crate) fn count() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    return 1;
}

/// `work(scratch, i, chunk i)` for every chunk of `data` of `size` elements. `scratch` is kept from one unit of work
/// to the next, and holds whatever the last one left in it.
pub(crate) fn for_each_chunk<T: Send, Scratch: Default>(
    data: &mut [T],
    size: usize,
    work: impl Fn(&mut Scratch, usize, &mut [T]) + Sync,
) {
    #[cfg(feature = "rayon")]
    data.par_chunks_mut(size)
        .enumerate()
        .for_each_init(Scratch::default, |scratch, (i, chunk)| {
            work(scratch, i, chunk)
        });
    #[cfg(not(feature = "rayon"))]
    {
        let mut scratch = Scratch::default();
        for (i, chunk) in data.chunks_mut(size).enumerate() {
            work(&mut scratch, i, chunk);
        }
    }
}

/// `length` values, of which `work(scratch, i, chunk i)` makes every chunk of `size`. A chunk is zeros at first.
pub(super) fn new_by_chunks<Scratch: Default>(
    length: usize,
    size: usize,
    work: impl Fn(&mut Scratch, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    let places = &mut values.spare_capacity_mut()[..length];
    for_each_chunk(places, size, |scratch, i, chunk| {
        work(scratch, i, cleared(chunk));
    });
    // SAFETY: the vector has this capacity, and every one of these values was written by `cleared`.
    unsafe { values.set_len(length) };
    values
}

/// As [`new_by_chunks`], with the chunks of another slice, which has as many.
#[cfg(feature = "autodiff")]
pub(super) fn new_by_chunk_pairs<B: Send>(
    (length, size): (usize, usize),
    other: (&mut [B], usize),
    work: impl Fn(usize, &mut [f32], &mut [B]) + Sync + Send,
) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    let places = &mut values.spare_capacity_mut()[..length];
    assert_eq!(length.div_ceil(size), other.0.len().div_ceil(other.1));
    for_each_chunk_pair((places, size), other, |i, chunk, other| {
        work(i, cleared(chunk), other);
    });
    // SAFETY: the vector has this capacity, and there is a chunk of `other` for each of its chunks, so that every one of
    // these values was written by `cleared`.
    unsafe { values.set_len(length) };
    values
}

/// Zeros, written by the thread that is about to write there, so that they are in its cache.
fn cleared(chunk: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    for value in chunk.iter_mut() {
        value.write(0.0);
    }
    // SAFETY: every value was just written.
    unsafe { chunk.assume_init_mut() }
}

/// `work(i)` for every i below `count`, in order.
#[cfg(feature = "autodiff")]
pub(crate) fn map<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(feature = "rayon")]
    return (0..count).into_par_iter().map(work).collect();
    #[cfg(not(feature = "rayon"))]
    return (0..count).map(work).collect();
}

/// `work(scratch, i)` for every i below `count`, on all threads, and `take(i, result)` of the results in order. A thread keeps
/// its `scratch`, and has no other result before the last one was taken. If one panics, so does this, and no thread waits
/// for it.
#[cfg(feature = "autodiff")]
pub(crate) fn in_order<Scratch, T>(
    count: usize,
    scratch: impl Fn() -> Scratch + Sync,
    work: impl Fn(&mut Scratch, usize) -> T + Sync,
    take: impl Fn(&mut Scratch, usize, T) + Sync,
) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex, PoisonError};

    let next = AtomicUsize::new(0);
    // The part whose result is taken next; none after a panic.
    let (turn, taken) = (Mutex::new(Some(0)), Condvar::new());
    let give_up = || {
        *turn.lock().unwrap_or_else(PoisonError::into_inner) = None;
        taken.notify_all();
    };
    let worker = || {
        let _watch = OnPanic(&give_up);
        let mut scratch = scratch();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return;
            }
            let result = work(&mut scratch, i);
            // Whoever has the part before this one is at work on it: parts are given out in order.
            let mut turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            while turn.is_some_and(|turn| turn < i) {
                turn = taken.wait(turn).unwrap_or_else(PoisonError::into_inner);
            }
            if turn.is_none() {
                return;
            }
            take(&mut scratch, i, result);
            *turn = Some(i + 1);
            taken.notify_all();
        }
    };
    #[cfg(feature = "rayon")]
    rayon::scope(|scope| {
        for _ in 1..self::count().min(count) {
            scope.spawn(|_| worker());
        }
        worker();
    });
    #[cfg(not(feature = "rayon"))]
    worker();
}

/// Calls what it has when a panic passes it.
#[cfg(feature = "autodiff")]
struct OnPanic<F: Fn()>(F);

#[cfg(feature = "autodiff")]
impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

/// `work(i, chunk i of a, chunk i of b)` for two slices that have as many chunks, each of its own size.
#[cfg(feature = "autodiff")]
fn for_each_chunk_pair<A: Send, B: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    work: impl Fn(usize, &mut [A], &mut [B]) + Sync + Send,
) {
    #[cfg(feature = "rayon")]
    a.par_chunks_mut(a_size)
        .zip(b.par_chunks_mut(b_size))
        .enumerate()
        .for_each(|(i, (a, b))| work(i, a, b));
    #[cfg(not(feature = "rayon"))]
    for (i, (a, b)) in a.chunks_mut(a_size).zip(b.chunks_mut(b_size)).enumerate() {
        work(i, a, b);
    }
}

#[cfg(all(test, feature = "autodiff"))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn results_are_taken_in_order() {
        let all = Mutex::new(Vec::new());
        in_order(
            20,
            || 0,
            |_, i| i * i,
            |_, i, square| all.lock().unwrap().push((i, square)),
        );
        let expected: Vec<_> = (0..20).map(|i| (i, i * i)).collect();
        assert_eq!(all.into_inner().unwrap(), expected);
    }

    #[test]
    fn a_panic_comes_through_and_leaves_nobody_waiting() {
        let at = |bad: usize, late: usize| {
            let all = Mutex::new(Vec::new());
            let ended = catch_unwind(AssertUnwindSafe(|| {
                in_order(
                    20,
                    || (),
                    |(), i| assert_ne!(i, bad, "work"),
                    |(), i, ()| {
                        assert_ne!(i, late, "take");
                        all.lock().unwrap().push(i);
                    },
                );
            }));
            assert!(ended.is_err());
            all.into_inner().unwrap_or_else(|e| e.into_inner())
        };
        // The parts before it may be lost too.
        assert!([0, 1, 2].starts_with(&at(3, 99)));
        assert_eq!(at(99, 5), [0, 1, 2, 3, 4]);
    }
}
