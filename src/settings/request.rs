//! A request as it comes from outside, and how it becomes a plan.

use serde::{Deserialize, Serialize};

use super::checks::{check, check_grid, check_policy};
use super::{
    ClassName, MAX_GUIDANCE, MAX_IMAGES, MAX_RESAMPLING, MAX_STEPS, RequestError, SamplingDefaults,
    SourcePixels, resolve_class, resolve_condition,
};
use crate::class_names::ClassNames;
use crate::condition::{Composition, Condition};
use crate::denoiser::Class;
use crate::guidance::{Policy, PolicyFields};
use crate::noise::MAX_SEED;
use crate::noise_level::LogSnrRange;
use crate::sampler::{Grid, GridFields, Plan, SeedInterpolation, Solver, Symmetry};

/// A number for all images, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerImage {
    /// That of every image.
    All(f64),
    /// Those of the images.
    Each(Vec<f64>),
}

/// A request for images, as it comes from outside: all but the classes may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// One class, or several attributes, or a mix of classes, for each image.
    pub classes: Vec<ClassName>,
    /// The number that the model takes beside them; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<PerImage>,
    /// How several attributes, and a number, are guided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composition: Option<Composition>,
    /// w.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<PerImage>,
    /// The class that guidance leads away from, by name or id; ∅ unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
    /// What is made of the two estimates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance_policy: Option<PolicyFields>,
    /// The λ, in nats, that are guided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance_interval: Option<LogSnrRange>,
    /// T.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// The solver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Solver>,
    /// The levels; unless given those of the model if the solver is the model's, else the solver's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<GridFields>,
    /// The seed, from 0 to [`MAX_SEED`]; 0 unless given.
    #[serde(default)]
    pub seed: u64,
    /// Another seed, part of the way to which the noise is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toward: Option<SeedInterpolation>,
    /// Index of the first image: the noise of an image is keyed by its index.
    #[serde(default)]
    pub first_image: u64,
    /// Whether x̃ is clipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<bool>,
    /// The quantile of dynamic thresholding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_threshold: Option<f64>,
    /// ν.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance_interpolation: Option<f64>,
    /// The change at which an image is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Whether images fit to themselves at opposite edges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tileable: Option<bool>,
    /// The symmetry of all images; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetry: Option<Symmetry>,
    /// A picture to start from, of all images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePixels>,
    /// The share of the steps that a run from a picture takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// How often every step of a run from a picture with a mask is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resampling: Option<usize>,
}

/// w of CFG++ unless given: the λ = 0.6 of its paper, which is 1 + w.
const PLUS_PLUS_GUIDANCE: f64 = -0.4;

impl Request {
    /// A request for images of these classes, everything else by default.
    pub fn new(classes: Vec<ClassName>) -> Self {
        Self {
            classes,
            number: None,
            composition: None,
            guidance: None,
            negative: None,
            guidance_policy: None,
            guidance_interval: None,
            steps: None,
            sampler: None,
            grid: None,
            seed: 0,
            toward: None,
            first_image: 0,
            clip: None,
            dynamic_threshold: None,
            variance_interpolation: None,
            tolerance: None,
            tileable: None,
            symmetry: None,
            source: None,
            strength: None,
            resampling: None,
        }
    }

    /// Checks the request and fills in what it leaves out. `names` are the model's classes,
    /// `trained` the range of λ that it was trained on.
    ///
    /// # Errors
    ///
    /// [`RequestError`] names the field and what it may be.
    pub fn plan(
        &self,
        names: &ClassNames,
        defaults: &SamplingDefaults,
        trained: LogSnrRange,
    ) -> Result<Plan, RequestError> {
        let classes = self.conditions(names)?;
        self.check_seeds(classes.len())?;
        let policy = self.policy(defaults)?;
        let sampler = self.sampler.unwrap_or(defaults.sampler);
        if sampler == Solver::Heun && policy == Policy::CfgPlusPlus {
            return Err(RequestError::Incompatible {
                one: "guidance_policy cfg++".to_owned(),
                other: "sampler heun".to_owned(),
                why: "CFG++ noises again with another estimate, so that there is no slope to \
                      average; take ddim, dpm++2m or ancestral",
            });
        }
        Ok(Plan {
            guidance: self.strengths(classes.len(), &policy, defaults)?,
            classes,
            negative: self.negative_id(names)?,
            guide: None,
            classifier: None,
            steps: self.checked_steps(defaults)?,
            sampler,
            grid: self.levels(sampler, defaults, trained)?,
            timestep_levels: None,
            policy,
            guidance_interval: self.interval(defaults)?,
            guidance_input: false,
            flow_map: false,
            seed: self.seed,
            seed_interpolation: self.toward,
            first_image: self.first_image,
            clip: self
                .clip
                .unwrap_or(defaults.clip || self.dynamic_threshold.is_some()),
            dynamic_threshold: self.checked_threshold()?,
            variance_interpolation: self.nu(defaults)?,
            tolerance: self.checked_tolerance()?,
            tileable: self.tileable.unwrap_or(false),
            symmetry: self.symmetry,
            source: None,
            strength: self.checked_strength()?,
            resampling: self.checked_resampling(sampler)?,
        })
    }

