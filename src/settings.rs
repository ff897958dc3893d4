//! What one asks of a model: classes, strength, steps, solver, seed.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::denoiser::Class;
use crate::noise::MAX_SEED;
use crate::sampler::Solver;

/// The most steps that a run may take.
pub const MAX_STEPS: usize = 10_000;
/// The most images that a run may draw at once.
pub const MAX_IMAGES: usize = 4_096;
/// The largest |w| that is taken. The paper goes to 4.
pub const MAX_GUIDANCE: f64 = 1_000.0;

/// How a model is sampled unless one asks otherwise; the `sampling` of a bundle's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingDefaults {
    /// The solver.
    #[serde(default)]
    pub sampler: Solver,
    /// T, the number of steps.
    #[serde(default = "default_steps")]
    pub steps: usize,
    /// w: 0 is the plain conditional model.
    #[serde(default = "default_guidance")]
    pub guidance: f64,
    /// Whether x̃ is clipped to [−1, 1] in every step.
    #[serde(default = "default_clip")]
    pub clip: bool,
    /// ν, the exponent between the two variances of the ancestral sampler: 0.3 at 64×64 in the
    /// paper, 0.2 at 128×128.
    #[serde(default = "default_variance_interpolation")]
    pub variance_interpolation: f64,
}

fn default_steps() -> usize {
    32
}
fn default_guidance() -> f64 {
    2.0
}
fn default_clip() -> bool {
    true
}
fn default_variance_interpolation() -> f64 {
    0.3
}

impl Default for SamplingDefaults {
    fn default() -> Self {
        Self {
            sampler: Solver::default(),
            steps: default_steps(),
            guidance: default_guidance(),
            clip: default_clip(),
            variance_interpolation: default_variance_interpolation(),
        }
    }
}

/// A class as people name it: its id, its name, or `null` for the unconditional model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassName {
    /// ∅, the unconditional model.
    Unconditional,
    /// The id, from 0.
    Id(u64),
    /// The name, as the bundle spells it.
    Name(String),
}

/// One strength for all images, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Guidance {
    /// w of every image.
    All(f64),
    /// w of each image.
    Each(Vec<f64>),
}

/// A request for images, as it comes from outside: all but the classes may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// One class for each image.
    pub classes: Vec<ClassName>,
    /// w.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<Guidance>,
    /// T.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// The solver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Solver>,
    /// The seed, from 0 to [`MAX_SEED`]; 0 unless given.
    #[serde(default)]
    pub seed: u64,
    /// Index of the first image: the noise of an image is keyed by its index.
    #[serde(default)]
    pub first_image: u64,
    /// Whether x̃ is clipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<bool>,
    /// ν.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance_interpolation: Option<f64>,
}

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
}

/// A request that has been checked against a model: everything that a run needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The class of each image.
    pub classes: Vec<Class>,
    /// w of each image.
    pub guidance: Vec<f64>,
    /// T.
    pub steps: usize,
    /// The solver.
    pub sampler: Solver,
    /// The seed.
    pub seed: u64,
    /// Index of the first image.
    pub first_image: u64,
    /// Whether x̃ is clipped.
    pub clip: bool,
    /// ν.
    pub variance_interpolation: f64,
}

impl Plan {
    /// A plan for images of these classes in `steps` steps, the rest by default (w = 0, seed 0).
    pub fn new(classes: Vec<Class>, steps: usize) -> Self {
        let defaults = SamplingDefaults::default();
        Self {
            guidance: vec![0.0; classes.len()],
            classes,
            steps,
            sampler: defaults.sampler,
            seed: 0,
            first_image: 0,
            clip: defaults.clip,
            variance_interpolation: defaults.variance_interpolation,
        }
    }

    /// The same strength w for every image.
    pub fn with_guidance(mut self, w: f64) -> Self {
        self.guidance = vec![w; self.classes.len()];
        self
    }

    /// The seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The solver.
    pub fn with_sampler(mut self, sampler: Solver) -> Self {
        self.sampler = sampler;
        self
    }

    /// Whether x̃ is clipped.
    pub fn with_clip(mut self, clip: bool) -> Self {
        self.clip = clip;
        self
    }
}

