//! What a network is conditioned on beside λ: one class of each image, several attributes, and a number.

use serde::{Deserialize, Serialize};

use super::NetworkError;
use super::input_embedding::SCALE;

/// What the labels of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conditions {
    /// One class.
    #[default]
    Classes,
    /// Any number of attributes, whose embeddings are added. Without an attribute, it is the embedding of ∅.
    Attributes,
}

/// A number that a network is conditioned on beside its labels, such as an age or an angle.
///
/// Sinusoids of 100 · (number − `min`)/(`max` − `min`) pass through two linear layers without biases, whose result is added
/// to the embedding. Where an image has no number, or it was dropped, nothing is added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberInput {
    /// What it is, for people: `"age"`.
    pub name: String,
    /// The smallest number.
    pub min: f64,
    /// The largest number.
    pub max: f64,
    /// Its unit, for people: `"years"`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// The largest |number|.
pub const MAX_NUMBER: f64 = 1e9;

/// The most bytes of a number's name or unit.
const MAX_TEXT: usize = 64;

impl NumberInput {
    /// Whether the network was made for this number.
    pub fn contains(&self, number: f64) -> bool {
        (self.min..=self.max).contains(&number)
    }

    /// The argument of the sinusoids is `slope` · number + `offset`, from 0 at `min` to 100 at `max`.
    pub fn argument(&self) -> (f64, f64) {
        let slope = SCALE / (self.max - self.min);
        (slope, -slope * self.min)
    }

    pub(super) fn validate(&self) -> Result<(), NetworkError> {
        let refuse = |value: String, expected: String| {
            Err(NetworkError::Field {
                field: "number",
                value,
                expected,
            })
        };
        let text = |text: &str| text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
        if self.name.trim().is_empty() || !text(&self.name) || !text(&self.unit) {
            return refuse(
                format!("{:?} in {:?}", self.name, self.unit),
                format!(
                    "its name and unit are texts of at most {MAX_TEXT} bytes, and it needs a name"
                ),
            );
        }
        let allowed = |number: f64| number.abs() <= MAX_NUMBER;
        if allowed(self.min) && allowed(self.max) && self.min < self.max {
            return Ok(());
        }
        refuse(
            format!("from {} to {}", self.min, self.max),
            format!("it needs min < max within −{MAX_NUMBER} to {MAX_NUMBER}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_needs_a_name_and_a_range() {
        let number = |name: &str, min: f64, max: f64| NumberInput {
            name: name.to_owned(),
            min,
            max,
            unit: String::new(),
        };
        assert_eq!(number("age", 0.0, 100.0).validate(), Ok(()));
        assert_eq!(number("age", 20.0, 70.0).argument(), (2.0, -40.0));
        for (bad, words) in [
            (number(" ", 0.0, 1.0), "needs a name"),
            (number(&"n".repeat(65), 0.0, 1.0), "at most 64 bytes"),
            (number("age", 1.0, 1.0), "min < max"),
            (number("age", 0.0, f64::NAN), "min < max"),
            (number("age", 0.0, 1e10), "min < max"),
        ] {
            let error = bad.validate().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
