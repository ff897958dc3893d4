//! The readers of safetensors files, of `torch.save`'s archives and of its pickles.

#![no_main]

#[path = "../../trainer/cli/tests/fuzz/memory.rs"]
mod memory;
#[path = "../../trainer/cli/tests/fuzz/readers.rs"]
mod readers;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::weights(bytes));