/// The id of a class that people name; `names` are the model's.
///
/// # Errors
///
/// [`RequestError::UnknownClass`], which lists the classes that there are.
pub fn resolve_class(class: &ClassName, names: &[String]) -> Result<Class, RequestError> {
    let found = match class {
        ClassName::Unconditional => return Ok(None),
        ClassName::Id(id) => usize::try_from(*id).ok().filter(|&id| id < names.len()),
        ClassName::Name(name) => names.iter().position(|n| n == name),
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

impl Request {
    /// A request for images of these classes, everything else by default.
    pub fn new(classes: Vec<ClassName>) -> Self {
        Self {
            classes,
            guidance: None,
            steps: None,
            sampler: None,
            seed: 0,
            first_image: 0,
            clip: None,
            variance_interpolation: None,
        }
    }

    /// Checks the request and fills in what it leaves out.
    ///
    /// # Errors
    ///
    /// [`RequestError`] names the field and what it may be.
    pub fn plan(
        &self,
        names: &[String],
        defaults: &SamplingDefaults,
    ) -> Result<Plan, RequestError> {
        let range = |field, value: &dyn Debug, expected: String, ok: bool| {
            if ok {
                Ok(())
            } else {
                Err(RequestError::OutOfRange {
                    field,
                    // As Debug writes it: 1e300, not three hundred digits.
                    value: format!("{value:?}"),
                    expected,
                })
            }
        };
        let images = self.classes.len();
        range(
            "the number of classes",
            &images,
            format!("from 1 to {MAX_IMAGES}, one for each image"),
            (1..=MAX_IMAGES).contains(&images),
        )?;
        let classes = self
            .classes
            .iter()
            .map(|class| resolve_class(class, names))
            .collect::<Result<Vec<_>, _>>()?;
        let guidance = match &self.guidance {
            None => vec![defaults.guidance; images],
            Some(Guidance::All(w)) => vec![*w; images],
            Some(Guidance::Each(w)) if w.len() == images => w.clone(),
            Some(Guidance::Each(w)) => {
                return Err(RequestError::GuidanceCount {
                    strengths: w.len(),
                    images,
                });
            }
        };
        for w in &guidance {
            range(
                "guidance",
                w,
                format!("a number from −{MAX_GUIDANCE} to {MAX_GUIDANCE}"),
                w.abs() <= MAX_GUIDANCE,
            )?;
        }
        let steps = self.steps.unwrap_or(defaults.steps);
        range(
            "steps",
            &steps,
            format!("from 1 to {MAX_STEPS}"),
            (1..=MAX_STEPS).contains(&steps),
        )?;
        range(
            "seed",
            &self.seed,
            format!("from 0 to {MAX_SEED}"),
            self.seed <= MAX_SEED,
        )?;
        range(
            "first_image",
            &self.first_image,
            format!("from 0 to {MAX_SEED}, and so must be the index of the last image"),
            self.first_image <= MAX_SEED - (images as u64 - 1),
        )?;
        let nu = self
            .variance_interpolation
            .unwrap_or(defaults.variance_interpolation);
        range(
            "variance_interpolation",
            &nu,
            "from 0 to 1".to_owned(),
            (0.0..=1.0).contains(&nu),
        )?;
        Ok(Plan {
            classes,
            guidance,
            steps,
            sampler: self.sampler.unwrap_or(defaults.sampler),
            seed: self.seed,
            first_image: self.first_image,
            clip: self.clip.unwrap_or(defaults.clip),
            variance_interpolation: nu,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["cat".to_owned(), "dog".to_owned()]
    }

    fn plan(json: &str) -> Result<Plan, String> {
        let request: Request = serde_json::from_str(json).map_err(|e| e.to_string())?;
        request
            .plan(&names(), &SamplingDefaults::default())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn classes_are_ids_names_or_null() {
        let plan =
            plan(r#"{"classes": [1, "cat", null], "guidance": [0, 1.5, 2], "seed": 7}"#).unwrap();
        assert_eq!(plan.classes, [Some(1), Some(0), None]);
        assert_eq!(plan.guidance, [0.0, 1.5, 2.0]);
        assert_eq!((plan.steps, plan.seed), (32, 7));
    }

    #[test]
    fn every_bad_request_says_what_would_do() {
        let error = |json: &str| plan(json).unwrap_err();
        assert_eq!(
            error(r#"{"classes": ["cow"]}"#),
            "there is no class \"cow\"; the classes are 0 cat, 1 dog"
        );
        assert!(error(r#"{"classes": [2]}"#).contains("no class 2"));
        assert!(error(r#"{"classes": []}"#).contains("one for each image"));
        assert!(error(r#"{"classes": [0], "steps": 0}"#).contains("steps is 0"));
        assert!(
            error(r#"{"classes": [0], "seed": 9007199254740992}"#).contains("9007199254740991")
        );
        assert!(
            error(r#"{"classes": [0, 1], "first_image": 9007199254740991}"#)
                .contains("first_image is 9007199254740991")
        );
        assert!(error(r#"{"classes": [0], "guidance": 1e9}"#).contains("guidance is 1000000000"));
        assert!(error(r#"{"classes": [0], "guidance": [1, 2]}"#).contains("for 1 images"));
        assert!(error(r#"{"classes": [0], "variance_interpolation": 2}"#).contains("from 0 to 1"));
        assert!(error(r#"{"classes": [0], "sampler": "euler"}"#).contains("ancestral"));
        assert!(error(r#"{"classes": [0], "colour": 1}"#).contains("colour"));
    }
}
