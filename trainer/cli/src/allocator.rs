//! The allocator of the command: mimalloc, which keeps freed memory.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, for which the crate has no name: the number of milliseconds after which freed
/// memory is returned to the system; −1 means never.
const PURGE_DELAY: mi_option_t = 15;
const NEVER: c_long = -1;

/// Keeps freed memory for the next allocation. A training step frees hundreds of megabytes that the next step allocates
/// again. The system would clear them each time, which takes a fifth of the time of a step.
///
/// Call this before other threads start.
pub fn keep_memory() {
    // SAFETY: the option exists in the version of mimalloc that is linked, and only the main thread is running.
    unsafe { mi_option_set(PURGE_DELAY, NEVER) }
}
