//! Plans for networks that take w as an input.

use super::RequestError;
use super::checks::check;
use crate::guidance::Policy;
use crate::network::GuidanceInput;
use crate::sampler::Plan;

/// Why settings of the mix of two estimates do not go with a model that has only one.
const ONE_ESTIMATE: &str = "it takes w as an input and answers with the guided estimate, so that there are no two \
                            estimates to combine; leave this setting out, or draw with the model that it was \
                            distilled from";

impl Plan {
    /// The plan for a network that takes w as an input: one row an image.
    ///
    /// # Errors
    ///
    /// [`RequestError::OutOfRange`] for a w that the network was not made for, and [`RequestError::Incompatible`] for a
    /// setting of how two estimates are combined.
    pub fn with_guidance_input(self, input: &GuidanceInput) -> Result<Self, RequestError> {
        let incompatible = |one: String| RequestError::Incompatible {
            one,
            other: "this model".to_owned(),
            why: ONE_ESTIMATE,
        };
        if self.policy != Policy::default() {
            let policy = self.policy.name();
            return Err(incompatible(match self.policy {
                Policy::Cfg { .. } => "guidance_policy.rescale".to_owned(),
                _ => format!("guidance_policy {policy}"),
            }));
        }
        if self.guidance_interval.is_some() {
            return Err(incompatible("guidance_interval".to_owned()));
        }
        if self.negative.is_some() {
            return Err(incompatible("a negative class".to_owned()));
        }
        for w in &self.guidance {
            check(
                "guidance",
                w,
                || {
                    let GuidanceInput { min, max, .. } = input;
                    format!("from {min} to {max}, for which this model was distilled")
                },
                input.contains(*w),
            )?;
        }
        Ok(Self {
            guidance_input: true,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guidance::Projection;
    use crate::noise_level::LogSnrRange;

    #[test]
    fn what_has_no_meaning_for_one_estimate_is_refused() {
        let input = GuidanceInput::new(-1.0, 8.0);
        let plan = |w: f64| Plan::new(vec![Some(0), None], 4).with_guidance(w);
        let error = |plan: Plan| plan.with_guidance_input(&input).unwrap_err().to_string();
        for w in [-1.0, 0.0, 8.0] {
            assert!(plan(w).with_guidance_input(&input).unwrap().guidance_input);
        }
        for w in [-1.5, 8.1] {
            let refused = error(plan(w));
            assert!(
                refused.contains("from -1 to 8, for which this model was distilled"),
                "{refused}"
            );
        }
        let apg = error(plan(1.0).with_policy(Policy::Apg(Projection::default())));
        assert!(
            apg.contains("guidance_policy apg does not go with this model"),
            "{apg}"
        );
        assert!(apg.contains("takes w as an input"), "{apg}");
        let rescale = error(plan(1.0).with_policy(Policy::Cfg { rescale: 0.5 }));
        assert!(rescale.contains("guidance_policy.rescale"), "{rescale}");
        let interval = LogSnrRange {
            min: -3.0,
            max: 3.0,
        };
        let interval = error(plan(1.0).with_guidance_interval(interval));
        assert!(
            interval.contains("guidance_interval does not go"),
            "{interval}"
        );
    }
}
