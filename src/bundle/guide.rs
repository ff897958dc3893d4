//! Whether one model can guide another.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use super::{ClassNames, Config, ImageShape, Model};
use crate::denoiser::Denoiser;
use crate::guidance::{ClassGradient, ClassifierGuidance, GuideModel};
use crate::network::{Conditions, NumberInput};

/// Why a model cannot guide another.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GuideError {
    /// The two draw images of different shapes.
    #[error(
        "{guide} cannot guide {model}: its images have {guide_image}, and those of {model} have {model_image}"
    )]
    OtherImages {
        /// The name of the model.
        model: String,
        /// The shape of its images, in words.
        model_image: String,
        /// The name of the guide.
        guide: String,
        /// The shape of its images, in words.
        guide_image: String,
    },
    /// One of the two enlarges small pictures.
    #[error(
        "{guide} cannot guide {model}: {enlarges} enlarges small pictures and draws none alone"
    )]
    Enlarges {
        /// The name of the model.
        model: String,
        /// The name of the guide.
        guide: String,
        /// The name of the one that enlarges.
        enlarges: String,
    },
    /// The guide has classes, but not those of the model.
    #[error(
        "{guide} cannot guide {model}: the classes must be the same, or the guide's none at all; {difference}"
    )]
    OtherClasses {
        /// The name of the model.
        model: String,
        /// The name of the guide.
        guide: String,
        /// The first class that only one of them has, in words.
        difference: String,
    },
    /// The two are conditioned on different things: on one class or on attributes, on a number or on none.
    #[error(
        "{guide} cannot guide {model}: it is conditioned on {guide_takes}, and {model} on {model_takes}"
    )]
    OtherConditions {
        /// The name of the model.
        model: String,
        /// What the model is conditioned on, in words.
        model_takes: String,
        /// The name of the guide.
        guide: String,
        /// What the guide is conditioned on, in words.
        guide_takes: String,
    },
    /// A network that takes w as an input, or the level that a step leads to, has only the guided estimate.
    #[error(
        "{distilled} was distilled and answers with the guided estimate alone, so that there are no two estimates of {guide} and {model} to combine: take the model that it was distilled from"
    )]
    Distilled {
        /// The name of the model.
        model: String,
        /// The name of the guide.
        guide: String,
        /// Which of them it is.
        distilled: String,
    },
}

impl Config {
    /// What a run of this model has to know of `guide`.
    ///
    /// # Errors
    ///
    /// [`GuideError`], where `guide` cannot guide this model.
    pub fn guide(&self, guide: &Self) -> Result<GuideModel, GuideError> {
        let name = guide.name.clone();
        let distilled =
            |config: &Self| config.guidance_input().is_some() || config.flow_map().is_some();
        if let Some(distilled) = [self, guide].into_iter().find(|config| distilled(config)) {
            return Err(GuideError::Distilled {
                model: self.name.clone(),
                guide: name,
                distilled: distilled.name.clone(),
            });
        }
        let enlarges = |config: &&Self| config.low_resolution().is_some();
        if let Some(enlarges) = [self, guide].into_iter().find(enlarges) {
            return Err(GuideError::Enlarges {
                model: self.name.clone(),
                guide: name,
                enlarges: enlarges.name.clone(),
            });
        }
        // A guide without classes is asked of none.
        let classes = match guide.classes.is_empty() {
            true => self.same_images(&name, guide.image).map(|()| Vec::new())?,
            false => {
                let ids = self.ids_in(&name, guide.image, &guide.classes)?;
                let (conditions, number) = guide.conditions();
                self.same_conditions(&name, conditions, number)?;
                ids
            }
        };
        Ok(GuideModel {
            classes,
            name,
            null_class: guide.null_class,
            range: guide.diffusion.log_snr,
        })
    }

