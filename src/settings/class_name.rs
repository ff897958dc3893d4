//! Classes and attributes by name or id, and mixes of classes.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RequestError;
use crate::bounded;
use crate::class_names::ClassNames;
use crate::condition::{Condition, Joint};
use crate::denoiser::Class;

/// The most classes of a mix. Each costs a row of every evaluation.
pub const MAX_MIX: usize = 16;

/// The most attributes of an image.
pub const MAX_ATTRIBUTES: usize = 256;

/// A class in a request: its id, its name, `null` for the unconditional model, several attributes, or a mix of classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassName {
    /// ∅, the unconditional model.
    Unconditional,
    /// The id, from 0.
    Id(u64),
    /// The name, exactly as in the bundle.
    Name(String),
    /// Several classes with their weights: `{"cat": 0.7, "dog": 0.3}`.
    Mix(ClassMix),
    /// Several attributes: `["smiling", "hat"]`.
    Several(#[serde(deserialize_with = "bounded::list::<MAX_ATTRIBUTES, _, _>")] Vec<Label>),
}

/// One of several attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// The id, from 0.
    Id(u64),
    /// The name, exactly as in the bundle.
    Name(String),
}

/// Names or ids of classes, each with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassMix(pub Vec<(String, f64)>);

impl Serialize for ClassMix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, weight)| (name, weight)))
    }
}

impl<'de> Deserialize<'de> for ClassMix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = ClassMix;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of classes and their weights")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClassMix, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = map.next_entry()? {
                    parts.push(part);
                }
                Ok(ClassMix(parts))
            }
        }
        deserializer.deserialize_map(Parts)
    }
}

impl ClassName {
    /// The class that a text of a person means: a name of the model, else `none` for ∅, else an id, else several attributes,
    /// such as `smiling+hat`, else a mix, such as `cat:0.7,dog:0.3`. A text that is none of them is taken for a name, which
    /// [`resolve_class`] refuses.
    pub fn of_text(text: &str, names: &ClassNames) -> Self {
        if names.id(text).is_some() {
            Self::Name(text.to_owned())
        } else if text == "none" {
            Self::Unconditional
        } else if let Ok(id) = text.parse() {
            Self::Id(id)
        } else if let Some(labels) = several(text, names) {
            Self::Several(labels)
        } else {
            ClassMix::of_text(text).map_or_else(|| Self::Name(text.to_owned()), Self::Mix)
        }
    }
}

impl ClassMix {
    /// The mix that a text is, classes and weights as in `cat:0.7,dog:0.3`. A name may contain commas and colons, as long as no
    /// weight and no comma follow a colon within it.
    fn of_text(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut name = String::new();
        for piece in text.split(',') {
            if !name.is_empty() {
                name.push(',');
            }
            name.push_str(piece);
            let Some((class, weight)) = name.rsplit_once(':') else {
                continue;
            };
            if let Ok(weight) = weight.trim().parse() {
                parts.push((class.trim().to_owned(), weight));
                name.clear();
            }
        }
        (name.is_empty() && !parts.is_empty()).then_some(Self(parts))
    }

    /// The condition of an image of this mix. A class that is named twice has the sum of its weights, and one of weight 0 is
    /// left out.
    ///
    /// # Errors
    ///
    /// [`RequestError::UnknownClass`], and [`RequestError::Mix`] for weights that are negative or do not add up to 1, and for
    /// too many classes.
    pub fn resolve(&self, names: &ClassNames) -> Result<Condition, RequestError> {
        let refuse = |words: String| Err(RequestError::Mix(words));
        let mut parts: Vec<(u32, f64)> = Vec::new();
        for (text, weight) in &self.0 {
            let class = ClassName::of_text(text, names);
            let Some(id) = resolve_class(&class, names)? else {
                return refuse(
                    "a mix is of classes, not of `none`: guidance below 0 leads to the unconditional model".to_owned(),
                );
            };
            if !(0.0..=1.0).contains(weight) {
                return refuse(format!(
                    "the weight of {text} in a mix is {weight}, and must be from 0 to 1"
                ));
            }
            match parts.iter_mut().find(|(known, _)| *known == id) {
                Some((_, sum)) => *sum += weight,
                None => parts.push((id, *weight)),
            }
        }
        // From 0, because the sum of nothing is −0.
        let sum = parts.iter().fold(0.0, |sum, (_, weight)| sum + weight);
        if (sum - 1.0).abs() > 1e-6 {
            return refuse(format!(
                "the weights of a mix must add up to 1, and these add up to {}",
                libm::round(sum * 1e6) / 1e6
            ));
        }
        parts.retain(|&(_, weight)| weight > 0.0);
        if parts.len() > MAX_MIX {
            return refuse(format!(
                "a mix of {} classes is too large; at most {MAX_MIX} are mixed",
                parts.len()
            ));
        }
        Ok(match parts[..] {
            [(id, _)] => Condition::Class(Some(id)),
            _ => Condition::Mix(parts),
        })
    }
}

