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
mod tests {
    use super::*;
    use crate::condition::Joint;
    use crate::sampler::Spacing;

    fn plan_with(defaults: &SamplingDefaults, json: &str) -> Result<Plan, String> {
        let request: Request = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let names = ["cat", "dog"].into_iter().collect();
        request
            .plan(&names, defaults, LogSnrRange::PAPER)
            .map_err(|e| e.to_string())
    }

    fn plan(json: &str) -> Result<Plan, String> {
        plan_with(&SamplingDefaults::default(), json)
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
    fn a_mix_is_of_names_or_ids_with_weights_that_add_up_to_1() {
        let mix = |text: &str| {
            let plan = plan(&format!(r#"{{"classes": [{text}]}}"#))?;
            Ok(plan.classes[0].clone())
        };
        let both = Ok(Condition::Mix(vec![(0, 0.75), (1, 0.25)]));
        assert_eq!(mix(r#"{"cat": 0.75, "dog": 0.25}"#), both);
        assert_eq!(mix(r#"{"0": 0.5, "1": 0.25, "cat": 0.25}"#), both);
        let one = Ok(Condition::Class(Some(1)));
        assert_eq!(mix(r#"{"cat": 0, "dog": 1}"#), one);
        let refused = |text: &str, words: &str| {
            let error: Result<Condition, String> = mix(text);
            let error = error.unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        refused(r#"{"cat": 0.7, "dog": 0.2}"#, "add up to 0.9");
        refused(r#"{}"#, "add up to 0");
        refused(
            r#"{"cat": 1.3, "dog": -0.3}"#,
            "weight of cat in a mix is 1.3",
        );
        refused(
            r#"{"dog": -0.3, "cat": 1}"#,
            "weight of dog in a mix is -0.3",
        );
        refused(
            r#"{"cow": 0.5, "cat": 0.5}"#,
            "no class \"cow\"; the classes are 0 cat, 1 dog",
        );
        refused(r#"{"none": 0.5, "cat": 0.5}"#, "not of `none`");
    }

    #[test]
    fn a_mix_is_read_from_a_text() {
        let names = ["tench, Tinca tinca", "a:b", "12"].into_iter().collect();
        let read = |text: &str| resolve_condition(&ClassName::of_text(text, &names), &names);
        let parts = |text: &str| match read(text) {
            Ok(Condition::Mix(parts)) => parts,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(
            parts("tench, Tinca tinca:0.7,a:b:0.3"),
            [(0, 0.7), (1, 0.3)]
        );
        assert_eq!(parts("12:0.5, 0:5e-1"), [(2, 0.5), (0, 0.5)]);
        assert_eq!(read("a:b"), Ok(Condition::Class(Some(1))));
        assert_eq!(read("12:1"), Ok(Condition::Class(Some(2))));
        let unknown = read("12:0.5,a:b").unwrap_err().to_string();
        assert!(unknown.contains("no class \"12:0.5,a:b\""), "{unknown}");
        let negative = plan(r#"{"classes": [0], "negative": "cat:0.5,dog:0.5"}"#).unwrap_err();
        assert!(negative.contains("one class is wanted"), "{negative}");
    }

    #[test]
    fn several_attributes_are_a_list_of_names_or_ids() {
        let condition = |json: &str| plan(json).map(|plan| plan.classes[0].clone());
        let both = |number: Option<f64>| {
            let labels = vec![0, 1];
            Ok(Condition::Joint(Joint { labels, number }))
        };
        // Whatever their order, and each once.
        let several = r#"{"classes": [["dog", 0, "dog"]]}"#;
        assert_eq!(condition(several), both(None));
        let number = r#"{"classes": [["cat", "dog"]], "number": 30}"#;
        assert_eq!(condition(number), both(Some(30.0)));
        let one = Ok(Condition::Class(Some(1)));
        assert_eq!(condition(r#"{"classes": [["dog"]]}"#), one);
        assert_eq!(
            condition(r#"{"classes": [[]]}"#),
            Ok(Condition::Class(None))
        );
        let each = r#"{"classes": [["cat", "dog"]], "number": 30, "composition": "each"}"#;
        let Ok(Condition::Each(parts)) = condition(each) else {
            panic!("three parts");
        };
        assert_eq!((parts.len(), parts[2].number), (3, Some(30.0)));
        let alone = r#"{"classes": ["dog"], "composition": "each"}"#;
        assert_eq!(condition(alone), one);
        let unknown = condition(r#"{"classes": [["dog", "cow"]]}"#).unwrap_err();
        assert!(unknown.contains("there is no class \"cow\""), "{unknown}");
        let two = condition(r#"{"classes": ["dog"], "number": [1, 2]}"#).unwrap_err();
        assert!(two.contains("2 numbers were given for 1 images"), "{two}");
        let mix = r#"{"classes": [{"cat": 0.5, "dog": 0.5}], "number": 3}"#;
        let mix = condition(mix).unwrap_err();
        assert!(mix.contains("does not go with a mix"), "{mix}");
        let negative = r#"{"classes": [0], "negative": "cat+dog"}"#;
        let negative = condition(negative).unwrap_err();
        assert!(negative.contains("one is wanted"), "{negative}");
    }

    #[test]
    fn attributes_are_read_from_a_text() {
        let names = ["hat", "C++", "hat+C", "12"].into_iter().collect();
        let labels = |text: &str| {
            let condition = resolve_condition(&ClassName::of_text(text, &names), &names);
            condition.map(|c| c.labels().unwrap().labels)
        };
        assert_eq!(labels("hat + 12").unwrap(), [0, 3]);
        assert_eq!(labels("C++").unwrap(), [1]);
        assert_eq!(labels("12+C++").unwrap(), [1, 3]);
        assert_eq!(labels("hat+C+12").unwrap(), [2, 3]);
        assert_eq!(labels("1+0").unwrap(), [0, 1]);
        let unknown = labels("hat+dog").unwrap_err().to_string();
        assert!(unknown.contains("no class \"hat+dog\""), "{unknown}");
    }

    #[test]
    fn a_negative_class_is_a_name_or_an_id() {
        let negative = |text: &str| {
            let json = format!(r#"{{"classes": [0], "negative": "{text}"}}"#);
            plan(&json).map(|plan| plan.negative)
        };
        assert_eq!(negative("dog"), Ok(Some(1)));
        assert_eq!(negative("0"), Ok(Some(0)));
        assert_eq!(negative("none"), Ok(None));
        let unknown = negative("cow").unwrap_err();
        assert!(unknown.contains("there is no class \"cow\""), "{unknown}");
    }

    #[test]
    fn a_solver_brings_its_grid_unless_the_model_or_the_request_has_one() {
        let grid = |defaults: &SamplingDefaults, json: &str| {
            plan_with(defaults, json).unwrap().grid.spacing
        };
        let plain = SamplingDefaults::default();
        let dpm = r#"{"classes": [0], "sampler": "dpm++2m"}"#;
        assert_eq!(grid(&plain, r#"{"classes": [0]}"#), Spacing::UniformU);
        assert_eq!(grid(&plain, dpm), Spacing::Karras);
        let own = SamplingDefaults {
            grid: Some(Grid::new(Spacing::UniformLambda)),
            ..SamplingDefaults::default()
        };
        assert_eq!(grid(&own, r#"{"classes": [0]}"#), Spacing::UniformLambda);
        assert_eq!(grid(&own, dpm), Spacing::Karras);
        let asked = r#"{"classes": [0], "sampler": "heun", "grid": {"spacing": "uniform-u"}}"#;
        assert_eq!(grid(&own, asked), Spacing::UniformU);
    }

    #[test]
    fn cfg_plus_plus_has_a_strength_of_its_own() {
        let w = |json: &str| plan(json).unwrap().guidance;
        assert_eq!(w(r#"{"classes": [0]}"#), [2.0]);
        let json = r#"{"classes": [0], "guidance_policy": {"kind": "cfg++"}}"#;
        assert_eq!(w(json), [-0.4]);
    }

    #[test]
    fn defaults_that_say_nothing_new_are_written_as_they_were() {
        let json = serde_json::to_string(&SamplingDefaults::default()).unwrap();
        assert_eq!(
            json,
            r#"{"sampler":"ddim","steps":32,"guidance":2.0,"clip":true,"variance_interpolation":0.3}"#
        );
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
        let toward = error(r#"{"classes": [0], "toward": {"seed": 1, "t": 2}}"#);
        assert!(toward.contains("t from 0 to 1"), "{toward}");
        assert!(error(r#"{"classes": [0], "guidance": 1e9}"#).contains("guidance is 1000000000"));
        assert!(error(r#"{"classes": [0], "guidance": [1, 2]}"#).contains("for 1 images"));
        assert!(error(r#"{"classes": [0], "variance_interpolation": 2}"#).contains("from 0 to 1"));
        assert!(error(r#"{"classes": [0], "sampler": "euler"}"#).contains("ancestral"));
        assert!(error(r#"{"classes": [0], "colour": 1}"#).contains("colour"));
    }

    #[test]
    fn so_does_every_bad_grid_and_policy() {
        let error = |rest: &str| plan(&format!(r#"{{"classes": [0], {rest}}}"#)).unwrap_err();
        assert!(error(r#""grid": {"spacing": "linear"}"#).contains("karras"));
        assert!(error(r#""grid": {"rho": 0}"#).contains("grid.rho is 0.0"));
        let wide = error(r#""grid": {"log_snr": {"min": -30, "max": 3}}"#);
        assert!(wide.contains("within the model's own -20 to 20"), "{wide}");
        assert!(error(r#""grid": {"log_snr": {"min": 3, "max": 3}}"#).contains("min < max"));
        assert!(error(r#""tolerance": -1"#).contains("from 0 to 255"));
        assert!(error(r#""dynamic_threshold": 0"#).contains("above 0 and at most 1"));
        let unclipped = error(r#""dynamic_threshold": 0.99, "clip": false"#);
        assert!(
            unclipped.contains("does not go with clip false"),
            "{unclipped}"
        );
        assert!(error(r#""guidance_interval": {"min": 3, "max": -3}"#).contains("min < max"));
        let policy = |text: &str| error(&format!(r#""guidance_policy": {text}"#));
        assert!(policy(r#"{"kind": "magic"}"#).contains("cfg++"));
        assert!(policy(r#"{"kind": "cfg", "rescale": 2}"#).contains("rescale is 2.0"));
        assert!(policy(r#"{"kind": "cfg", "scale": 2}"#).contains("scale"));
        assert!(policy(r#"{"kind": "apg", "eta": -1}"#).contains("eta is -1.0"));
        assert!(policy(r#"{"kind": "apg", "momentum": 1}"#).contains("momentum is 1.0"));
        assert!(policy(r#"{"kind": "apg", "norm_threshold": 0}"#).contains("above 0"));
        let both = error(r#""guidance_policy": {"kind": "cfg++"}, "sampler": "heun""#);
        assert!(both.contains("does not go with sampler heun"), "{both}");
    }
}
