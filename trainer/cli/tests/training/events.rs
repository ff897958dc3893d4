//! Event files for TensorBoard.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::*;

/// CRC-32C bit by bit, after its definition (Castagnoli et al. 1993; RFC 3720).
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

/// The records of an event file, their checksums checked.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let masked = |bytes: &[u8]| crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8);
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(word(&bytes[8..12]), masked(&bytes[..8]));
        let content = &bytes[12..12 + length];
        assert_eq!(word(&bytes[12 + length..16 + length]), masked(content));
        found.push(content.to_vec());
        bytes = &bytes[16 + length..];
    }
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn every_start_leaves_an_event_file() {
    let place = tempfile::tempdir().unwrap();
    let out = unfinished_run(&place);
    let before = names(&out.join("tensorboard"));
    assert_eq!(before.len(), 1);
    train(&out, &["--resume"]).ok();
    let after = names(&out.join("tensorboard"));
    assert_eq!(after.len(), 2);
    let read = |name: &String| records(&fs::read(out.join("tensorboard").join(name)).unwrap());
    let first = read(&before[0]);
    assert!(contains(&first[0], b"brain.Event:2"));
    let metrics = fs::read_to_string(whole_run().join("metrics.jsonl")).unwrap();
    let lines = first
        .iter()
        .filter(|record| contains(record, b"train/loss"));
    assert_eq!(lines.count(), metrics.lines().count());
    let line: Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    for key in line
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| *key != "step")
    {
        let tag = format!("train/{key}");
        assert!(
            first.iter().any(|record| contains(record, tag.as_bytes())),
            "{tag}"
        );
    }
    let grid = fs::read(out.join("samples/step-00000020.png")).unwrap();
    assert!(first.iter().any(|record| contains(record, &grid)));
    // What the first file says of steps after the checkpoint is taken back by the second one's
    // start, `session_log { status: START }` at step 37.
    let second = after.iter().find(|name| !before.contains(name)).unwrap();
    assert!(contains(&read(second)[1], &[0x10, 37, 0x3a, 2, 0x08, 1]));
}

/// With TensorBoard's own reader, where there is one.
#[test]
#[ignore = "needs a Python with the package tensorboard, named by $PYTHON"]
fn tensorboard_reads_a_run() {
    let place = tempfile::tempdir().unwrap();
    let out = unfinished_run(&place);
    train(&out, &["--resume"]).ok();
    let python = std::env::var("PYTHON").unwrap_or("python3".to_owned());
    let script = format!("{ROOT}/tests/tensorboard/check_run.py");
    let checked = Command::new(python)
        .args([&script, text(&out)])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{error}");
}
