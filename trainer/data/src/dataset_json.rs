//! `dataset.json`, in which the dataset tools of StyleGAN and EDM write the class of every image:
//! `{"labels": [["00000/img00000000.png", 6], …]}`. A list of places in the place of one is the attributes of an image.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use freeguide_readers::weights::check_extent;

use super::json_fields::{Read, Value};
use super::labels::Label;

/// The name of the file.
pub const DATASET_JSON: &str = "dataset.json";

/// What a label must be.
const NO_CLASS: &str =
    "a class is a number from 0, and attributes are a list of up to 4096 such numbers";

/// The most bytes of a text in it: the path of an image.
const MAX_TEXT_BYTES: usize = 4096;

/// The label of each image, by its path in the folder or archive; none of one that is not listed. The error is for
/// people.
pub fn labels<'a>(
    json: &[u8],
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<Option<Label>>, String> {
    check_extent(json, MAX_TEXT_BYTES)?;
    let places: HashMap<&str, usize> = names
        .clone()
        .enumerate()
        .map(|(at, name)| (name, at))
        .collect();
    let mut labels = vec![None; names.count()];
    let mut json = serde_json::Deserializer::from_slice(json);
    let mut into = Labels {
        places: &places,
        labels: &mut labels,
    };
    (&mut json)
        .deserialize_map(Top(&mut into))
        .and_then(|()| json.end())
        .map_err(|error| error.to_string())?;
    Ok(labels)
}

/// Where labels go.
struct Labels<'a> {
    places: &'a HashMap<&'a str, usize>,
    labels: &'a mut [Option<Label>],
}

/// The object, of which `labels` is read.
struct Top<'a, 'b>(&'a mut Labels<'b>);

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "labels" => map.next_value_seed(List(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The list of pairs.
struct List<'a, 'b>(&'a mut Labels<'b>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pairs of an image and its class")
    }

    /// `null`: the set was made without labels.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        while pairs.next_element_seed(Pair(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// A pair: a path and a class.
struct Pair<'a, 'b>(&'a mut Labels<'b>);

impl<'de> DeserializeSeed<'de> for Pair<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pair<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image and one number, its class, or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<(), A::Error> {
        let name = pair.next_element::<String>()?;
        let label = pair.next_element_seed(Read { lists: true })?;
        let (Some(name), Some(label)) = (name, label) else {
            return Err(A::Error::custom("an image is listed without a class"));
        };
        let label = match label {
            Some(Value::Integer(id)) if id <= u64::from(u32::MAX) => Label::Id(id),
            Some(Value::Ids(ids)) => Label::Ids(ids),
            _ => return Err(A::Error::custom(NO_CLASS)),
        };
        if pair.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom(
                "an image is listed with more than a class",
            ));
        }
        let place = self.0.places.get(name.trim_start_matches("./"));
        if let Some(slot) = place.and_then(|&place| self.0.labels.get_mut(place)) {
            *slot = Some(label);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_get_the_class_that_they_are_listed_with() {
        let names = ["0/a.png", "0/b.png", "1/c.png"];
        let read = |json: &str| labels(json.as_bytes(), names.into_iter());
        let json = r#"{"x": [{}], "labels": [["1/c.png", 2], ["0/a.png", 0], ["gone.png", 9]]}"#;
        let expected = [Some(Label::Id(0)), None, Some(Label::Id(2))];
        assert_eq!(read(json).unwrap(), expected);
        assert_eq!(read(r#"{"labels": null}"#).unwrap(), [None, None, None]);
        let several = read(r#"{"labels": [["0/a.png", [3, 17]], ["0/b.png", []]]}"#).unwrap();
        assert_eq!(
            several[..2],
            [Some(Label::Ids(vec![3, 17])), Some(Label::Ids(vec![]))]
        );
        for bad in [
            r#"{"labels": [["0/a.png", [0.5, 1]]]}"#,
            r#"{"labels": [["0/a.png", ["hat"]]]}"#,
            r#"{"labels": [["0/a.png", 4294967296]]}"#,
            r#"{"labels": [["0/a.png", -1]]}"#,
            r#"{"labels": [["0/a.png"]]}"#,
            r#"{"labels": {"0/a.png": 0}}"#,
            "[]",
            r#"{"labels": []"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
