//! The command's allocator: mimalloc, told to keep what it has.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the crate has no name for: after how many milliseconds memory that was
/// freed goes back to the system; −1 for never.
const PURGE_DELAY: mi_option_t = 15;
const NEVER: c_long = -1;

/// Keeps freed memory for the next allocation. A training step frees hundreds of megabytes that the next one asks for
/// again, and the system would clear them every time: a fifth of the time of a step.
///
/// To be called before there are other threads.
pub fn keep_memory() {
    // SAFETY: the option exists in the version of mimalloc that is linked, and only the main thread is running.
    unsafe { mi_option_set(PURGE_DELAY, NEVER) }
}
