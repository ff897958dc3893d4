//! Labels as files write them, and the classes that they come to.

use std::collections::BTreeSet;

use super::{Attributes, DataError, Warning};

/// The most classes of labels that are bare numbers, where there are few images: above it, and above twice the number of
/// images, a number is no class but a mistake.
const MOST_BARE_IDS: u64 = 4096;

/// A label as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// A value of an integer column, or a number in JSON: a class by its place in the list of classes, from 0.
    Id(u64),
    /// A value of a text column, or a text in JSON: a class by name, also where it looks like a number.
    Name(String),
    /// The text of a file, which may be either. All such labels of a set are read in one way.
    Text(String),
    /// Several places in the list of classes: the attributes of an image.
    Ids(Vec<u32>),
    /// Several names, with [`SEPARATOR`] behind each: the attributes of an image.
    Names(String),
}

/// What stands behind each of several names.
pub const SEPARATOR: char = '\0';

/// Labels as training takes them.
pub struct Resolved {
    /// Class names by id.
    pub classes: Vec<String>,
    /// The class of each image; 0 of all that have attributes.
    pub labels: Vec<u32>,
    /// The attributes of each image, where images have several labels.
    pub attributes: Option<Attributes>,
}

impl Label {
    /// The label in the text of a file.
    pub fn of_file(text: &str) -> Self {
        Self::Text(text.trim().to_owned())
    }

    fn text(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Name(name) | Self::Text(name) => name.clone(),
            Self::Ids(ids) => format!("{ids:?}"),
            Self::Names(names) => names.trim_end_matches(SEPARATOR).replace(SEPARATOR, ", "),
        }
    }

    /// Whether it is several.
    fn is_list(&self) -> bool {
        matches!(self, Self::Ids(_) | Self::Names(_))
    }

    /// The names of an attribute or of several; none where they are numbers.
    fn names(&self) -> Option<impl Iterator<Item = &str>> {
        let (text, separator) = match self {
            Self::Id(_) | Self::Ids(_) => return None,
            Self::Name(name) | Self::Text(name) => (name.as_str(), None),
            Self::Names(names) => (names.as_str(), Some(SEPARATOR)),
        };
        let parts = text.split(move |c| Some(c) == separator);
        // Behind the last separator there is nothing.
        Some(parts.filter(move |part| separator.is_none() || !part.is_empty()))
    }

    /// The place in the list that the label can stand for: "7" is 7, and "07" is a name.
    fn id(&self) -> Option<u64> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Name(text) | Self::Text(text) => {
                let id: u64 = text.parse().ok()?;
                (id.to_string() == *text).then_some(id)
            }
            Self::Ids(_) | Self::Names(_) => None,
        }
    }
}

/// What labels come to: classes, as [`of_classes`] has them, or attributes where some image has a list of labels.
///
/// # Errors
/// As [`of_classes`].
pub fn resolve(
    labels: &[Label],
    names: Option<Vec<String>>,
    name_of: &dyn Fn(usize) -> String,
    report: &mut dyn FnMut(Warning),
) -> Result<Resolved, DataError> {
    if labels.iter().any(Label::is_list) {
        let (classes, attributes) = of_lists(labels, names, name_of)?;
        return Ok(Resolved {
            classes,
            labels: vec![0; labels.len()],
            attributes: Some(attributes),
        });
    }
    let (classes, labels) = of_classes(labels, names, name_of, report)?;
    Ok(Resolved {
        classes,
        labels,
        attributes: None,
    })
}

