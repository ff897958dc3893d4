//! The store of images and features by key. An interrupted sweep continues from it, and a longer one adds only what is
//! new.
//!
//! All data are in safetensors files of up to [`CHUNK`](super::sweep::CHUNK) images, which Python can read too:
//! `samples/KEY/00000.safetensors` holds `images` (`[n, height, width, channels]`, bytes) and
//! `features/NETWORK/KEY/00000.safetensors` `features` and `probabilities`. A chunk that cannot be read counts as
//! missing.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::features::{Extracted, Rows};
use freeguide_native::files::{create_folder, write_atomic};

/// A store in a folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// The images of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// `[n, height, width, channels]`.
    pub pixels: Vec<u8>,
    /// `[height, width, channels]`.
    pub shape: [usize; 3],
    /// The time that it took to draw them, in seconds of the whole machine.
    pub seconds: f64,
}

/// The output of a network for a chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtractedChunk {
    /// Features and probabilities.
    pub extracted: Extracted,
    /// The time that it took, in seconds of the whole machine.
    pub seconds: f64,
}

impl Samples {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>().max(1)
    }
}

const SECONDS: &str = "seconds";

impl Store {
    /// A store in `folder`, which need not exist yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn samples_path(&self, key: &str, chunk: usize) -> PathBuf {
        let file = format!("{chunk:05}.safetensors");
        self.root.join("samples").join(key).join(file)
    }

    fn features_path(&self, network: &str, key: &str, chunk: usize) -> PathBuf {
        let file = format!("{chunk:05}.safetensors");
        let network = network.get(..20).unwrap_or(network);
        self.root
            .join("features")
            .join(network)
            .join(key)
            .join(file)
    }

    /// The number of images of a chunk, read from the header of its file.
    pub fn samples_stored(&self, key: &str, chunk: usize) -> usize {
        header_of(&self.samples_path(key, chunk), "images").map_or(0, |k| k.0)
    }

    /// The number of images of a chunk and the time that they took, read from the header of its file.
    pub fn samples_time(&self, key: &str, chunk: usize) -> Option<(usize, f64)> {
        header_of(&self.samples_path(key, chunk), "images")
    }

    /// The number of images of a chunk that `network` has seen, read from the header of its file.
    pub fn features_stored(&self, network: &str, key: &str, chunk: usize) -> usize {
        header_of(&self.features_path(network, key, chunk), "features").map_or(0, |k| k.0)
    }

    /// The images of a chunk, if there are any.
    pub fn samples(&self, key: &str, chunk: usize) -> Option<Samples> {
        let bytes = fs::read(self.samples_path(key, chunk)).ok()?;
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let images = file.tensor("images").ok()?;
        let &[_, height, width, channels] = images.shape() else {
            return None;
        };
        Some(Samples {
            pixels: images.data().to_vec(),
            shape: [height, width, channels],
            seconds: seconds(&bytes)?,
        })
    }

    /// Stores the images of a chunk.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn put_samples(&self, key: &str, chunk: usize, samples: &Samples) -> Result<()> {
        let [height, width, channels] = samples.shape;
        let shape = vec![samples.len(), height, width, channels];
        let view = TensorView::new(Dtype::U8, shape, &samples.pixels)?;
        put(
            &self.samples_path(key, chunk),
            [("images", view)],
            samples.seconds,
        )
    }

    /// The output of the network with this key for a chunk, if it is stored.
    pub fn features(&self, network: &str, key: &str, chunk: usize) -> Option<ExtractedChunk> {
        let bytes = fs::read(self.features_path(network, key, chunk)).ok()?;
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let rows = |name: &str| {
            let tensor = file.tensor(name).ok()?;
            let &[_, width] = tensor.shape() else {
                return None;
            };
            let values = tensor.data().chunks_exact(4);
            let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            (tensor.dtype() == Dtype::F32 && width > 0).then(|| Rows::new(width, values.collect()))
        };
        let extracted = Extracted {
            features: rows("features")?,
            probabilities: rows("probabilities")?,
        };
        Some(ExtractedChunk {
            extracted,
            seconds: seconds(&bytes)?,
        })
    }

    /// Stores the output of a network for a chunk.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn put_features(
        &self,
        network: &str,
        key: &str,
        chunk: usize,
        stored: &ExtractedChunk,
    ) -> Result<()> {
        let bytes = |rows: &Rows| -> Vec<u8> {
            rows.values().iter().flat_map(|v| v.to_le_bytes()).collect()
        };
        let Extracted {
            features,
            probabilities,
        } = &stored.extracted;
        let (a, b) = (bytes(features), bytes(probabilities));
        let view =
            |rows: &Rows, bytes| TensorView::new(Dtype::F32, vec![rows.len(), rows.width()], bytes);
        let (features, probabilities) = (view(features, &a)?, view(probabilities, &b)?);
        let tensors = [("features", features), ("probabilities", probabilities)];
        let path = self.features_path(network, key, chunk);
        put(&path, tensors, stored.seconds)
    }

    /// Copies every file of `other` that is not here yet, or of which less is here: a longer sweep fills the last chunk of
    /// a shorter one.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written.
    pub fn take_from(&self, other: &Self) -> Result<()> {
        for entry in walkdir::WalkDir::new(&other.root) {
            let entry = entry.with_context(|| format!("cannot read {}", other.root.display()))?;
            let Ok(inner) = entry.path().strip_prefix(&other.root) else {
                continue;
            };
            let target = self.root.join(inner);
            let lacks = || !target.exists() || rows(entry.path()) > rows(&target);
            if entry.file_type().is_file() && lacks() {
                let bytes = fs::read(entry.path())
                    .with_context(|| format!("cannot read {}", entry.path().display()))?;
                if let Some(folder) = target.parent() {
                    create_folder(folder)?;
                }
                write_atomic(&target, &bytes)?;
            }
        }
        Ok(())
    }
}

