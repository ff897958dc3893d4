//! A second model whose estimate takes the place of the unconditional one.

use crate::condition::{Condition, Joint};
use crate::denoiser::Class;
use crate::noise_level::LogSnrRange;

/// How far outside of its range a guide is still asked, in nats: levels are computed and do not end exactly where they
/// should.
const SLACK: f64 = 1e-3;

/// What a run has to know of a model that guides it: ε̃ = ε(c) + w (ε(c) − ε_guide).
///
/// An unconditional model makes that the guidance of Ho & Salimans 2022 with two networks. A worse model of the same
/// classes makes it autoguidance (Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself", equation
/// 3): both estimates are of the class, and guidance leads away from the errors of the worse model.
#[derive(Debug, Clone, PartialEq)]
pub struct GuideModel {
    /// Its name.
    pub name: String,
    /// Its id for each class of the model that is guided; empty for a guide without classes.
    pub classes: Vec<u32>,
    /// Whether it has a null class.
    pub null_class: bool,
    /// The λ, in nats, that it was trained on. Levels outside of it are not guided.
    pub range: LogSnrRange,
}

impl GuideModel {
    /// The guide's id for ∅.
    pub(crate) fn null(&self) -> u32 {
        self.classes.len() as u32
    }

    /// What the guide is asked of for an image of this condition: of the same, or of the class `negative` where there is
    /// one.
    pub(crate) fn condition(&self, condition: &Condition, negative: Class) -> Condition {
        let id = |class: u32| self.classes.get(class as usize).copied();
        match condition {
            _ if self.classes.is_empty() => Condition::Class(None),
            _ if negative.is_some() => Condition::Class(negative.and_then(id)),
            Condition::Class(class) => Condition::Class(class.and_then(id)),
            Condition::Mix(parts) => {
                let parts = parts
                    .iter()
                    .filter_map(|&(class, weight)| Some((id(class)?, weight)));
                Condition::Mix(parts.collect())
            }
            Condition::Joint(joint) => Condition::Joint(self.joint(joint)),
            Condition::Each(joints) => {
                Condition::Each(joints.iter().map(|joint| self.joint(joint)).collect())
            }
        }
    }

    /// The same labels and number by the guide's ids.
    fn joint(&self, joint: &Joint) -> Joint {
        let id = |&label: &u32| self.classes.get(label as usize).copied();
        Joint {
            labels: joint.labels.iter().filter_map(id).collect(),
            number: joint.number,
        }
    }

    /// The levels that are guided, where `interval` says which should be.
    pub(crate) fn interval(&self, interval: Option<LogSnrRange>) -> LogSnrRange {
        let (min, max) = (self.range.min - SLACK, self.range.max + SLACK);
        match interval {
            Some(wanted) => LogSnrRange {
                min: wanted.min.max(min),
                max: wanted.max.min(max),
            },
            None => LogSnrRange { min, max },
        }
    }
}
