//! What a step needs, made ready while the steps before it are computed.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Values of a function of the step, in the order of the steps, computed ahead by a thread.
///
/// As each is a function of its step alone, nothing depends on how far ahead the thread is.
pub struct Ahead<T> {
    /// None only while it is dropped.
    receiver: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
    waited: Duration,
}

impl<T: Send + 'static> Ahead<T> {
    /// Computes `make(step)` for every step of `steps`, at most `depth` (at least 1) of them before they are asked for.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        steps: std::ops::Range<u64>,
        depth: usize,
        mut make: impl FnMut(u64) -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        // One waits in the thread's hands while the channel is full.
        let (sender, receiver) = sync_channel(depth.saturating_sub(1));
        let thread = Builder::new().name("batches".into()).spawn(move || {
            for step in steps {
                // Nobody listens any more when the training was stopped.
                if sender.send(make(step)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            receiver: Some(receiver),
            thread: Some(thread),
            waited: Duration::ZERO,
        })
    }

    /// How long [`next`](Iterator::next) has waited in all: time in which the device had nothing to do.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

/// The values of the steps, in order.
impl<T> Iterator for Ahead<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let begun = Instant::now();
        let value = self.receiver.as_ref()?.recv().ok();
        self.waited += begun.elapsed();
        value
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        // The thread ends when nobody listens; a panic in it has already been printed.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn every_step_comes_once_and_in_order() {
        let mut ahead = Ahead::start(3..8, 2, |step| step * step).unwrap();
        let values: Vec<u64> = std::iter::from_fn(|| ahead.next()).collect();
        assert_eq!(values, [9, 16, 25, 36, 49]);
    }

    #[test]
    fn no_more_than_depth_are_made_before_they_are_asked_for() {
        let made = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&made);
        let mut ahead = Ahead::start(0..1000, 3, move |step| {
            count.fetch_add(1, Ordering::SeqCst);
            step
        })
        .unwrap();
        for expected in 0..20 {
            assert_eq!(ahead.next(), Some(expected));
            // `expected + 1` were taken, 3 may wait.
            assert!(made.load(Ordering::SeqCst) <= expected + 1 + 3);
        }
        drop(ahead);
        assert!(made.load(Ordering::SeqCst) <= 24, "the thread was stopped");
    }
}
