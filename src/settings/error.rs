//! Errors of a request.

use thiserror::Error;

/// Why a request is invalid.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RequestError {
    /// There is no such class. The message lists the model's classes.
    #[error("there is no class {asked}; the classes are {known}")]
    UnknownClass {
        /// The class that was asked for.
        asked: String,
        /// Ids and names of the model's classes.
        known: String,
    },
    /// The model enlarges small pictures and draws none without one.
    #[error(
        "this model enlarges pictures of {side}×{side} pixels and draws nothing without one: use freeguide upscale"
    )]
    NeedsPicture {
        /// The side of the pictures.
        side: usize,
    },
    /// A small picture was given to a model that draws alone.
    #[error("this model draws pictures and does not enlarge them: use freeguide sample")]
    DrawsAlone,
    /// A mix of classes makes no sense. One sentence says why.
    #[error("{0}")]
    Mix(String),
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
    /// Several labels were asked of a model whose images have one class.
    #[error(
        "{labels} labels were asked for one image, and this model has classes, of which an image has one: several are for models with attributes; a mix of classes has weights, as in cat:0.7,dog:0.3"
    )]
    OneClass {
        /// How many were asked for.
        labels: usize,
    },
    /// The count of numbers is not the number of images.
    #[error("{numbers} numbers were given for {images} images: give one, or one for each")]
    NumberCount {
        /// How many numbers there are.
        numbers: usize,
        /// The number of images.
        images: usize,
    },
    /// The number of strengths is not the number of images.
    #[error(
        "{strengths} guidance strengths were given for {images} images: give one, or one for each"
    )]
    GuidanceCount {
        /// The number of strengths.
        strengths: usize,
        /// The number of images.
        images: usize,
    },
    /// Two settings exclude each other.
    #[error("{one} does not go with {other}: {why}")]
    Incompatible {
        /// One setting and its value.
        one: String,
        /// The other.
        other: String,
        /// The reason, and an alternative.
        why: &'static str,
    },
    /// The picture to start from, its mask or its settings cannot be used.
    #[error("{0}")]
    Source(String),
    /// Guidance or a class needs the unconditional estimate, and the model has none.
    #[error(
        "this model has no null class (it was trained elsewhere, without one), so it is conditional only: {asked} is not possible; ask for a class and leave guidance at 0"
    )]
    NoNullClass {
        /// The setting that needs it.
        asked: String,
    },
}
