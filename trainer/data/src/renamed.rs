//! Other names for the classes than those that stand in the data.

use std::collections::BTreeMap;
use std::ops::Range;

use super::labels::same_name;
use super::records::{Records, Stored};
use super::{Beside, DataError};

/// Records whose classes have the names that a recipe gives them. Ids, and so what training sees, stay.
pub struct Renamed {
    records: Box<dyn Records>,
    classes: Vec<String>,
}

impl Renamed {
    /// Gives every class that is a key of `names` the name that stands there; the others keep theirs. Where no class is
    /// called so, a key may be a class's id, which tells two of one name apart.
    ///
    /// # Errors
    /// [`DataError::NoSuchClass`] if a key is no class, and [`DataError::SameName`] if two classes would have one name.
    pub fn new(
        records: Box<dyn Records>,
        names: &BTreeMap<String, String>,
    ) -> Result<Self, DataError> {
        let found = records.classes();
        let mut classes = found.to_vec();
        for (key, name) in names {
            let mut places: Vec<usize> = (0..found.len()).filter(|&id| found[id] == *key).collect();
            if places.is_empty() {
                places.extend(key.parse().ok().filter(|&id: &usize| id < found.len()));
            }
            if places.is_empty() {
                return Err(DataError::NoSuchClass {
                    class: key.clone(),
                    found: found.to_vec(),
                });
            }
            for id in places {
                classes[id].clone_from(name);
            }
        }
        let mut by_name: Vec<(&str, u32)> = classes.iter().map(String::as_str).zip(0..).collect();
        by_name.sort_unstable();
        if let Some(same) = by_name.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(same_name(same[0], same[1].1));
        }
        Ok(Self { records, classes })
    }
}

impl Records for Renamed {
    fn labels(&self) -> &[u32] {
        self.records.labels()
    }

    fn beside(&self) -> Beside {
        self.records.beside()
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