/// Names of attributes by id, and the attributes of every image. Numbers are places in the list, and texts are names.
fn of_lists(
    labels: &[Label],
    names: Option<Vec<String>>,
    name_of: &dyn Fn(usize) -> String,
) -> Result<(Vec<String>, Attributes), DataError> {
    let ids = |label: &Label| match label {
        Label::Ids(ids) => ids.clone(),
        Label::Id(id) => vec![u32::try_from(*id).unwrap_or(u32::MAX)],
        Label::Name(_) | Label::Text(_) | Label::Names(_) => Vec::new(),
    };
    let listed = || labels.iter().filter_map(Label::names).flatten();
    let classes = match names {
        Some(names) => names,
        None if listed().next().is_some() => {
            let names: BTreeSet<&str> = listed().collect();
            names.into_iter().map(str::to_owned).collect()
        }
        None => {
            let most = labels.iter().flat_map(ids).max();
            numbers(most.map(u64::from), labels.len())
        }
    };
    let mut by_name: Vec<(&str, u32)> = classes.iter().map(String::as_str).zip(0..).collect();
    by_name.sort_unstable();
    let mut attributes = Attributes::default();
    for (index, label) in labels.iter().enumerate() {
        let id_of = |name: &str| {
            let at = by_name.binary_search_by_key(&name, |(name, _)| name).ok()?;
            Some(by_name[at].1)
        };
        let found: Option<Vec<u32>> = match label.names() {
            Some(names) => names.map(id_of).collect(),
            None => Some(ids(label)),
        };
        let found = found.filter(|ids| ids.iter().all(|&id| (id as usize) < classes.len()));
        attributes.push(found.ok_or_else(|| DataError::Label {
            name: name_of(index),
            label: label.text(),
            classes: classes.len(),
        })?);
    }
    if classes.is_empty() {
        return Err(DataError::Setting(
            "no image has an attribute: every list of labels is empty".into(),
        ));
    }
    Ok((classes, attributes))
}

/// Class names by id, and the id of every label.
///
/// With `names` given: numbers are places among them, and names are names. A text of a file is a place where every one
/// in the set can be, else a name; a name is a place where none is in the list and all can be places.
///
/// Without: numbers, and texts of files that all are numbers, are ids whose names are the numbers. Anything else is a
/// name, and the classes are in the order of their bytes.
///
/// # Errors
/// [`DataError::Label`] where a label is no class, with the name that `name_of` gives its image;
/// [`DataError::SameName`] where labels are names and two classes have one.
fn of_classes(
    labels: &[Label],
    names: Option<Vec<String>>,
    name_of: &dyn Fn(usize) -> String,
    report: &mut dyn FnMut(Warning),
) -> Result<(Vec<String>, Vec<u32>), DataError> {
    match names {
        Some(classes) => {
            let by_place = by_place(labels, &classes, report);
            let ids = ids(labels, &classes, by_place, name_of)?;
            Ok((classes, ids))
        }
        None => {
            let numbers = labels.iter().all(|label| match label {
                Label::Name(_) => false,
                label => label.id().is_some(),
            });
            let classes = match numbers {
                true => numbered(labels),
                false => {
                    let names: BTreeSet<String> = labels.iter().map(Label::text).collect();
                    names.into_iter().collect()
                }
            };
            let ids = ids(labels, &classes, numbers, name_of)?;
            Ok((classes, ids))
        }
    }
}

/// Classes called 0, 1, … up to the highest label.
fn numbered(labels: &[Label]) -> Vec<String> {
    let most = labels.iter().filter_map(Label::id).max();
    numbers(most, labels.len())
}

/// The numbers up to the highest label of so many images, as names.
fn numbers(most: Option<u64>, images: usize) -> Vec<String> {
    let count = most.map_or(0, |id| id.saturating_add(1));
    let count = count.min(MOST_BARE_IDS.max(2 * images as u64));
    (0..count).map(|id| id.to_string()).collect()
}

/// Class names by id, of images whose labels are places in the list of classes: `names`, or the numbers themselves.
///
/// # Errors
/// [`DataError::Label`] where a label is no class, with the name that `name_of` gives its image.
pub fn of_places(
    labels: &[u32],
    names: Option<Vec<String>>,
    name_of: &dyn Fn(usize) -> String,
) -> Result<Vec<String>, DataError> {
    let most = labels.iter().max().map(|&id| id.into());
    let classes = names.unwrap_or_else(|| numbers(most, labels.len()));
    match labels.iter().position(|&id| id as usize >= classes.len()) {
        None => Ok(classes),
        Some(index) => Err(DataError::Label {
            name: name_of(index),
            label: labels[index].to_string(),
            classes: classes.len(),
        }),
    }
}

