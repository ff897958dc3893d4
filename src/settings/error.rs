//! What can be wrong with a request.

use thiserror::Error;

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RequestError {
    /// There is no such class; the message lists those that there are.
    #[error("there is no class {asked}; the classes are {known}")]
    UnknownClass {
        /// What was asked for.
        asked: String,
        /// Ids and names of the model's classes.
        known: String,
    },
    /// A number is out of its range.
    #[error("{field} is {value}, and must be {expected}")]
    OutOfRange {
        /// The field of the request.
        field: &'static str,
        /// Its value.
        value: String,
        /// Its range.
        expected: String,
    },
    /// As many strengths as images are needed.
    #[error(
        "{strengths} guidance strengths were given for {images} images: give one, or one for each"
    )]
    GuidanceCount {
        /// How many were given.
        strengths: usize,
        /// How many were needed.
        images: usize,
    },
    /// Two settings do not go together.
    #[error("{one} does not go with {other}: {why}")]
    Incompatible {
        /// One setting and its value.
        one: String,
        /// The other.
        other: String,
        /// Why not, and what does.
        why: &'static str,
    },
    /// The unconditional estimate was asked for, by guidance or by class, and the model has none.
    #[error(
        "this model has no null class (it was trained elsewhere, without one), so it is conditional only: {asked} is not possible; ask for a class and leave guidance at 0"
    )]
    NoNullClass {
        /// What was asked for.
        asked: String,
    },
}