/// The number of images of a chunk of either kind, 0 if the file is not a chunk.
fn rows(path: &Path) -> usize {
    let count = |name| header_of(path, name).map(|(count, _)| count);
    ["images", "features"]
        .into_iter()
        .find_map(count)
        .unwrap_or(0)
}

/// The first dimension of a tensor and the time that it took in seconds, if the file is as long as its header says. A
/// file is the header's length in eight bytes, the header as JSON, and the tensors.
fn header_of(path: &Path, name: &str) -> Option<(usize, f64)> {
    let mut file = fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut start = [0; 8];
    file.read_exact(&mut start).ok()?;
    let header = u64::from_le_bytes(start);
    let mut json = Vec::new();
    file.take(header.min(length)).read_to_end(&mut json).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&json).ok()?;
    let ends = json.as_object()?.values();
    let end = ends
        .filter_map(|tensor| tensor["data_offsets"][1].as_u64())
        .max()?;
    (8u64.checked_add(header)?.checked_add(end)? == length).then_some(())?;
    let count = json[name]["shape"][0].as_u64()?;
    let seconds = json["__metadata__"][SECONDS].as_str()?.parse().ok()?;
    Some((usize::try_from(count).ok()?, seconds))
}

/// The time recorded in a file.
fn seconds(bytes: &[u8]) -> Option<f64> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    header.metadata().as_ref()?.get(SECONDS)?.parse().ok()
}

fn put<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'static str, TensorView<'a>)>,
    seconds: f64,
) -> Result<()> {
    let metadata = HashMap::from([(SECONDS.to_owned(), seconds.to_string())]);
    let bytes = safetensors::serialize(tensors, Some(metadata))?;
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    write_atomic(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_and_what_is_damaged_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("a"));
        let samples = Samples {
            pixels: (0..24).collect(),
            shape: [2, 2, 3],
            seconds: 1.5,
        };
        let stored = ExtractedChunk {
            extracted: Extracted {
                features: Rows::new(3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
                probabilities: Rows::new(1, vec![1.0, 1.0]),
            },
            seconds: 0.25,
        };
        assert_eq!(store.samples("key", 0), None);
        store.put_samples("key", 0, &samples).unwrap();
        store.put_features("network", "key", 0, &stored).unwrap();
        let copy = Store::new(folder.path().join("b"));
        copy.take_from(&store).unwrap();
        assert_eq!(copy.samples("key", 0), Some(samples));
        assert_eq!(copy.features("network", "key", 0), Some(stored));
        let kept = (
            copy.samples_stored("key", 0),
            copy.features_stored("network", "key", 0),
        );
        assert_eq!(kept, (2, 2));
        fs::write(copy.samples_path("key", 0), b"not a file").unwrap();
        assert_eq!(
            (copy.samples("key", 0), copy.samples_stored("key", 0)),
            (None, 0)
        );
        let path = store.samples_path("key", 0);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(store.samples_stored("key", 0), 0);
    }
}