    fn conditions(&self, names: &ClassNames) -> Result<Vec<Condition>, RequestError> {
        let images = self.classes.len();
        check(
            "the number of classes",
            &images,
            || format!("from 1 to {MAX_IMAGES}, one for each image"),
            (1..=MAX_IMAGES).contains(&images),
        )?;
        let each = self.classes.iter();
        let conditions: Vec<Condition> = each
            .map(|class| resolve_condition(class, names))
            .collect::<Result<_, _>>()?;
        let numbers = self.numbers(images)?;
        let each = conditions.into_iter().zip(numbers);
        each.map(|(condition, number)| self.composed(condition, number))
            .collect()
    }

    /// The number of each image.
    fn numbers(&self, images: usize) -> Result<Vec<Option<f64>>, RequestError> {
        match &self.number {
            None => Ok(vec![None; images]),
            Some(PerImage::All(number)) => Ok(vec![Some(*number); images]),
            Some(PerImage::Each(numbers)) if numbers.len() == images => {
                Ok(numbers.iter().copied().map(Some).collect())
            }
            Some(PerImage::Each(numbers)) => Err(RequestError::NumberCount {
                numbers: numbers.len(),
                images,
            }),
        }
    }

    /// A condition with its number, together or one by one.
    fn composed(
        &self,
        condition: Condition,
        number: Option<f64>,
    ) -> Result<Condition, RequestError> {
        let composition = self.composition.unwrap_or_default();
        let Some(mut joint) = condition.labels() else {
            return match number {
                None => Ok(condition),
                Some(number) => Err(RequestError::Incompatible {
                    one: format!("number {number}"),
                    other: "a mix of classes".to_owned(),
                    why: "a mix is of classes alone; ask for one class, or leave the number out",
                }),
            };
        };
        joint.number = number;
        Ok(match composition {
            Composition::Joint => Condition::joint(joint),
            Composition::Each => Condition::each(joint),
        })
    }

    fn negative_id(&self, names: &ClassNames) -> Result<Class, RequestError> {
        let Some(text) = &self.negative else {
            return Ok(None);
        };
        resolve_class(&ClassName::of_text(text, names), names)
    }

    fn check_seeds(&self, images: usize) -> Result<(), RequestError> {
        check(
            "seed",
            &self.seed,
            || format!("from 0 to {MAX_SEED}"),
            self.seed <= MAX_SEED,
        )?;
        if let Some(toward) = self.toward {
            check(
                "toward",
                &(toward.seed, toward.t),
                || format!("a seed from 0 to {MAX_SEED} and t from 0 to 1"),
                toward.seed <= MAX_SEED && (0.0..=1.0).contains(&toward.t),
            )?;
        }
        check(
            "first_image",
            &self.first_image,
            || format!("from 0 to {MAX_SEED}, and so must be the index of the last image"),
            self.first_image <= MAX_SEED - (images as u64 - 1),
        )
    }

    fn policy(&self, defaults: &SamplingDefaults) -> Result<Policy, RequestError> {
        let fields = self.guidance_policy.unwrap_or_default();
        let policy = fields.or(defaults.guidance_policy);
        let policy = policy.map_err(|why| RequestError::Incompatible {
            one: "a field of guidance_policy".to_owned(),
            other: "its kind".to_owned(),
            why,
        })?;
        check_policy(&policy)?;
        Ok(policy)
    }

    fn checked_steps(&self, defaults: &SamplingDefaults) -> Result<usize, RequestError> {
        let steps = self.steps.unwrap_or(defaults.steps);
        check(
            "steps",
            &steps,
            || format!("from 1 to {MAX_STEPS}"),
            (1..=MAX_STEPS).contains(&steps),
        )?;
        Ok(steps)
    }

