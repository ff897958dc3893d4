//! The readers of files that may be hostile, and what each may allocate: twice the file's size and
//! a constant, the same for any file.

use std::io::Cursor;

use super::memory::peak;
use freeguide_readers::weights::Weights;

/// Bytes beyond twice the file's size: buffers, and what tables are made with.
const CONSTANT: usize = 256 << 10;

/// Reads `bytes` as a checkpoint: safetensors, or what torch.save writes. Panics where that takes
/// more memory than it may.
pub fn weights(bytes: &[u8]) {
    let mut tensors = Vec::new();
    let mut opened = None;
    let opening = peak(|| opened = Weights::read(Cursor::new(bytes)).ok());
    within("opening it", opening, 2 * bytes.len());
    if let Some(weights) = &mut opened {
        // A file may claim that many tensors share its bytes: a few of them will do.
        tensors.extend(weights.names().take(32).map(str::to_owned));
        for name in &tensors {
            let reading = peak(|| drop(weights.values(name)));
            within("a tensor", reading, 2 * bytes.len());
        }
    }
}

pub fn within(what: &str, taken: usize, room: usize) {
    assert!(
        taken <= room + CONSTANT,
        "{what} took {taken} bytes where {room} and {CONSTANT} more are allowed"
    );
}
