//! Classes by name or id.

use serde::{Deserialize, Serialize};

use super::RequestError;
use crate::class_names::ClassNames;
use crate::denoiser::Class;

/// A class in a request: its id, its name, or `null` for the unconditional model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassName {
    /// ∅, the unconditional model.
    Unconditional,
    /// The id, from 0.
    Id(u64),
    /// The name, exactly as in the bundle.
    Name(String),
}

impl ClassName {
    /// The class that a text of a person means: a name of the model, else `none` for ∅, else an id. A
    /// text that is none of them is taken for a name, which [`resolve_class`] refuses.
    pub fn of_text(text: &str, names: &ClassNames) -> Self {
        if names.id(text).is_some() {
            Self::Name(text.to_owned())
        } else if text == "none" {
            Self::Unconditional
        } else {
            text.parse()
                .map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
        }
    }
}

/// The id of a class. `names` are the model's class names.
///
/// # Errors
///
/// [`RequestError::UnknownClass`] lists the model's classes.
pub fn resolve_class(class: &ClassName, names: &ClassNames) -> Result<Class, RequestError> {
    let found = match class {
        ClassName::Unconditional => return Ok(None),
        ClassName::Id(id) => usize::try_from(*id).ok().filter(|&id| id < names.len()),
        ClassName::Name(name) => names.id(name),
    };
    found
        .map(|id| Some(id as u32))
        .ok_or_else(|| RequestError::UnknownClass {
            asked: match class {
                ClassName::Name(name) => format!("\"{name}\""),
                ClassName::Id(id) => id.to_string(),
                ClassName::Unconditional => "null".to_owned(),
            },
            known: names
                .iter()
                .enumerate()
                .map(|(id, name)| format!("{id} {name}"))
                .collect::<Vec<_>>()
                .join(", "),
        })
}
