//! The data set of a training, in memory or streamed.

use std::borrow::Cow;
use std::path::Path;

use rayon::prelude::*;

use super::dataset::fill_image;
use super::memory::decode_all;
use super::recognise::recognise;
use super::streamed::Streamed;
use super::{Beside, DataError, DataRecipe, Dataset, Warning, balance, fingerprint};

/// Labelled images that batches are drawn from, decoded once where they fit into memory and streamed where they don't.
pub struct TrainingSet {
    /// The class of each image.
    pub labels: Vec<u32>,
    /// What images have beside one class.
    pub beside: Beside,
    /// Class names, in the order of their ids.
    pub classes: Vec<String>,
    /// Width and height of every image, in pixels.
    pub size: usize,
    /// 1 (grey) or 3 (RGB).
    pub channels: usize,
    description: String,
    source: Source,
}

enum Source {
    Memory(Dataset),
    Streamed(Streamed),
}

/// The images of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// Values in [−1, 1], `[batch, channels, size, size]`.
    pub values: Vec<f32>,
    /// The class of each.
    pub labels: Vec<u32>,
    /// Their places in the set.
    pub places: Vec<usize>,
}

impl TrainingSet {
    /// Finds the images in `path`, and decodes them if they fit into the memory that the recipe allows.
    ///
    /// # Errors
    /// As [`load`](super::load).
    pub fn open(
        path: &Path,
        recipe: &DataRecipe,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Self, DataError> {
        let found = recognise(path, recipe, report)?;
        let count = found.records.labels().len() as u64;
        let bytes = count.saturating_mul(recipe.transform().image_len() as u64);
        let (source, place) = if bytes > recipe.memory_bytes() {
            let streamed = Streamed::new(found.records, recipe)?;
            (Source::Streamed(streamed), "streamed")
        } else {
            let decoded = decode_all(&*found.records, &recipe.transform(), report)?;
            (Source::Memory(decoded), "decoded in memory")
        };
        let (labels, beside, classes) = match &source {
            Source::Memory(data) => (
                data.labels.clone(),
                data.beside.clone(),
                data.classes.clone(),
            ),
            Source::Streamed(data) => (
                data.records().labels().to_vec(),
                data.records().beside(),
                data.records().classes().to_vec(),
            ),
        };
        Ok(Self {
            labels,
            beside,
            classes,
            size: recipe.size as usize,
            channels: recipe.channels as usize,
            description: format!(
                "{}: {}, {place} ({} MiB)",
                path.display(),
                found.description,
                bytes.div_ceil(1 << 20)
            ),
            source,
        })
    }

    /// A data set in memory that was made rather than read; `description` says how.
    pub fn made(data: Dataset, description: String) -> Self {
        Self {
            labels: data.labels.clone(),
            beside: data.beside.clone(),
            classes: data.classes.clone(),
            size: data.size,
            channels: data.channels,
            description,
            source: Source::Memory(data),
        }
    }

    /// What training is about to see, in lines: what was found, and how its images are spread over the classes.
    pub fn summary(&self) -> Vec<String> {
        let mut lines = vec![self.description.clone()];
        let counts = self.class_counts();
        lines.extend(match &self.beside.attributes {
            None => balance::lines(&self.classes, &counts),
            Some(_) => balance::of_attributes(&self.classes, &counts, self.len()),
        });
        lines.extend(
            self.beside
                .numbers
                .as_ref()
                .map(|all| balance::of_numbers(all)),
        );
        lines
    }

    /// The number of images, at least 1.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of values in one image.
    pub fn image_len(&self) -> usize {
        self.size * self.size * self.channels
    }

    /// The number of images of each class, in the order of `classes`.
    pub fn class_counts(&self) -> Vec<usize> {
        self.beside.counts(&self.labels, self.classes.len())
    }

    /// The labels of an image: its attributes, or its class.
    pub fn labels_of(&self, index: usize) -> &[u32] {
        match &self.beside.attributes {
            Some(attributes) => attributes.of(index),
            None => &self.labels[index..=index],
        }
    }

    /// The number of an image, if it has one.
    pub fn number_of(&self, index: usize) -> Option<f64> {
        self.beside.numbers.as_ref().and_then(|all| all[index])
    }

    /// What the data set is known by: of one in memory, SHA-256 over everything that training sees; of a streamed one,
    /// over labels, lengths and a sample of the contents.
    pub fn fingerprint(&self) -> Result<String, DataError> {
        match &self.source {
            Source::Memory(data) => Ok(data.fingerprint()),
            Source::Streamed(data) => fingerprint::sampled(data.records(), data.transform()),
        }
    }

    /// The pixels of one image, `[size, size, channels]`.
    pub fn image(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        Ok(match &self.source {
            Source::Memory(data) => Cow::Borrowed(data.image(index)),
            Source::Streamed(data) => Cow::Owned(
                data.images(&[index])?
                    .pop()
                    .map(|(_, pixels)| pixels)
                    .unwrap_or_default(),
            ),
        })
    }

    /// The images `indices` as the network takes them, image k mirrored left to right where `flips[k]`.
    pub fn batch(&self, indices: &[usize], flips: &[bool]) -> Result<Images, DataError> {
        let (size, channels) = (self.size, self.channels);
        match &self.source {
            Source::Memory(data) => {
                let mut values = Vec::new();
                data.fill_batch(indices, flips, &mut values);
                let labels = indices.iter().map(|&index| self.labels[index]).collect();
                Ok(Images {
                    values,
                    labels,
                    places: indices.to_vec(),
                })
            }
            Source::Streamed(data) => {
                let images = data.images(indices)?;
                let mut values = vec![0f32; indices.len() * self.image_len()];
                values
                    .par_chunks_mut(self.image_len())
                    .zip(images.par_iter().zip(flips))
                    .for_each(|(out, ((_, pixels), &flip))| {
                        fill_image(pixels, size, channels, flip, out);
                    });
                let labels = images.iter().map(|(taken, _)| self.labels[*taken]);
                Ok(Images {
                    labels: labels.collect(),
                    places: images.iter().map(|(taken, _)| *taken).collect(),
                    values,
                })
            }
        }
    }

    /// Images that could not be read since the last call. Of a set in memory all were named when it was decoded.
    pub fn take_warnings(&self) -> Vec<Warning> {
        match &self.source {
            Source::Memory(_) => Vec::new(),
            Source::Streamed(data) => data.take_warnings(),
        }
    }
}
