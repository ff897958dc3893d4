//! Plans for models without a null class, which are conditional only.

use super::RequestError;
use crate::condition::Condition;
use crate::sampler::Plan;

impl Plan {
    /// The plan, if it never needs the unconditional estimate.
    ///
    /// # Errors
    ///
    /// [`RequestError::NoNullClass`] names the setting that needs it.
    pub fn conditional_only(self) -> Result<Self, RequestError> {
        // With a negative class, guidance leads away from that and not from ∅, and with a guide from the guide's estimate.
        let other = self.negative.is_some() || self.guide.is_some();
        let unconditional = |w: f64| !other && (w == -1.0 || self.policy.needs_both(w));
        let asked = match self.guidance.iter().find(|&&w| unconditional(w)) {
            _ if self.classes.iter().any(Condition::is_unconditional) => {
                "an image without a class".to_owned()
            }
            Some(w) => format!("guidance {w:?} by {}", self.policy.name()),
            None => return Ok(self),
        };
        Err(RequestError::NoNullClass { asked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denoiser::Class;

    #[test]
    fn without_a_null_class_nothing_asks_for_it() {
        let only = |classes: &[Class], guidance: &[f64]| {
            let plan = Plan {
                guidance: guidance.to_vec(),
                ..Plan::new(classes.to_vec(), 4)
            };
            plan.conditional_only().map_err(|e| e.to_string())
        };
        assert!(only(&[Some(0), Some(1)], &[0.0, 0.0]).is_ok());
        let guided = only(&[Some(0), Some(1)], &[0.0, 1.5]).unwrap_err();
        assert!(
            guided.contains("guidance 1.5 by cfg is not possible"),
            "{guided}"
        );
        assert!(only(&[Some(0)], &[-1.0]).is_err());
        let negative = Plan {
            negative: Some(1),
            ..Plan::new(vec![Some(0)], 4).with_guidance(2.0)
        };
        assert!(negative.conditional_only().is_ok());
        let unconditional = only(&[Some(0), None], &[0.0, 0.0]).unwrap_err();
        assert!(unconditional.contains("without a class"), "{unconditional}");
    }
}
