//! Plans that another model guides.

use super::RequestError;
use crate::condition::Condition;
use crate::guidance::GuideModel;
use crate::sampler::Plan;

impl Plan {
    /// The plan with the estimate of another model in the place of the unconditional one.
    ///
    /// # Errors
    ///
    /// [`RequestError::Incompatible`] where the guide would be asked of a class, or of none, that it does not have.
    pub fn guided_by(self, guide: GuideModel) -> Result<Self, RequestError> {
        let incompatible = |one: &str, why| RequestError::Incompatible {
            one: one.to_owned(),
            other: format!("the guide {}", guide.name),
            why,
        };
        if guide.classes.is_empty() && self.negative.is_some() {
            return Err(incompatible(
                "a negative class",
                "it has no classes; leave the negative class out",
            ));
        }
        let without = self.classes.iter().any(Condition::is_unconditional);
        if without && !guide.null_class && self.negative.is_none() {
            return Err(incompatible(
                "an image without a class",
                "it has no null class; ask for a class",
            ));
        }
        Ok(Self {
            guide: Some(guide),
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denoiser::Class;
    use crate::noise_level::LogSnrRange;

    #[test]
    fn a_guide_is_not_asked_for_what_it_does_not_have() {
        let plan = |class: Class, negative: Class| Plan {
            negative,
            ..Plan::new(vec![class], 4).with_guidance(1.0)
        };
        let guide = |classes: &[u32], null_class| GuideModel {
            name: "other".to_owned(),
            classes: classes.to_vec(),
            null_class,
            range: LogSnrRange::PAPER,
        };
        let says = |plan: Plan, guide, words: &str| {
            let refused = plan.guided_by(guide).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        };
        assert!(
            plan(Some(0), Some(1))
                .guided_by(guide(&[0, 1], false))
                .is_ok()
        );
        assert!(plan(None, None).guided_by(guide(&[], true)).is_ok());
        says(
            plan(Some(0), Some(1)),
            guide(&[], true),
            "a negative class does not go with the guide other",
        );
        says(
            plan(None, None),
            guide(&[0, 1], false),
            "an image without a class does not go",
        );
    }
}
