//! What a panic says, on its way to JavaScript.

use std::cell::RefCell;

use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

thread_local! {
    static LISTENER: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Has `listener` called with the message of a panic, before the instance traps. Nothing in the
/// instance may be called any more then.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(listener: Function) {
    LISTENER.set(Some(listener));
}

/// Panics, so that tests can see what a page is told then. No call with valid or invalid arguments is known to panic.
#[wasm_bindgen(js_name = panicForTests)]
pub fn panic_for_tests() {
    panic!("a test asked for it");
}

/// Has panics told to the console and to the listener.
pub(crate) fn watch() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        web_sys::console::error_1(&format!("freeguide: {message}").into());
        // Whatever the listener throws, the panic goes on to its trap.
        let listener = LISTENER.with_borrow(Clone::clone);
        let _ = listener.map(|call| call.call1(&JsValue::NULL, &message.into()));
    }));
}
