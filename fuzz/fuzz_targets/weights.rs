//! The readers of safetensors files, of `torch.save`'s archives and of its pickles.

#![no_main]

#[path = "../../tests/fuzz/memory.rs"]
mod memory;
#[path = "../../tests/fuzz/readers.rs"]
mod readers;
#[path = "../../trainer/src/import/weights/mod.rs"]
#[allow(dead_code)]
mod weights;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::weights(bytes));
