//! Plans for models with attributes, or with a number, and for those without.

use super::RequestError;
use super::checks::check;
use crate::condition::Condition;
use crate::network::{Conditions, NumberInput};
use crate::sampler::Plan;

impl Plan {
    /// The plan, if the network takes what its images are conditioned on.
    ///
    /// # Errors
    ///
    /// [`RequestError::OneClass`] where an image has several labels and the model has classes;
    /// [`RequestError::Incompatible`] for a number that the model does not take, and [`RequestError::OutOfRange`] for one that
    /// it was not made for.
    pub fn with_conditions(
        self,
        conditions: Conditions,
        number: Option<&NumberInput>,
    ) -> Result<Self, RequestError> {
        for joint in self.classes.iter().filter_map(Condition::labels) {
            if conditions == Conditions::Classes && joint.labels.len() > 1 {
                return Err(RequestError::OneClass {
                    labels: joint.labels.len(),
                });
            }
            let Some(asked) = joint.number else { continue };
            let Some(input) = number else {
                return Err(RequestError::Incompatible {
                    one: format!("number {asked}"),
                    other: "this model".to_owned(),
                    why: "it was trained without a number; leave it out",
                });
            };
            check(
                "number",
                &asked,
                || {
                    let NumberInput {
                        name,
                        min,
                        max,
                        unit,
                    } = input;
                    let unit = if unit.is_empty() {
                        ""
                    } else {
                        &format!(" {unit}")
                    };
                    format!("from {min} to {max}{unit}, the model's {name}")
                },
                input.contains(asked),
            )?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Joint;

    #[test]
    fn what_the_network_does_not_take_is_refused() {
        let age = NumberInput {
            name: "age".to_owned(),
            min: 0.0,
            max: 90.0,
            unit: "years".to_owned(),
        };
        let plan = |labels: &[u32], number: Option<f64>| {
            let joint = Joint {
                labels: labels.to_vec(),
                number,
            };
            let mut plan = Plan::new(vec![None], 4);
            plan.classes = vec![Condition::joint(joint.clone()), Condition::each(joint)];
            plan
        };
        let ok = |plan: Plan, conditions, number| plan.with_conditions(conditions, number).is_ok();
        assert!(ok(plan(&[0, 1], None), Conditions::Attributes, None));
        assert!(ok(plan(&[0], Some(90.0)), Conditions::Classes, Some(&age)));
        assert!(ok(plan(&[], Some(0.0)), Conditions::Attributes, Some(&age)));
        let error = |plan: Plan, number| {
            let refused = plan.with_conditions(Conditions::Classes, number);
            refused.unwrap_err().to_string()
        };
        let several = error(plan(&[0, 1], None), None);
        assert!(several.contains("of which an image has one"), "{several}");
        let number = error(plan(&[0], Some(1.0)), None);
        assert!(number.contains("trained without a number"), "{number}");
        let range = error(plan(&[], Some(91.0)), Some(&age));
        assert!(
            range.contains("from 0 to 90 years, the model's age"),
            "{range}"
        );
    }
}
