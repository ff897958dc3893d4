//! What an image was drawn with, as its PNG carries it.

use serde::{Deserialize, Serialize};

use super::{ClassMix, ClassName, Label};
use crate::bundle::WRITTEN_BY;
use crate::class_names::ClassNames;
use crate::condition::{Composition, Condition};
use crate::guidance::{ClassifierGuidance, Policy};
use crate::noise_level::LogSnrRange;
use crate::sampler::{Grid, Plan, SeedInterpolation, Solver, Symmetry};

/// The settings that made an image: the text of its PNG under the keyword `freeguide`, which the command and the page
/// write alike. They are complete, so that they do not depend on what the model's defaults are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageSettings {
    /// The bundle's name.
    pub model: String,
    /// The class's name, null for the unconditional model, the names of several attributes, or the names and weights of a mix.
    pub class: ClassName,
    /// The number that the image was drawn with, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// How several attributes were guided, where that was one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composition: Option<Composition>,
    /// w.
    pub guidance: f64,
    /// The class that guidance led away from, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
    /// The name of the model that guided, where it was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guide: Option<String>,
    /// The classifier that guided beside it, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<ClassifierSettings>,
    /// T.
    pub steps: usize,
    /// The solver.
    pub sampler: Solver,
    /// The seed.
    pub seed: u64,
    /// The second seed and its weight, where the noise is interpolated between two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toward: Option<SeedInterpolation>,
    /// The index of the image, which its noise is keyed by.
    pub image: u64,
    /// Whether x̃ was clipped.
    pub clip: bool,
    /// The quantile of dynamic thresholding, where x̃ was not clipped value by value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_threshold: Option<f64>,
    /// ν of the ancestral sampler.
    pub variance_interpolation: f64,
    /// The levels, where they are not the solver's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// What was made of the two estimates, where that is not the paper's mix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance_policy: Option<Policy>,
    /// The λ that were guided, where not all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance_interval: Option<LogSnrRange>,
    /// The change at which the image was finished, where it was not to take all steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Whether the image was made to fit to itself at opposite edges.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tileable: bool,
    /// The symmetry that the image was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetry: Option<Symmetry>,
    /// The share of the steps that were taken from a picture, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// How often every step was taken, where it was more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resampling: Option<usize>,
    /// The program and its version.
    pub freeguide: String,
}

/// The classifier that guided an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierSettings {
    /// Its name.
    pub name: String,
    /// Its strength s.
    pub strength: f64,
}

impl ClassifierSettings {
    fn of(guidance: &ClassifierGuidance) -> Self {
        Self {
            name: guidance.name.clone(),
            strength: guidance.strength,
        }
    }
}

impl ImageSettings {
    /// The settings of every image of a plan for the model `model` with these classes.
    pub fn of_plan(plan: &Plan, model: &str, classes: &ClassNames) -> Vec<Self> {
        let images = plan
            .classes
            .iter()
            .zip(&plan.guidance)
            .zip(plan.first_image..);
        images
            .map(|((class, &guidance), image)| Self {
                model: model.to_owned(),
                class: class_name(class, classes),
                number: class.labels().and_then(|joint| joint.number),
                composition: matches!(class, Condition::Each(_)).then_some(Composition::Each),
                guidance,
                negative: plan.negative.map(|id| classes[id as usize].to_owned()),
                guide: plan.guide.as_ref().map(|guide| guide.name.clone()),
                classifier: plan.classifier.as_ref().map(ClassifierSettings::of),
                steps: plan.steps,
                sampler: plan.sampler,
                seed: plan.seed,
                toward: plan.seed_interpolation,
                image,
                clip: plan.clip,
                dynamic_threshold: plan.dynamic_threshold,
                variance_interpolation: plan.variance_interpolation,
                grid: (plan.grid != plan.sampler.grid()).then_some(plan.grid),
                guidance_policy: (plan.policy != Policy::default()).then_some(plan.policy),
                guidance_interval: plan.guidance_interval,
                tolerance: plan.tolerance,
                tileable: plan.tileable,
                symmetry: plan.symmetry,
                strength: plan.strength,
                resampling: (plan.resampling > 1).then_some(plan.resampling),
                freeguide: WRITTEN_BY.to_owned(),
            })
            .collect()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn class_name(condition: &Condition, names: &ClassNames) -> ClassName {
    let name = |id: u32| names[id as usize].to_owned();
    if let Condition::Mix(parts) = condition {
        let parts = parts.iter().map(|&(id, weight)| (name(id), weight));
        return ClassName::Mix(ClassMix(parts.collect()));
    }
    let labels = condition.labels().unwrap_or_default().labels;
    match labels[..] {
        [] => ClassName::Unconditional,
        [id] => ClassName::Name(name(id)),
        _ => ClassName::Several(labels.into_iter().map(|id| Label::Name(name(id))).collect()),
    }
}
