//! Why a model cannot be taught a class.

use thiserror::Error;

/// What is wrong with a model, a name or pictures. Each is found before anything is computed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The network was compiled from an ONNX file.
    #[error("{0} was compiled from an ONNX file, and only a U-Net can be taught: teach the model that it was made from")]
    Compiled(String),
    /// The network takes w or the next level as an input.
    #[error("{0} is a student: teach the model that it was distilled from, and distil the result")]
    Student(String),
    /// The network is conditioned on attributes or a number.
    #[error("{0} is conditioned on attributes or a number, and only classes can be added")]
    Attributes(String),
    /// There is no class, or no ∅.
    #[error("{0} has no classes with a null class, between which guidance is the difference")]
    NoClasses(String),
    /// The new class has no valid name.
    #[error("the name of a class has 1 to {} bytes", crate::class_names::MAX_CLASS_NAME)]
    Name,
    /// The model knows that class.
    #[error("{model} has a class {name:?} already: choose another name")]
    NameTaken {
        /// The model's name.
        model: String,
        /// The class's name.
        name: String,
    },
    /// No class can be added.
    #[error("a model has at most {} classes", crate::class_names::MAX_CLASSES)]
    TooManyClasses,
    /// Too few pictures.
    #[error("there are {0} pictures, and a class needs at least {least}", least = super::LEAST_PICTURES)]
    TooFew(usize),
    /// Too many pictures.
    #[error("there are {0} pictures; at most {most} can be taught: `freeguide train --init` learns larger sets", most = super::MOST_PICTURES)]
    TooMany(usize),
    /// All pictures have the same pixels.
    #[error("all pictures are the same one, and a class needs different ones")]
    AllTheSame,
    /// The bytes are not whole pictures of the model's size.
    #[error("{0} bytes are not whole pictures of the model's size and channels")]
    Shape(usize),
    /// There is nothing to do.
    #[error("the number of steps must be from 1 to {}", u32::MAX)]
    NoSteps,
}