/// Whether labels are places in the list of `classes` and not names. Says so where they could be both.
fn by_place(labels: &[Label], classes: &[String], report: &mut dyn FnMut(Warning)) -> bool {
    let is_place = |label: &Label| label.id().is_some_and(|id| id < classes.len() as u64);
    if labels.iter().any(|label| matches!(label, Label::Id(_))) {
        return labels.iter().all(|label| label.id().is_some());
    }
    let listed: BTreeSet<&str> = classes.iter().map(String::as_str).collect();
    let is_name = |label: &Label| listed.contains(label.text().as_str());
    if !labels.iter().all(is_place) {
        // Numbers of which none is a name are places, some of them beyond the list.
        return labels
            .iter()
            .all(|label| label.id().is_some() && !is_name(label));
    }
    if labels.iter().any(|label| matches!(label, Label::Name(_))) {
        return !labels.iter().any(is_name);
    }
    let differs = |label: &&Label| {
        let place = label.id().and_then(|id| classes.get(id as usize));
        place.is_some_and(|name| *name != label.text())
    };
    if labels.iter().all(is_name)
        && let Some(example) = labels.iter().find(differs)
    {
        report(Warning::PlacesLookLikeNames {
            label: example.text(),
        });
    }
    true
}

/// The id of every label.
fn ids(
    labels: &[Label],
    classes: &[String],
    by_place: bool,
    name_of: &dyn Fn(usize) -> String,
) -> Result<Vec<u32>, DataError> {
    let mut by_name: Vec<(&str, u32)> = classes.iter().map(String::as_str).zip(0..).collect();
    by_name.sort_unstable();
    if !by_place && let Some(same) = by_name.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(same_name(same[0], same[1].1));
    }
    let named = |text: &str| {
        let at = by_name.binary_search_by_key(&text, |(name, _)| name).ok()?;
        Some(by_name[at].1)
    };
    let id = |label: &Label| match by_place {
        true => u32::try_from(label.id()?)
            .ok()
            .filter(|&id| (id as usize) < classes.len()),
        false => named(&label.text()),
    };
    let resolved = labels.iter().enumerate().map(|(index, label)| {
        id(label).ok_or_else(|| DataError::Label {
            name: name_of(index),
            label: label.text(),
            classes: classes.len(),
        })
    });
    resolved.collect()
}

