//! Draws images and extracts features, a chunk of images at a time, on several threads.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};

use super::damage::Damage;
use super::inputs::Inputs;
use super::meter::Meter;
use super::store::{ExtractedChunk, Samples, Store};
use super::sweep::{CHUNK, Sweep};
use crate::features::{Extracted, FeatureNetwork};
use freeguide_native::sample;

/// The source of the images of a job.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// The data set.
    Data,
    /// The held-out images of the data set, made worse.
    Damaged(Damage),
    /// A cell, whose images are drawn.
    Cell(usize),
}

/// One chunk.
#[derive(Debug, Clone)]
struct Job {
    source: Source,
    chunk: usize,
    images: std::ops::Range<usize>,
}

/// The part of the work that this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// The index of the part, from 0.
    pub index: usize,
    /// The number of parts.
    pub count: usize,
}

impl Shard {
    /// The whole work.
    pub const WHOLE: Self = Self { index: 0, count: 1 };
}

/// How the work is done.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// This process's part.
    pub shard: Shard,
    /// The number of threads. Each works on a chunk.
    pub workers: usize,
    /// The number of images drawn at a time.
    pub batch: usize,
    /// Whether to show no progress.
    pub quiet: bool,
}

/// The work itself.
pub struct Work<'a> {
    /// The sweep.
    pub sweep: &'a Sweep,
    /// Its models, data set and feature networks.
    pub inputs: &'a Inputs,
    /// The store of the results.
    pub store: &'a Store,
}

