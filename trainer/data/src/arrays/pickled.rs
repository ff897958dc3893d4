//! Pickled batches: `cifar-10-batches-py`, CIFAR-100 and downsampled ImageNet as they are served for Python.
//!
//! A pickle is a program that Python runs. Here it is data: a reader that knows the few names of which an array is made,
//! and refuses every other, notes where the pixels are, and they are read in place.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::npz::reason;
use super::table::{Array, Numbers, Table};
use crate::positioned::Positioned;
use crate::{DataError, DataRecipe};
use freeguide_readers::weights::pickle::{Pickle, Value};

/// The sets that are pickled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// `data_batch_1` …, `test_batch`, `batches.meta`.
    Cifar10,
    /// `train`, `test`, `meta`.
    Cifar100,
    /// `train_data_batch_1` …, `val_data`.
    ImageNet,
}

/// The set of which these are the files of a folder.
pub fn set(names: &[String]) -> Option<Set> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let any = |begins: &str| names.iter().any(|name| is_numbered(name, begins));
    match () {
        () if has("batches.meta") && (any("data_batch_") || has("test_batch")) => {
            Some(Set::Cifar10)
        }
        () if has("meta") && (has("train") || has("test")) => Some(Set::Cifar100),
        () if any("train_data_batch_") || has("val_data") => Some(Set::ImageNet),
        () => None,
    }
}

fn is_numbered(name: &str, begins: &str) -> bool {
    let number = name.strip_prefix(begins);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

impl Set {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cifar10 => "CIFAR-10",
            Self::Cifar100 => "CIFAR-100",
            Self::ImageNet => "downsampled ImageNet",
        }
    }

    /// The batches in a folder.
    pub fn batches(self, dir: &Path, names: &[String]) -> Vec<PathBuf> {
        let is_batch = |name: &&String| match self {
            Self::Cifar10 => is_numbered(name, "data_batch_") || *name == "test_batch",
            Self::Cifar100 => *name == "train" || *name == "test",
            Self::ImageNet => is_numbered(name, "train_data_batch_") || *name == "val_data",
        };
        names
            .iter()
            .filter(is_batch)
            .map(|name| dir.join(name))
            .collect()
    }

    /// The part that a batch is of.
    pub fn is_of(self, batch: &Path, split: &str) -> bool {
        let name = batch.file_name().unwrap_or_default().to_string_lossy();
        match self {
            Self::Cifar10 => match split {
                "train" => name.starts_with("data_batch_"),
                "test" => name == "test_batch",
                _ => false,
            },
            Self::Cifar100 | Self::ImageNet => crate::parts::is_of(&name, split),
        }
    }

    /// The names of the classes, from the file beside the batches.
    pub fn classes(
        self,
        dir: &Path,
        recipe: &DataRecipe,
    ) -> Result<Option<Vec<String>>, DataError> {
        let (file, key) = match self {
            Self::Cifar10 => ("batches.meta", "label_names"),
            Self::Cifar100 if super::cifar::is_fine(recipe)? => ("meta", "fine_label_names"),
            Self::Cifar100 => ("meta", "coarse_label_names"),
            Self::ImageNet => return Ok(None),
        };
        let path = dir.join(file);
        let (_, pickle, top) = load(&path)?;
        let list = entry(&pickle, top, key);
        let list = list.ok_or_else(|| DataError::Columns {
            path: path.clone(),
            reason: format!("it has no {key}"),
        })?;
        let names = pickle.items(list).map(|item| pickle.text_of(item));
        Ok(Some(names.flatten().map(str::to_owned).collect()))
    }
}

/// The arrays of a batch, and the lists of labels in it.
pub fn open(path: &Path) -> Result<Table, DataError> {
    let (file, pickle, top) = load(path)?;
    let mut arrays = Vec::new();
    for (dict, key, value) in pickle.pairs() {
        let Some(name) = pickle.text_of(key).filter(|_| dict == top) else {
            continue;
        };
        let (descr, dims, numbers) = match (pickle.array_of(value), value) {
            (Some(array), _) => {
                let numbers = Numbers::Stored(file.clone(), array.at);
                (array.descr(), array.dims().to_vec(), numbers)
            }
            (None, Value::List(_)) => {
                let Some(labels) = labels(&pickle, value) else {
                    continue;
                };
                let dims = vec![labels.len() as u64];
                ("list".to_owned(), dims, Numbers::Listed(labels))
            }
            _ => continue,
        };
        arrays.push(Array {
            name: name.to_owned(),
            descr,
            dims,
            numbers,
        });
    }
    Ok(Table {
        path: path.into(),
        arrays,
    })
}

/// The numbers of a list, where it is one of ids.
fn labels(pickle: &Pickle, list: Value) -> Option<Vec<u32>> {
    let ids = pickle.items(list);
    ids.map(|item| pickle.number_of(item).and_then(|id| u32::try_from(id).ok()))
        .collect()
}

/// The value of a key of the outermost dictionary.
fn entry(pickle: &Pickle, top: Value, key: &str) -> Option<Value> {
    let mut pairs = pickle.pairs();
    let found = pairs.find(|&(dict, k, _)| dict == top && pickle.text_of(k) == Some(key));
    found.map(|(_, _, value)| value)
}

fn load(path: &Path) -> Result<(Positioned, Pickle, Value), DataError> {
    let file = Positioned::open_data(path)?;
    let mut pickle = Pickle::of_arrays(file.len());
    let mut input = BufReader::with_capacity(8192, file.reader(0));
    let top = pickle.load(&mut input);
    let torn = |reason: String| DataError::Torn {
        path: path.into(),
        reason,
    };
    match top {
        Ok(top @ Value::Dict(_)) => Ok((file, pickle, top)),
        Ok(_) => Err(torn("its pickle is no dictionary".into())),
        Err(error) => Err(torn(reason(error))),
    }
}
