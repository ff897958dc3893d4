//! A data set that is read again every epoch, because it does not fit into memory.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::decode;
use super::records::Records;
use super::{DataError, DataRecipe, Transform, Warning};

/// Images that are read before their share of unreadable ones says anything.
const ENOUGH_TO_JUDGE: usize = 64;

/// Images that are read and decoded when a batch asks for them, by threads of their own: those of the network must not
/// be kept from its work.
pub struct Streamed {
    records: Box<dyn Records>,
    transform: Transform,
    pool: ThreadPool,
    trouble: Mutex<Trouble>,
}

/// What could not be read so far.
#[derive(Default)]
struct Trouble {
    /// Images that batches asked for.
    wanted: usize,
    /// Those of them that could not be read.
    failed: usize,
    /// Every image that could not be read.
    known: BTreeSet<usize>,
    first: Option<(usize, String)>,
    /// Not yet told to anybody.
    warnings: Vec<Warning>,
}

impl Streamed {
    /// Nothing is read yet.
    pub fn new(records: Box<dyn Records>, recipe: &DataRecipe) -> Result<Self, DataError> {
        let threads = match recipe.workers {
            0 => std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2)),
            given => given,
        };
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|k| format!("decoder {k}"))
            .build()
            .map_err(|error| DataError::Threads(error.to_string()))?;
        Ok(Self {
            records,
            transform: recipe.transform(),
            pool,
            trouble: Mutex::default(),
        })
    }

    /// The records.
    pub fn records(&self) -> &dyn Records {
        &*self.records
    }

    /// The form that images are brought to.
    pub fn transform(&self) -> &Transform {
        &self.transform
    }

    /// The transformed pixels of some images, `[size, size, channels]` each, with the index of the image that was taken.
    ///
    /// That is another one where an image cannot be read: the next that can. So a batch stays what it was meant to be,
    /// a function of the seed, the step and the files.
    pub fn images(&self, indices: &[usize]) -> Result<Vec<(usize, Vec<u8>)>, DataError> {
        self.pool
            .install(|| indices.par_iter().map(|&index| self.image(index)).collect())
    }

    fn image(&self, wanted: usize) -> Result<(usize, Vec<u8>), DataError> {
        let count = self.records.labels().len();
        self.lock().wanted += 1;
        for offset in 0..count {
            let index = (wanted + offset) % count;
            match decode::read(&*self.records, index) {
                Ok(image) => return Ok((index, self.transform.apply(&image))),
                Err(reason) => self.note(index, reason, index == wanted)?,
            }
        }
        // Every image of a set that is too small to judge.
        Err(self.too_many(&self.lock()))
    }

    /// Notes an image that cannot be read; an error where that is no accident of one file any more.
    fn note(&self, index: usize, reason: String, wanted: bool) -> Result<(), DataError> {
        let mut trouble = self.lock();
        trouble.failed += usize::from(wanted);
        if trouble.known.insert(index) {
            trouble.first.get_or_insert((index, reason.clone()));
            trouble.warnings.push(Warning::Unreadable {
                name: self.records.name(index),
                reason,
            });
        }
        if trouble.wanted >= ENOUGH_TO_JUDGE && trouble.failed * 2 > trouble.wanted {
            return Err(self.too_many(&trouble));
        }
        Ok(())
    }

    fn too_many(&self, trouble: &Trouble) -> DataError {
        let (first, reason) = trouble.first.clone().unwrap_or_default();
        DataError::TooManyUnreadable {
            unreadable: trouble.failed,
            total: trouble.wanted,
            first: self.records.name(first),
            reason,
        }
    }

    /// What could not be read since the last call.
    pub fn take_warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut self.lock().warnings)
    }

    /// A thread that panicked while it held the lock leaves counts behind that are still counts.
    fn lock(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(|e| e.into_inner())
    }
}
