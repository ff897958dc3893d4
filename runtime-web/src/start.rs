//! What runs when the module is instantiated.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(start)]
fn start() {
    construct();
    crate::panic::watch();
}

/// Runs the module's constructors, of which the WebGPU build has thousands: every operation of the compiler of
/// kernels registers itself in one. The linker takes a module that does not call them itself for a program, each of
/// whose exports runs from the constructors to the end, and has every call from JavaScript run them all again.
#[cfg(target_family = "wasm")]
fn construct() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: it is the linker's, takes nothing and returns nothing; this is the one call, before any other.
    unsafe { __wasm_call_ctors() }
}

#[cfg(not(target_family = "wasm"))]
fn construct() {}