impl Work<'_> {
    /// Every chunk of the data set and of every cell, in the order of the sweep.
    fn jobs(&self) -> Vec<Job> {
        let chunks = |source, count: usize| {
            (0..count.div_ceil(CHUNK)).map(move |chunk| Job {
                source,
                chunk,
                images: chunk * CHUNK..((chunk + 1) * CHUNK).min(count),
            })
        };
        let damaged = self.sweep.damages().into_iter().map(Source::Damaged);
        let cells = (0..self.inputs.cells.len()).map(Source::Cell);
        std::iter::once(Source::Data)
            .chain(damaged)
            .chain(cells)
            .flat_map(|source| chunks(source, self.count(source)))
            .collect()
    }

    /// The number of images.
    fn count(&self, source: Source) -> usize {
        match source {
            Source::Data => self.inputs.data.len(),
            Source::Damaged(_) => self.inputs.held_out(self.sweep),
            Source::Cell(_) => self.sweep.samples,
        }
    }

    /// The number of chunks that are not complete.
    pub fn missing(&self) -> usize {
        self.jobs().iter().filter(|job| !self.is_done(job)).count()
    }

    fn key(&self, job: &Job) -> Cow<'_, str> {
        match job.source {
            Source::Data => Cow::Borrowed(&self.inputs.data_key),
            Source::Damaged(damage) => Cow::Owned(self.inputs.damaged_key(damage)),
            Source::Cell(cell) => Cow::Borrowed(&self.inputs.keys[cell]),
        }
    }

    /// The number of images of a cell's chunk that have to be drawn.
    fn undrawn(&self, job: &Job) -> usize {
        let kept = self.store.samples_stored(&self.key(job), job.chunk);
        job.images.len().saturating_sub(kept)
    }

    fn is_done(&self, job: &Job) -> bool {
        let (key, wanted) = (self.key(job), job.images.len());
        let drawn = match job.source {
            Source::Data | Source::Damaged(_) => true,
            Source::Cell(_) => self.store.samples_stored(&key, job.chunk) >= wanted,
        };
        let seen = |network: &FeatureNetwork| {
            self.store.features_stored(&network.key(), &key, job.chunk) >= wanted
        };
        drawn && self.inputs.networks.iter().all(seen)
    }

    /// Computes what is missing of this process's part.
    ///
    /// # Errors
    ///
    /// If a device fails or a file cannot be written. Finished chunks are kept.
    pub fn run(&self, effort: Effort) -> Result<()> {
        let mine = |index: &usize| index % effort.shard.count == effort.shard.index;
        let jobs: Vec<Job> = self
            .jobs()
            .into_iter()
            .enumerate()
            .filter(|(index, job)| mine(index) && !self.is_done(job))
            .map(|(_, job)| job)
            .collect();
        let images = jobs.iter().map(|job| job.images.len()).sum();
        if images == 0 {
            return Ok(());
        }
        let drawn = |job: &&Job| matches!(job.source, Source::Cell(_));
        let to_draw = jobs.iter().filter(drawn).map(|job| self.undrawn(job)).sum();
        let meter = Meter::new(images, to_draw, effort.quiet);
        let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..effort.workers.min(jobs.len()) {
                scope.spawn(|| {
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.job(job, effort, &meter) {
                            // Report the first failure and start no further job.
                            next.store(jobs.len(), Ordering::Relaxed);
                            let mut failure = failure.lock().unwrap_or_else(|e| e.into_inner());
                            failure.get_or_insert(error);
                        }
                    }
                });
            }
        });
        meter.finish();
        match failure.into_inner().unwrap_or_else(|e| e.into_inner()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn job(&self, job: &Job, effort: Effort, meter: &Meter) -> Result<()> {
        let samples = match job.source {
            Source::Data => self.real_images(job.images.clone()),
            Source::Damaged(damage) => self.damaged_images(job.images.clone(), damage),
            Source::Cell(cell) => self.draw(job, cell, effort, meter)?,
        };
        for network in &self.inputs.networks {
            self.extract(job, network, &samples, effort, meter)?;
        }
        meter.done(job.images.len());
        Ok(())
    }

    fn real_images(&self, indices: impl IntoIterator<Item = usize>) -> Samples {
        let data = &self.inputs.data;
        let values = data.image_len();
        let pixels = indices
            .into_iter()
            .flat_map(|i| &data.images[i * values..(i + 1) * values]);
        Samples {
            pixels: pixels.copied().collect(),
            shape: [data.size, data.size, data.channels],
            seconds: 0.0,
        }
    }

    fn damaged_images(&self, places: std::ops::Range<usize>, damage: Damage) -> Samples {
        let indices = &self.inputs.order[places];
        let mut samples = self.real_images(indices.iter().copied());
        let shape = samples.shape;
        let images = samples
            .pixels
            .chunks_exact_mut(self.inputs.data.image_len());
        for (&image, pixels) in indices.iter().zip(images) {
            damage.apply(pixels, shape, image);
        }
        samples
    }

    /// The images of the chunk. Stored ones are read, the rest is drawn.
    fn draw(&self, job: &Job, cell: usize, effort: Effort, meter: &Meter) -> Result<Samples> {
        let (key, data) = (self.key(job), &self.inputs.data);
        let mut samples = self.store.samples(&key, job.chunk).unwrap_or(Samples {
            pixels: Vec::new(),
            shape: [data.size, data.size, data.channels],
            seconds: 0.0,
        });
        let missing = job.images.start + samples.len()..job.images.end;
        if missing.is_empty() {
            return Ok(samples);
        }
        let cell = &self.inputs.cells[cell];
        let model = &self.inputs.models[cell.model];
        let classes = self.inputs.classes(cell, missing.clone());
        let plan = cell.plan(model, self.sweep.seed, missing.start as u64, &classes)?;
        let since = Instant::now();
        let drawn = sample::draw(model, &plan, effort.batch, &mut |_, _| {})?;
        let seconds = since.elapsed().as_secs_f64() / effort.workers as f64;
        meter.drawn(missing.len(), seconds);
        samples.pixels.extend(drawn.pixels);
        samples.seconds += seconds;
        self.store.put_samples(&key, job.chunk, &samples)?;
        Ok(samples)
    }

    /// Runs a network on the images that it has not seen.
    fn extract(
        &self,
        job: &Job,
        network: &FeatureNetwork,
        samples: &Samples,
        effort: Effort,
        meter: &Meter,
    ) -> Result<()> {
        let key = self.key(job);
        let kept = self.store.features(&network.key(), &key, job.chunk);
        let mut stored = kept.unwrap_or_else(|| ExtractedChunk {
            extracted: Extracted::with_capacity(network, job.images.len()),
            seconds: 0.0,
        });
        let seen = stored.extracted.features.len();
        if seen >= job.images.len() {
            return Ok(());
        }
        let [height, width, channels] = samples.shape;
        let pixels = &samples.pixels[seen * height * width * channels..];
        let since = Instant::now();
        let new = network
            .extract(pixels, height, channels)
            .with_context(|| network.name().to_owned())?;
        let seconds = since.elapsed().as_secs_f64() / effort.workers as f64;
        meter.extracted(new.features.len(), seconds);
        stored.extracted.append(&new);
        stored.seconds += seconds;
        self.store
            .put_features(&network.key(), &key, job.chunk, &stored)
    }

    /// The output of `network` for all images of a source, and the time that it took in seconds.
    ///
    /// # Errors
    ///
    /// If a chunk is missing.
    pub fn read(&self, network: &FeatureNetwork, source: Source) -> Result<ExtractedChunk> {
        let count = self.count(source);
        let mut all = ExtractedChunk {
            extracted: Extracted::with_capacity(network, count),
            seconds: 0.0,
        };
        for chunk in 0..count.div_ceil(CHUNK) {
            let images = chunk * CHUNK..((chunk + 1) * CHUNK).min(count);
            let job = Job {
                source,
                chunk,
                images,
            };
            let stored = self.store.features(&network.key(), &self.key(&job), chunk);
            let mut stored = stored
                .context("a chunk of features has disappeared: run the same command again")?;
            // A longer sweep may have stored more than this one needs.
            let kept = job.images.len() as f64 / stored.extracted.features.len().max(1) as f64;
            stored.extracted.features.truncate(job.images.len());
            stored.extracted.probabilities.truncate(job.images.len());
            all.extracted.append(&stored.extracted);
            all.seconds += stored.seconds * kept.min(1.0);
        }
        Ok(all)
    }

    /// The first `count` images of a cell, `[count, height, width, channels]`.
    ///
    /// # Errors
    ///
    /// If a chunk is missing.
    pub fn images(&self, cell: usize, count: usize) -> Result<Vec<u8>> {
        let mut pixels = Vec::new();
        for chunk in 0..count.div_ceil(CHUNK) {
            let samples = self.store.samples(&self.inputs.keys[cell], chunk);
            let samples =
                samples.context("a chunk of images has disappeared: run the same command again")?;
            pixels.extend(samples.pixels);
        }
        pixels.truncate(count * self.inputs.data.image_len());
        Ok(pixels)
    }

    /// Image `index` of a cell.
    ///
    /// # Errors
    ///
    /// If its chunk is missing.
    pub fn image(&self, cell: usize, index: usize) -> Result<Vec<u8>> {
        let values = self.inputs.data.image_len();
        let samples = self.store.samples(&self.inputs.keys[cell], index / CHUNK);
        let samples =
            samples.context("a chunk of images has disappeared: run the same command again")?;
        let image = samples.pixels.chunks_exact(values).nth(index % CHUNK);
        Ok(image
            .context("an image has disappeared: run the same command again")?
            .to_vec())
    }

    /// The number of images of a cell drawn per second.
    pub fn drawn_per_second(&self, cell: usize) -> f64 {
        let key = &self.inputs.keys[cell];
        let chunks = 0..self.sweep.samples.div_ceil(CHUNK);
        let (images, seconds) = chunks
            .filter_map(|chunk| self.store.samples_time(key, chunk))
            .fold((0, 0.0), |sum, chunk| (sum.0 + chunk.0, sum.1 + chunk.1));
        images as f64 / seconds.max(1e-9)
    }
}
