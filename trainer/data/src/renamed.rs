//! Other names for the classes than those that stand in the data.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::DataError;
use super::records::{Records, Stored};

/// Records whose classes have the names that a recipe gives them. Ids, and so what training sees, stay.
pub struct Renamed {
    records: Box<dyn Records>,
    classes: Vec<String>,
}

impl Renamed {
    /// Gives every class that is a key of `names` the name that stands there; the others keep theirs.
    ///
    /// # Errors
    /// [`DataError::NoSuchClass`] if a key is no class, and [`DataError::SameName`] if two classes would have one name.
    pub fn new(
        records: Box<dyn Records>,
        names: &BTreeMap<String, String>,
    ) -> Result<Self, DataError> {
        let found = records.classes();
        if let Some(class) = names.keys().find(|class| !found.contains(class)) {
            return Err(DataError::NoSuchClass {
                class: class.clone(),
                found: found.to_vec(),
            });
        }
        let classes: Vec<String> = found
            .iter()
            .map(|class| names.get(class).unwrap_or(class).clone())
            .collect();
        let mut seen = BTreeSet::new();
        if let Some(name) = classes.iter().find(|name| !seen.insert(*name)) {
            return Err(DataError::SameName { name: name.clone() });
        }
        Ok(Self { records, classes })
    }
}

impl Records for Renamed {
    fn labels(&self) -> &[u32] {
        self.records.labels()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        self.records.name(index)
    }

    fn stored_len(&self, index: usize) -> Option<u64> {
        self.records.stored_len(index)
    }

    fn read(&self, index: usize) -> Result<Stored, String> {
        self.records.read(index)
    }

    fn read_range(&self, range: Range<usize>, take: &mut dyn FnMut(usize, Result<Stored, String>)) {
        self.records.read_range(range, take);
    }
}
