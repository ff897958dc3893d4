//! The file of a classifier: safetensors that say what they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CLASSIFIER_FILE, ClassifierError, LayerError, MOST, Normalisation, Tensors};
use crate::bounded;
use crate::bundle::{ClassNames, View, view};

/// The key of the file's metadata under which it says what it is.
pub const DESCRIPTION_KEY: &str = "freeguide_classifier";

/// What a classifier says of itself, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The name that figures carry.
    pub name: String,
    /// Height and width of its images.
    pub size: usize,
    /// Its classes, in the order of their ids.
    pub classes: ClassNames,
    /// Accuracy on images that it was not trained on.
    pub held_out_accuracy: f64,
    /// The same for each class; none where none of its images was held out.
    #[serde(default, deserialize_with = "bounded::list::<MOST, _, _>")]
    pub held_out_class_accuracies: Vec<Option<f64>>,
    /// How many those images were.
    pub held_out_images: usize,
    /// What the data set is known by.
    pub data_fingerprint: String,
    /// How pixels are put to it.
    #[serde(default, skip_serializing_if = "Normalisation::is_symmetric")]
    pub normalisation: Normalisation,
}

impl Description {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`ClassifierError::Description`].
    pub fn parse(json: &str) -> Result<Self, ClassifierError> {
        serde_json::from_str(json).map_err(|e| {
            ClassifierError::Description(format!("does not describe itself rightly: {e}"))
        })
    }

    /// Checks it against the classes of the weights.
    ///
    /// # Errors
    ///
    /// [`ClassifierError::Description`].
    pub fn check(&self, classes: usize) -> Result<(), ClassifierError> {
        if !self.normalisation.is_sound() {
            return Err(ClassifierError::Description(
                "has a normalisation that no pixel survives".to_owned(),
            ));
        }
        if (1..=MOST).contains(&self.size) && self.classes.len() == classes {
            return Ok(());
        }
        Err(ClassifierError::Description(format!(
            "says that it takes {} pixels and knows {} classes, which its weights do not bear out",
            self.size,
            self.classes.len()
        )))
    }
}

/// A file whose header has been read.
pub(super) struct File<'a> {
    pub(super) description: Description,
    tensors: BTreeMap<String, View<'a>>,
}

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ClassifierError> {
        let (header, tensors) = view(CLASSIFIER_FILE, bytes)?;
        let says = says(header).ok_or_else(|| {
            ClassifierError::Description("is not one of `freeguide classifier`".to_owned())
        })?;
        Ok(Self {
            description: Description::parse(&says)?,
            tensors,
        })
    }
}

/// The text under [`DESCRIPTION_KEY`] of a header that is sound.
fn says(header: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__")]
        metadata: Metadata,
    }
    /// Of all entries, the one that counts.
    #[derive(Deserialize)]
    struct Metadata {
        freeguide_classifier: String,
    }
    let header: Header = serde_json::from_slice(header).ok()?;
    Some(header.metadata.freeguide_classifier)
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
            reason: "with values that are no finite floats".to_owned(),
        })
    }
}
