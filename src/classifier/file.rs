//! The file of a classifier: a safetensors file with a description in its metadata.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ClassifierError, LayerError, Normalisation, Tensors};
use crate::bounded;
use crate::bundle::{ClassNames, View, view};

/// The name of a classifier's file in a bundle.
pub const CLASSIFIER_FILE: &str = "classifier.safetensors";
/// The most classes, and the most pixels per side.
pub(super) const MAX_SIZE: usize = 4096;

/// The metadata key of the description.
pub const DESCRIPTION_KEY: &str = "freeguide_classifier";

/// The description of a classifier, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The name in reports.
    pub name: String,
    /// Height and width of its images.
    pub size: usize,
    /// Its classes, in the order of their ids.
    pub classes: ClassNames,
    /// Accuracy on images that it was not trained on.
    pub held_out_accuracy: f64,
    /// The same for each class. `None` if no image of the class was held out.
    #[serde(default, deserialize_with = "bounded::list::<MAX_SIZE, _, _>")]
    pub held_out_class_accuracies: Vec<Option<f64>>,
    /// The number of these images.
    pub held_out_images: usize,
    /// The fingerprint of the data set.
    pub data_fingerprint: String,
    /// The normalisation of its input.
    #[serde(default, skip_serializing_if = "Normalisation::is_symmetric")]
    pub normalisation: Normalisation,
}

impl Description {
    /// Parses a description.
    ///
    /// # Errors
    ///
    /// [`ClassifierError::Description`].
    pub fn parse(json: &str) -> Result<Self, ClassifierError> {
        serde_json::from_str(json)
            .map_err(|e| ClassifierError::Description(format!("has an invalid description: {e}")))
    }

    /// Checks the description against the classes of the weights.
    ///
    /// # Errors
    ///
    /// [`ClassifierError::Description`].
    pub fn check(&self, classes: usize) -> Result<(), ClassifierError> {
        if !self.normalisation.is_sound() {
            return Err(ClassifierError::Description(
                "has an invalid normalisation".to_owned(),
            ));
        }
        if (1..=MAX_SIZE).contains(&self.size) && self.classes.len() == classes {
            return Ok(());
        }
        Err(ClassifierError::Description(format!(
            "describes {} pixels and {} classes, which do not fit its weights",
            self.size,
            self.classes.len()
        )))
    }
}

/// A file in memory whose header has been read.
pub(super) struct File<'a> {
    pub(super) description: Description,
    tensors: BTreeMap<String, View<'a>>,
}

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ClassifierError> {
        let (header, tensors) = view(CLASSIFIER_FILE, bytes)?;
        let Metadata {
            freeguide_classifier: says,
        } = metadata(header).ok_or_else(|| {
            ClassifierError::Description("was not written by `freeguide classifier`".to_owned())
        })?;
        Ok(Self {
            description: Description::parse(&says)?,
            tensors,
        })
    }
}

/// What of the metadata `M` names, in a valid header.
pub(super) fn metadata<M: DeserializeOwned>(header: &[u8]) -> Option<M> {
    #[derive(Deserialize)]
    struct Header<M> {
        #[serde(rename = "__metadata__")]
        metadata: M,
    }
    let header: Header<M> = serde_json::from_slice(header).ok()?;
    Some(header.metadata)
}

/// [`DESCRIPTION_KEY`].
#[derive(Deserialize)]
struct Metadata {
    freeguide_classifier: String,
}

impl Tensors for File<'_> {
    fn dims(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|view| view.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, LayerError> {
        let view = self.tensors.get(name).ok_or_else(|| LayerError::Missing {
            name: name.to_owned(),
        })?;
        view.floats().ok_or_else(|| LayerError::Values {
            name: name.to_owned(),
            reason: "with values that are not finite floats".to_owned(),
        })
    }
}