/// Two classes of one name.
pub fn same_name(one: (&str, u32), other: u32) -> DataError {
    DataError::SameName {
        name: one.0.to_owned(),
        one: one.1 as usize,
        other: other as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Resolved = Result<(Vec<String>, Vec<u32>), String>;

    fn resolved(labels: &[Label], names: Option<&[&str]>) -> (Resolved, Vec<Warning>) {
        let names = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        let mut warnings = Vec::new();
        let result = of_classes(labels, names, &|index| format!("image {index}"), &mut |w| {
            warnings.push(w)
        });
        (result.map_err(|e| e.to_string()), warnings)
    }

    fn texts(labels: &[&str]) -> Vec<Label> {
        labels.iter().map(|text| Label::of_file(text)).collect()
    }

    fn names(labels: &[&str]) -> Vec<Label> {
        let names = labels.iter().map(|&text| Label::Name(text.to_owned()));
        names.collect()
    }

    #[test]
    fn texts_of_files_are_ids_where_all_are_numbers() {
        let (classes, ids) = resolved(&texts(&["2", " 0\n", "2"]), None).0.unwrap();
        assert_eq!((classes.len(), ids), (3, vec![2, 0, 2]));
        let (classes, ids) = resolved(&texts(&["dog", "cat", "7", "dog"]), None)
            .0
            .unwrap();
        assert_eq!(classes, ["7", "cat", "dog"]);
        assert_eq!(ids, [2, 1, 0, 2]);
    }

    #[test]
    fn a_number_with_zeros_before_it_is_a_name() {
        let (classes, ids) = resolved(&texts(&["08", "10", "09"]), None).0.unwrap();
        assert_eq!(classes, ["08", "09", "10"]);
        assert_eq!(ids, [0, 2, 1]);
    }

    #[test]
    fn values_of_a_text_column_are_names() {
        let (classes, ids) = resolved(&names(&["2005", "1990", "2005"]), None).0.unwrap();
        assert_eq!(classes, ["1990", "2005"]);
        assert_eq!(ids, [1, 0, 1]);
    }

    #[test]
    fn an_integer_is_a_place_also_where_a_class_is_called_so() {
        let list: &[&str] = &["1", "10", "2"];
        let labels = [Label::Id(1), Label::Id(2), Label::Id(0)];
        let (result, warnings) = resolved(&labels, Some(list));
        assert_eq!(result.unwrap().1, [1, 2, 0]);
        assert_eq!(warnings, []);
        let (result, _) = resolved(&names(&["10", "2"]), Some(list));
        assert_eq!(result.unwrap().1, [1, 2]);
    }

    #[test]
    fn given_names_are_names_or_places() {
        let list: &[&str] = &["dog", "cat", "fox"];
        let ids = |labels: &[Label]| resolved(labels, Some(list)).0.map(|(_, ids)| ids);
        assert_eq!(ids(&texts(&["cat", "dog"])).unwrap(), [1, 0]);
        assert_eq!(ids(&texts(&["1", "2", "0"])).unwrap(), [1, 2, 0]);
        assert_eq!(ids(&names(&["1", "2"])).unwrap(), [1, 2]);
        for (first, bad) in [("dog", "3"), ("dog", "bird"), ("dog", "1"), ("1", "3")] {
            let error = ids(&texts(&[first, bad])).unwrap_err();
            assert!(error.contains("image 1") && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn numbers_that_could_be_both_are_places_and_this_is_said() {
        let list: &[&str] = &["0", "1", "10", "2"];
        let (result, warnings) = resolved(&texts(&["2", "1"]), Some(list));
        assert_eq!(result.unwrap().1, [2, 1]);
        let expected = Warning::PlacesLookLikeNames { label: "2".into() };
        assert_eq!(warnings, [expected]);
        // Beyond the list they are names, and where both readings agree there is nothing to say.
        let (result, warnings) = resolved(&texts(&["10", "2"]), Some(list));
        assert_eq!((result.unwrap().1, warnings), (vec![2, 3], vec![]));
        let (result, warnings) = resolved(&texts(&["1", "0"]), Some(list));
        assert_eq!((result.unwrap().1, warnings), (vec![1, 0], vec![]));
    }

    #[test]
    fn a_name_that_two_classes_have_says_nothing() {
        let list: &[&str] = &["crane", "dog", "crane"];
        let error = resolved(&texts(&["dog", "crane"]), Some(list))
            .0
            .unwrap_err();
        assert!(error.contains("classes 0 and 2"), "{error}");
        let (result, _) = resolved(&[Label::Id(2), Label::Id(0)], Some(list));
        assert_eq!(result.unwrap().1, [2, 0]);
    }

    #[test]
    fn lists_are_attributes_by_place_or_by_name() {
        let name_of = |index: usize| format!("image {index}");
        let all = |labels: &[Label], names: Option<&[&str]>| {
            let names = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
            let resolved = resolve(labels, names, &name_of, &mut |_| ());
            let resolved = resolved.map_err(|e| e.to_string())?;
            let attributes = resolved.attributes.unwrap();
            let each = (0..labels.len()).map(|index| attributes.of(index).to_vec());
            Ok::<_, String>((resolved.classes, each.collect::<Vec<_>>()))
        };
        let several = |names: &[&str]| {
            let names = names.iter().map(|name| format!("{name}{SEPARATOR}"));
            Label::Names(names.collect())
        };
        let named = [
            several(&["smiling", "hat"]),
            several(&[]),
            Label::Name("hat".into()),
        ];
        let (classes, each) = all(&named, None).unwrap();
        assert_eq!(classes, ["hat", "smiling"]);
        assert_eq!(each, [vec![0, 1], vec![], vec![0]]);
        let places = [Label::Ids(vec![2, 0]), Label::Id(1), Label::Ids(vec![])];
        let (classes, each) = all(&places, Some(&["a", "b", "c"])).unwrap();
        assert_eq!(
            (classes.len(), each),
            (3, vec![vec![0, 2], vec![1], vec![]])
        );
        assert_eq!(all(&places, None).unwrap().0, ["0", "1", "2"]);
        let error = all(&places, Some(&["a", "b"])).unwrap_err();
        assert!(
            error.contains("image 0") && error.contains("[2, 0]"),
            "{error}"
        );
        let error = all(&[several(&["dog"])], Some(&["a"])).unwrap_err();
        assert!(error.contains("dog"), "{error}");
        let error = all(&[several(&[])], None).unwrap_err();
        assert!(error.contains("no image has an attribute"), "{error}");
    }

    #[test]
    fn a_number_that_is_no_class_is_refused() {
        let error = resolved(&texts(&["1", "123456789"]), None).0.unwrap_err();
        assert!(error.contains("123456789"), "{error}");
        let error = resolved(&[Label::Id(5)], Some(&["a", "b"])).0.unwrap_err();
        assert!(error.contains("image 0"), "{error}");
    }
}
