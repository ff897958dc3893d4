//! `freeguide train` as a process: what its options do, and what it leaves behind.

#[path = "../common/process.rs"]
mod process;

mod attributes;
mod averages;
mod distillation;
mod events;
mod fine_tuning;
mod method;
mod running;
mod super_resolution;

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

/// Everything in which a training can be cut and repeated, at once: dropout, flips, parts, two
/// averages.
pub const ALL: [&str; 6] = [
    "--set",
    "train.accumulate=2",
    "--set",
    "train.ema_decay=[0.9,0.5]",
    "--set",
    "train.steps=12",
];

/// A JSON file.
pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The numbers of an exported weights file, by name.
pub fn tensors(bytes: &[u8]) -> Vec<(String, Vec<f32>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut all: Vec<_> = file
        .iter()
        .map(|(name, view)| {
            let values = view.data().chunks_exact(4);
            let value = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            (name.to_owned(), values.map(value).collect())
        })
        .collect();
    all.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
    all
}

/// The largest difference between two weights files of one shape.
pub fn distance(a: &[u8], b: &[u8]) -> f32 {
    let (a, b) = (tensors(a), tensors(b));
    assert_eq!(a.len(), b.len());
    let mut largest = 0f32;
    for ((name, a), (other, b)) in a.iter().zip(&b) {
        assert_eq!((name, a.len()), (other, b.len()));
        for (a, b) in a.iter().zip(b) {
            largest = largest.max((a - b).abs());
        }
    }
    largest
}