/// The attributes that a text lists with `+` between them. A name may contain `+`: the longest names that there are, are
/// taken from the left.
fn several(text: &str, names: &ClassNames) -> Option<Vec<Label>> {
    let pieces: Vec<&str> = text.split('+').collect();
    if !(2..=MAX_ATTRIBUTES).contains(&pieces.len()) {
        return None;
    }
    let mut labels = Vec::new();
    let mut rest = &pieces[..];
    while !rest.is_empty() {
        let known = (1..=rest.len()).rev().find_map(|count| {
            let name = rest[..count].join("+");
            let name = name.trim();
            let label = match (names.id(name), count) {
                (Some(_), _) => Label::Name(name.to_owned()),
                (None, 1) => Label::Id(name.parse().ok()?),
                (None, _) => return None,
            };
            Some((count, label))
        });
        let (count, label) = known?;
        labels.push(label);
        rest = &rest[count..];
    }
    Some(labels)
}

/// What an image is drawn of. `names` are the model's class names.
///
/// # Errors
///
/// As [`resolve_class`] and [`ClassMix::resolve`].
pub fn resolve_condition(class: &ClassName, names: &ClassNames) -> Result<Condition, RequestError> {
    match class {
        ClassName::Mix(mix) => mix.resolve(names),
        ClassName::Several(labels) => {
            let ids = labels.iter().map(|label| {
                let class = match label {
                    Label::Id(id) => ClassName::Id(*id),
                    Label::Name(name) => ClassName::Name(name.clone()),
                };
                resolve_class(&class, names)
            });
            let ids: Vec<Class> = ids.collect::<Result<_, _>>()?;
            // In the order of the ids, each once: the order in which they are named has no meaning.
            let mut labels: Vec<u32> = ids.into_iter().flatten().collect();
            labels.sort_unstable();
            labels.dedup();
            Ok(Condition::joint(Joint {
                labels,
                number: None,
            }))
        }
        class => resolve_class(class, names).map(Condition::Class),
    }
}

/// The id of a class. `names` are the model's class names.
///
/// # Errors
///
/// [`RequestError::UnknownClass`] lists the model's classes. [`RequestError::Mix`], where one class is wanted.
pub fn resolve_class(class: &ClassName, names: &ClassNames) -> Result<Class, RequestError> {
    let found = match class {
        ClassName::Unconditional => return Ok(None),
        ClassName::Id(id) => usize::try_from(*id).ok().filter(|&id| id < names.len()),
        ClassName::Name(name) => names.id(name),
        ClassName::Mix(_) => {
            return Err(RequestError::Mix(
                "a mix of classes has no place here: one class is wanted".to_owned(),
            ));
        }
        ClassName::Several(_) => {
            return Err(RequestError::Mix(
                "several attributes have no place here: one is wanted".to_owned(),
            ));
        }
    };
    found
        .map(|id| Some(id as u32))
        .ok_or_else(|| RequestError::UnknownClass {
            asked: match class {
                ClassName::Name(name) => format!("\"{name}\""),
                ClassName::Id(id) => id.to_string(),
                ClassName::Unconditional | ClassName::Mix(_) | ClassName::Several(_) => {
                    "null".to_owned()
                }
            },
            known: names
                .iter()
                .enumerate()
                .map(|(id, name)| format!("{id} {name}"))
                .collect::<Vec<_>>()
                .join(", "),
        })
}
