//! Labels as files write them, and the classes that they come to.

use std::collections::BTreeSet;

use super::DataError;

/// The most classes of labels that are bare numbers: above it a number is no class but a mistake.
const MOST_BARE_IDS: u64 = 65_536;

/// A label as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// A class by number, from 0.
    Id(u64),
    /// A class by name.
    Name(String),
}

impl Label {
    /// A label of text: a number where it is one.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        text.parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }

    fn text(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// Class names by id, and the id of every label.
///
/// With `names` given, a label is one of them or its place among them. Without, numbers are ids whose names are the
/// numbers; if any label is no number, all are names, and the classes are in the order of their bytes.
///
/// # Errors
/// [`DataError::Label`] where a label is no class, with the name that `name_of` gives its image.
pub fn resolve(
    labels: &[Label],
    names: Option<Vec<String>>,
    name_of: &dyn Fn(usize) -> String,
) -> Result<(Vec<String>, Vec<u32>), DataError> {
    let all_ids = labels.iter().all(|label| matches!(label, Label::Id(_)));
    let classes = match names {
        Some(names) => names,
        None if all_ids => {
            let most = labels.iter().map(|label| match label {
                Label::Id(id) => *id,
                Label::Name(_) => 0,
            });
            let count = most.max().map_or(0, |id| id.saturating_add(1));
            (0..count.min(MOST_BARE_IDS))
                .map(|id| id.to_string())
                .collect()
        }
        None => {
            let names: BTreeSet<String> = labels.iter().map(Label::text).collect();
            names.into_iter().collect()
        }
    };
    let mut by_name: Vec<(&str, u32)> = classes.iter().map(String::as_str).zip(0..).collect();
    by_name.sort_unstable();
    let mut ids = Vec::with_capacity(labels.len());
    for (index, label) in labels.iter().enumerate() {
        let text = label.text();
        let named = by_name
            .binary_search_by_key(&text.as_str(), |(name, _)| name)
            .ok()
            .map(|at| by_name[at].1);
        let id = match label {
            // A name wins over an id that looks the same.
            _ if named.is_some() => named,
            Label::Id(id) => u32::try_from(*id)
                .ok()
                .filter(|&id| (id as usize) < classes.len()),
            Label::Name(_) => None,
        };
        match id {
            Some(id) => ids.push(id),
            None => {
                return Err(DataError::Label {
                    name: name_of(index),
                    label: text,
                    classes: classes.len(),
                });
            }
        }
    }
    Ok((classes, ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(
        labels: &[&str],
        names: Option<&[&str]>,
    ) -> Result<(Vec<String>, Vec<u32>), String> {
        let labels: Vec<Label> = labels.iter().map(|text| Label::parse(text)).collect();
        let names = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        resolve(&labels, names, &|index| format!("image {index}")).map_err(|e| e.to_string())
    }

    #[test]
    fn numbers_are_ids_and_anything_else_is_a_name() {
        let (classes, ids) = resolved(&["2", " 0\n", "2"], None).unwrap();
        assert_eq!((classes.len(), ids), (3, vec![2, 0, 2]));
        let (classes, ids) = resolved(&["dog", "cat", "7", "dog"], None).unwrap();
        assert_eq!(classes, ["7", "cat", "dog"]);
        assert_eq!(ids, [2, 1, 0, 2]);
    }

    #[test]
    fn given_names_decide() {
        let names: &[&str] = &["dog", "cat", "0"];
        let (classes, ids) = resolved(&["cat", "1", "dog", "0"], Some(names)).unwrap();
        assert_eq!(classes, ["dog", "cat", "0"]);
        assert_eq!(ids, [1, 1, 0, 2], "the class named 0 wins over id 0");
        for bad in ["3", "bird"] {
            let error = resolved(&["dog", bad], Some(names)).unwrap_err();
            assert!(error.contains("image 1") && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_number_that_is_no_class_is_refused() {
        let error = resolved(&["1", "123456789"], None).unwrap_err();
        assert!(error.contains("123456789"), "{error}");
    }
}
