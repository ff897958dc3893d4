//! What JSON says of an image: its label or labels, its number, its file.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::DataRecipe;
use super::labels::{Label, SEPARATOR};

/// Keys that are taken for the label, in this order.
const LABEL_KEYS: [&str; 8] = [
    "label",
    "cls",
    "class",
    "class_id",
    "class_name",
    "labels",
    "attributes",
    "tags",
];

/// The most labels of an image, and the most bytes of their names.
const MOST_LABELS: usize = 4096;
const MOST_NAME_BYTES: usize = 64 << 10;

/// The key of the file in `metadata.jsonl`.
const FILE_KEY: &str = "file_name";

/// What an object says.
#[derive(Debug, Default, PartialEq)]
pub struct Fields {
    /// The label, or several.
    pub label: Option<Label>,
    /// The number.
    pub number: Option<f64>,
    /// The file.
    pub file: Option<String>,
}

/// Which keys are read.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    label: Option<&'a str>,
    number: Option<&'a str>,
}

impl<'a> Keys<'a> {
    /// Those that a recipe names; of labels that it does not name, the first usual key that has one.
    pub fn of(recipe: &'a DataRecipe) -> Self {
        Self {
            label: recipe.label_column.as_deref(),
            number: recipe.number_column.as_deref(),
        }
    }

    /// What an object says; nothing where the bytes are no object.
    pub fn read(self, bytes: &[u8]) -> Option<Fields> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let fields = json.deserialize_map(self).ok()?;
        json.end().ok()?;
        Some(fields)
    }

    /// The rank of a key of labels, the best first.
    fn rank(self, key: &str) -> Option<usize> {
        match self.label {
            Some(wanted) => (wanted == key).then_some(0),
            None => LABEL_KEYS.iter().position(|usual| *usual == key),
        }
    }
}

/// Reads the keys that are wanted. Nothing else of the object is kept.
impl<'de> Visitor<'de> for Keys<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        let mut best = usize::MAX;
        while let Some(key) = map.next_key::<String>()? {
            let rank = self.rank(&key);
            if rank.is_none() && self.number != Some(&key) && key != FILE_KEY {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value_seed(Read { lists: true })?;
            if self.number == Some(&key) {
                fields.number = value.as_ref().and_then(Value::number);
            }
            if let (Some(rank), Some(label)) = (rank, value.as_ref().and_then(Value::label))
                && rank <= best
            {
                (best, fields.label) = (rank, Some(label));
            }
            if key == FILE_KEY
                && let Some(Value::Text(text)) = value
            {
                fields.file = Some(text);
            }
        }
        Ok(fields)
    }
}

/// A value that may say something.
#[derive(Debug, PartialEq)]
pub enum Value {
    /// An integer from 0.
    Integer(u64),
    /// Another number.
    Other(f64),
    /// A text.
    Text(String),
    /// A list of integers from 0, which may be empty.
    Ids(Vec<u32>),
    /// A list of texts, with [`SEPARATOR`] behind each.
    Names(String),
}

impl Value {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Other(value) => Some(*value).filter(|value| value.is_finite()),
            Self::Text(_) | Self::Ids(_) | Self::Names(_) => None,
        }
    }

    fn label(&self) -> Option<Label> {
        match self {
            Self::Integer(id) => Some(Label::Id(*id)),
            Self::Other(_) => None,
            Self::Text(text) => Some(Label::Name(text.clone())),
            Self::Ids(ids) => Some(Label::Ids(ids.clone())),
            Self::Names(names) => Some(Label::Names(names.clone())),
        }
    }
}

/// A number, a text or, where lists are wanted, a list of places from 0 or of texts; nothing of any other value.
pub struct Read {
    /// Whether lists are wanted.
    pub lists: bool,
}

impl<'de> DeserializeSeed<'de> for Read {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(Value::Integer(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(Value::Other(value as f64)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Value::Other(value)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Value::Text(text.trim().to_owned())))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        if !self.lists {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        }
        let (mut ids, mut names) = (Vec::new(), String::new());
        let mut other = false;
        while let Some(item) = items.next_element_seed(Read { lists: false })? {
            match item {
                Some(Value::Integer(id)) if ids.len() < MOST_LABELS => {
                    ids.push(u32::try_from(id).unwrap_or(u32::MAX));
                }
                Some(Value::Text(name))
                    if !name.is_empty() && names.len() + name.len() < MOST_NAME_BYTES =>
                {
                    names.push_str(&name);
                    names.push(SEPARATOR);
                }
                _ => other = true,
            }
        }
        Ok(match (ids.is_empty(), names.is_empty()) {
            _ if other => None,
            (_, true) => Some(Value::Ids(ids)),
            (true, false) => Some(Value::Names(names)),
            (false, false) => None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &[u8], label: Option<&str>, number: Option<&str>) -> Option<Fields> {
        Keys { label, number }.read(json)
    }

    fn label(json: &[u8], key: Option<&str>) -> Option<Label> {
        read(json, key, None).and_then(|fields| fields.label)
    }

    #[test]
    fn labels_in_json_are_found_by_key() {
        let json =
            br#"{"caption": "x", "class": 7, "fine": "cat", "label": null, "box": [1, {"a": 2}]}"#;
        assert_eq!(label(json, None), Some(Label::Id(7)));
        let fine = Some(Label::Name("cat".into()));
        assert_eq!(label(json, Some("fine")), fine);
        for nothing in ["absent", "box"] {
            assert_eq!(label(json, Some(nothing)), None);
        }
        let both = br#"{"class": 7, "label": "12", "cls": -1}"#;
        assert_eq!(label(both, None), Some(Label::Name("12".into())));
        for bad in [&b"{"[..], b"[1]", br#"{"label": 1} x"#] {
            assert_eq!(read(bad, None, None), None);
        }
    }

    #[test]
    fn lists_are_several_labels() {
        let ids = br#"{"labels": [3, 17], "box": [1.5, 2]}"#;
        assert_eq!(label(ids, None), Some(Label::Ids(vec![3, 17])));
        assert_eq!(label(ids, Some("box")), None);
        let names = br#"{"tags": ["hat", " red hair "]}"#;
        let expected = format!("hat{SEPARATOR}red hair{SEPARATOR}");
        assert_eq!(label(names, None), Some(Label::Names(expected)));
        let none = br#"{"labels": []}"#;
        assert_eq!(label(none, None), Some(Label::Ids(vec![])));
        assert_eq!(label(br#"{"labels": [1, "hat"]}"#, None), None);
    }

    #[test]
    fn a_number_and_a_file_are_read_beside() {
        let json = br#"{"file_name": "a/1.png", "labels": [0], "age": -31.5, "year": 1990}"#;
        let fields = read(json, None, Some("age")).unwrap();
        assert_eq!(
            (fields.number, fields.file),
            (Some(-31.5), Some("a/1.png".into()))
        );
        // A key may be the label and the number at once.
        let fields = read(json, Some("year"), Some("year")).unwrap();
        assert_eq!(
            (fields.number, fields.label),
            (Some(1990.0), Some(Label::Id(1990)))
        );
        assert_eq!(read(json, None, Some("labels")).unwrap().number, None);
    }
}