    /// The ids of this model's classes in a model or classifier `guide` of these images and classes.
    ///
    /// # Errors
    ///
    /// [`GuideError`], where they are others.
    pub(crate) fn ids_in(
        &self,
        guide: &str,
        image: ImageShape,
        classes: &ClassNames,
    ) -> Result<Vec<u32>, GuideError> {
        self.same_images(guide, image)?;
        let by_name = |classes: &ClassNames| -> HashMap<String, u32> {
            classes.iter().map(str::to_owned).zip(0..).collect()
        };
        let (own, others) = (by_name(&self.classes), by_name(classes));
        let error = |only: &str, name: &str| GuideError::OtherClasses {
            model: self.name.clone(),
            guide: guide.to_owned(),
            difference: format!("only {only} has {name:?}"),
        };
        if let Some(name) = classes.iter().find(|&name| !own.contains_key(name)) {
            return Err(error(guide, name));
        }
        let ids = self.classes.iter().map(|name| match others.get(name) {
            Some(&id) => Ok(id),
            None => Err(error(&self.name, name)),
        });
        ids.collect()
    }

    /// Whether a guide that is conditioned on `conditions` and `number` can be asked what this model is asked.
    pub(crate) fn same_conditions(
        &self,
        guide: &str,
        conditions: Conditions,
        number: Option<&NumberInput>,
    ) -> Result<(), GuideError> {
        let own = self.conditions();
        if own == (conditions, number) {
            return Ok(());
        }
        Err(GuideError::OtherConditions {
            model: self.name.clone(),
            model_takes: conditions_in_words(own),
            guide: guide.to_owned(),
            guide_takes: conditions_in_words((conditions, number)),
        })
    }

    fn same_images(&self, guide: &str, image: ImageShape) -> Result<(), GuideError> {
        if self.image == image {
            return Ok(());
        }
        Err(GuideError::OtherImages {
            model: self.name.clone(),
            model_image: in_words(self.image),
            guide: guide.to_owned(),
            guide_image: in_words(image),
        })
    }
}

/// A classifier that guides a model.
#[derive(Debug, Clone)]
pub(super) struct Classifying {
    pub(super) classifier: Arc<dyn ClassGradient + Send + Sync>,
    pub(super) guidance: ClassifierGuidance,
}

/// A model that guides another.
#[derive(Debug, Clone)]
pub(super) struct Guiding<N> {
    pub(super) model: GuideModel,
    pub(super) config: Config,
    pub(super) network: N,
}

impl<N: Denoiser + Clone> Model<N> {
    /// The model with `guide` to give the other estimate: its runs follow ε̃ = ε(c) + w (ε(c) − ε_guide). See
    /// [`GuideModel`].
    ///
    /// # Errors
    ///
    /// [`GuideError`], where the two do not fit.
    pub fn guided_by(self, guide: Self) -> Result<Self, GuideError> {
        let guiding = Guiding {
            model: self.config().guide(guide.config())?,
            config: guide.config().clone(),
            network: guide.network().clone(),
        };
        Ok(Self {
            guide: Some(Box::new(guiding)),
            ..self
        })
    }

    /// The model with a classifier that guides its runs beside its other guidance. [`NoisyClassifier::guidance`] says whether
    /// the two fit.
    ///
    /// [`NoisyClassifier::guidance`]: crate::classifier::NoisyClassifier::guidance
    pub fn with_classifier(
        self,
        classifier: Arc<dyn ClassGradient + Send + Sync>,
        guidance: ClassifierGuidance,
    ) -> Self {
        let classifying = Classifying {
            classifier,
            guidance,
        };
        Self {
            classifier: Some(classifying),
            ..self
        }
    }
}

fn in_words(image: ImageShape) -> String {
    let (size, channels) = (image.size, image.channels);
    format!("{size}×{size} pixels in {channels} channels")
}

fn conditions_in_words((conditions, number): (Conditions, Option<&NumberInput>)) -> String {
    let labels = match conditions {
        Conditions::Classes => "one class",
        Conditions::Attributes => "attributes",
    };
    match number {
        None => labels.to_owned(),
        Some(NumberInput { name, min, max, .. }) => {
            format!("{labels} and the number {name:?} from {min} to {max}")
        }
    }
}