    fn levels(
        &self,
        sampler: Solver,
        defaults: &SamplingDefaults,
        trained: LogSnrRange,
    ) -> Result<Grid, RequestError> {
        let of_model = defaults.grid.filter(|_| sampler == defaults.sampler);
        let base = of_model.unwrap_or_else(|| sampler.grid());
        let grid = self.grid.unwrap_or_default().or(base);
        check_grid(&grid, trained)?;
        Ok(grid)
    }

    fn interval(&self, defaults: &SamplingDefaults) -> Result<Option<LogSnrRange>, RequestError> {
        let interval = self.guidance_interval.or(defaults.guidance_interval);
        if let Some(interval) = interval {
            check(
                "guidance_interval",
                &(interval.min, interval.max),
                || "two finite numbers in nats, min < max".to_owned(),
                interval.is_valid(),
            )?;
        }
        Ok(interval)
    }

    fn nu(&self, defaults: &SamplingDefaults) -> Result<f64, RequestError> {
        let nu = self
            .variance_interpolation
            .unwrap_or(defaults.variance_interpolation);
        check(
            "variance_interpolation",
            &nu,
            || "from 0 to 1".to_owned(),
            (0.0..=1.0).contains(&nu),
        )?;
        Ok(nu)
    }

    fn checked_threshold(&self) -> Result<Option<f64>, RequestError> {
        let Some(quantile) = self.dynamic_threshold else {
            return Ok(None);
        };
        check(
            "dynamic_threshold",
            &quantile,
            || "above 0 and at most 1".to_owned(),
            quantile > 0.0 && quantile <= 1.0,
        )?;
        if self.clip == Some(false) {
            return Err(RequestError::Incompatible {
                one: format!("dynamic_threshold {quantile}"),
                other: "clip false".to_owned(),
                why: "a threshold is a way of clipping; leave one of them out",
            });
        }
        Ok(Some(quantile))
    }

    fn checked_tolerance(&self) -> Result<Option<f64>, RequestError> {
        if let Some(tolerance) = self.tolerance {
            check(
                "tolerance",
                &tolerance,
                || "from 0 to 255".to_owned(),
                (0.0..=255.0).contains(&tolerance),
            )?;
        }
        Ok(self.tolerance)
    }

    fn checked_strength(&self) -> Result<Option<f64>, RequestError> {
        if let Some(strength) = self.strength {
            check(
                "strength",
                &strength,
                || "above 0 and at most 1".to_owned(),
                strength > 0.0 && strength <= 1.0,
            )?;
        }
        Ok(self.strength)
    }

    fn checked_resampling(&self, sampler: Solver) -> Result<usize, RequestError> {
        let resampling = self.resampling.unwrap_or(1);
        check(
            "resampling",
            &resampling,
            || format!("from 1 to {MAX_RESAMPLING}"),
            (1..=MAX_RESAMPLING).contains(&resampling),
        )?;
        if resampling > 1 && matches!(sampler, Solver::DpmSolver | Solver::Heun) {
            return Err(RequestError::Incompatible {
                one: format!("resampling {resampling}"),
                other: format!("sampler {}", sampler.name()),
                why: "the noise that resampling adds makes its second order wrong; take ddim or ancestral",
            });
        }
        Ok(resampling)
    }

    /// w of each image.
    fn strengths(
        &self,
        images: usize,
        policy: &Policy,
        defaults: &SamplingDefaults,
    ) -> Result<Vec<f64>, RequestError> {
        let plus_plus =
            *policy == Policy::CfgPlusPlus && defaults.guidance_policy != Policy::CfgPlusPlus;
        let strengths = match &self.guidance {
            // The model's own strength is one of another policy.
            None if plus_plus => vec![PLUS_PLUS_GUIDANCE; images],
            None => vec![defaults.guidance; images],
            Some(PerImage::All(w)) => vec![*w; images],
            Some(PerImage::Each(w)) if w.len() == images => w.clone(),
            Some(PerImage::Each(w)) => {
                return Err(RequestError::GuidanceCount {
                    strengths: w.len(),
                    images,
                });
            }
        };
        for w in &strengths {
            check(
                "guidance",
                w,
                || format!("a number from −{MAX_GUIDANCE} to {MAX_GUIDANCE}"),
                w.abs() <= MAX_GUIDANCE,
            )?;
        }
        Ok(strengths)
    }
}

#[cfg(test)]
mod tests;
