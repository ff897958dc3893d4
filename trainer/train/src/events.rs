//! Event files for TensorBoard: scalars and sample grids.
//!
//! A file is a sequence of TFRecords (length, masked CRC-32C of the length, bytes, masked CRC-32C of the bytes; all
//! little-endian), each of which is one `Event` message. This file declares the parts of the messages that are used,
//! with the field numbers of TensorBoard's `event.proto` and `summary.proto`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prost::Message;

use crate::metric::Metric;
use freeguide_native::files::create_folder;

/// `tensorboard.Event`
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// `tensorboard.Summary`
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorboard.Summary.Value`
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Content", tags = "2, 4")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "4")]
    Image(Image),
}

/// `tensorboard.Summary.Image`
#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// The number of channels.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded: Vec<u8>,
}

/// `tensorboard.SessionLog`
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SessionLog.START`: TensorBoard ignores this step and later ones in other files.
const START: i32 = 1;

/// The event file of one start of a training.
#[derive(Debug)]
pub struct Events {
    file: File,
    path: String,
}

impl Events {
    /// Creates a file in `folder` for a training that has taken `step` steps.
    pub fn begin(folder: &Path, step: u64) -> Result<Self> {
        create_folder(folder)?;
        let resumed = fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
        // TensorBoard recognises such files by `tfevents` and reads them in the order of their names.
        let name = format!(
            "events.out.tfevents.{:010}.freeguide.{}",
            now() as u64,
            std::process::id()
        );
        let path = folder.join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let path = path.display().to_string();
        let file = file.with_context(|| format!("cannot write {path}"))?;
        let mut events = Self { file, path };
        events.put(0, What::FileVersion("brain.Event:2".to_owned()))?;
        if resumed {
            events.put(step + 1, What::SessionLog(SessionLog { status: START }))?;
        }
        Ok(events)
    }

    /// Writes the values of a line of metrics, as `train/loss` and so on.
    pub fn metric(&mut self, metric: &Metric) -> Result<()> {
        let figures = serde_json::to_value(metric)?;
        let value = figures
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "step")
            .filter_map(|(key, figure)| {
                Some(Value {
                    tag: format!("train/{key}"),
                    content: Some(Content::Scalar(figure.as_f64()? as f32)),
                })
            })
            .collect();
        self.put(metric.step, What::Summary(Summary { value }))
    }

    /// Writes a picture, a PNG with three channels.
    pub fn picture(&mut self, step: u64, tag: &str, png: &[u8]) -> Result<()> {
        let value = vec![Value {
            tag: tag.to_owned(),
            content: Some(Content::Image(picture(png))),
        }];
        self.put(step, What::Summary(Summary { value }))
    }

    fn put(&mut self, step: u64, what: What) -> Result<()> {
        let event = Event {
            wall_time: now(),
            step: i64::try_from(step)?,
            what: Some(what),
        };
        self.file
            .write_all(&record(&event.encode_to_vec()))
            .with_context(|| format!("cannot write {}", self.path))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

fn picture(png: &[u8]) -> Image {
    // The width and height of a PNG have a fixed position, in the first chunk.
    let number = |at: usize| match png.get(at..at + 4) {
        Some(&[a, b, c, d]) => i32::from_be_bytes([a, b, c, d]),
        _ => 0,
    };
    Image {
        height: number(20),
        width: number(16),
        colorspace: 3,
        encoded: png.to_vec(),
    }
}

/// One TFRecord.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(bytes);
    record.extend(masked_crc(bytes).to_le_bytes());
    record
}

/// CRC-32C as TFRecords store it. The mask avoids problems with checksums of data that contains checksums.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tests/tensorboard/make_events_fixture.py wrote with TensorBoard's own messages and
    /// record writer.
    const EXPECTED: &[u8] = include_bytes!("../../../tests/fixtures/events.tfevents");

    #[test]
    fn records_are_tensorboards_own() {
        let png = include_bytes!("../../../models/emoji16/images/w0.png");
        let events = [
            Event {
                wall_time: 1.5,
                step: 0,
                what: Some(What::FileVersion("brain.Event:2".to_owned())),
            },
            Event {
                wall_time: 2.5,
                step: 11,
                what: Some(What::SessionLog(SessionLog { status: START })),
            },
            Event {
                wall_time: 3.25,
                step: 300,
                what: Some(What::Summary(Summary {
                    value: vec![
                        Value {
                            tag: "train/loss".to_owned(),
                            content: Some(Content::Scalar(0.125)),
                        },
                        Value {
                            tag: "train/größe".to_owned(),
                            content: Some(Content::Scalar(-0.0)),
                        },
                    ],
                })),
            },
            Event {
                wall_time: 4.0,
                step: 5_000_000_000,
                what: Some(What::Summary(Summary {
                    value: vec![Value {
                        tag: "samples".to_owned(),
                        content: Some(Content::Image(Image {
                            // The picture itself would only make the fixture larger.
                            encoded: png[..64].to_vec(),
                            ..picture(png)
                        })),
                    }],
                })),
            },
        ];
        let written: Vec<u8> = events
            .iter()
            .flat_map(|event| record(&event.encode_to_vec()))
            .collect();
        assert_eq!(written, EXPECTED);
    }
}
