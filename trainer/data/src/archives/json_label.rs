//! The label in a `.json` beside an image.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::labels::Label;

/// Keys that are taken for the label, in this order.
const LABEL_KEYS: [&str; 5] = ["label", "cls", "class", "class_id", "class_name"];

/// The label in a `.json`, where there is one: the value of `key`, or of the first usual key that has one.
pub fn json_label(bytes: &[u8], key: Option<&str>) -> Option<Label> {
    let keys: &[&str] = match &key {
        Some(key) => std::slice::from_ref(key),
        None => &LABEL_KEYS,
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let found = json.deserialize_map(Object(keys)).ok()?;
    json.end().ok()?;
    found.map(|(_, label)| label)
}

/// An object of which the value of one key is wanted, the first of these that has a value. Nothing else of it is kept.
struct Object<'a>(&'a [&'a str]);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Option<(usize, Label)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut best: Self::Value = None;
        while let Some(key) = map.next_key::<String>()? {
            let Some(rank) = self.0.iter().position(|wanted| *wanted == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let label = map.next_value_seed(Scalar)?;
            if let Some(label) = label
                && best.as_ref().is_none_or(|(before, _)| rank <= *before)
            {
                best = Some((rank, label));
            }
        }
        Ok(best)
    }
}

/// A number from 0 or a text; nothing of any other value.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<Label>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<Label>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<Self::Value, E> {
        Ok(Some(Label::Id(id)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Label::Name(text.trim().to_owned())))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_in_json_are_found_by_key() {
        let json =
            br#"{"caption": "x", "class": 7, "fine": "cat", "label": null, "box": [1, {"a": 2}]}"#;
        assert_eq!(json_label(json, None), Some(Label::Id(7)));
        let fine = Some(Label::Name("cat".into()));
        assert_eq!(json_label(json, Some("fine")), fine);
        for nothing in ["absent", "box"] {
            assert_eq!(json_label(json, Some(nothing)), None);
        }
        let both = br#"{"class": 7, "label": "12", "cls": -1}"#;
        assert_eq!(json_label(both, None), Some(Label::Name("12".into())));
        for bad in [&b"{"[..], b"[1]", br#"{"label": 1} x"#] {
            assert_eq!(json_label(bad, None), None);
        }
    }
}
