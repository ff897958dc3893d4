//! What an image is drawn of: one class, none, a mix of classes, or several labels that hold together.

use serde::{Deserialize, Serialize};

use crate::denoiser::Class;

/// How the estimates of several labels become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Composition {
    /// One estimate of all together: [`Condition::Joint`].
    #[default]
    Joint,
    /// The sum of what each adds to the unconditional estimate: [`Condition::Each`].
    Each,
}

impl Composition {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Joint, Self::Each];

    /// The name in settings, commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joint => "joint",
            Self::Each => "each",
        }
    }
}

/// Labels that hold together, and a number: what one row of an evaluation is conditioned on. Without either it is ∅.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Joint {
    /// Ids of labels, each once: attributes, or one class.
    pub labels: Vec<u32>,
    /// The number that the network takes beside them, in its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
}

/// The condition of an image.
///
/// A mix takes the weighted mean of the estimates of its classes, `Σ wₖ f(z, cₖ)`, at every step. As each estimate is a
/// score, `ε(z, c) = −σ ∇ log p(z | c)`, that is the score of the weighted geometric mean of the classes' densities,
/// `∏ p(z | cₖ)^wₖ` (a product of experts, as in Liu et al. 2022, "Compositional Visual Generation with Composable Diffusion
/// Models", section 3.1). Of Gaussians of one deviation it is the Gaussian at the weighted mean, exactly, so that a mix lies
/// between its classes and does not take turns between them.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A class, or ∅ where there is none: one row of an evaluation.
    Class(Class),
    /// Ids of classes with their weights, which are above 0 and add up to 1: one row for each.
    Mix(Vec<(u32, f64)>),
    /// Labels and a number together: one row, of a network that has learnt what they are together.
    Joint(Joint),
    /// The same one by one: `f(z, ∅) + Σ (f(z, cₖ) − f(z, ∅))`, the composition of Liu et al. 2022. It is the score of
    /// `p(z) ∏ p(z | cₖ)/p(z)`, which is that of all together where they are independent of one another at every noise
    /// level. A row for each, and one for ∅.
    Each(Vec<Joint>),
}

impl Joint {
    /// One class, or ∅.
    pub fn class(class: Class) -> Self {
        Self {
            labels: class.into_iter().collect(),
            number: None,
        }
    }

    /// Whether this is ∅.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.number.is_none()
    }

    /// Whether it is more than a class or ∅.
    pub fn is_more_than_a_class(&self) -> bool {
        self.labels.len() > 1 || self.number.is_some()
    }

    /// The id of its first label, of which `null` stands for ∅.
    pub fn first(&self, null: u32) -> u32 {
        self.labels.first().copied().unwrap_or(null)
    }
}

impl Condition {
    /// Labels and a number together, as a class where they are no more than that.
    pub fn joint(joint: Joint) -> Self {
        match joint.is_more_than_a_class() {
            true => Self::Joint(joint),
            false => Self::Class(joint.labels.first().copied()),
        }
    }

    /// The same one by one.
    pub fn each(joint: Joint) -> Self {
        let labels = joint.labels.iter().map(|&label| Joint::class(Some(label)));
        let number = joint.number.map(|number| Joint {
            labels: Vec::new(),
            number: Some(number),
        });
        let parts: Vec<Joint> = labels.chain(number).collect();
        match parts.len() {
            0 | 1 => Self::joint(joint),
            _ => Self::Each(parts),
        }
    }

    /// Whether this is ∅.
    pub fn is_unconditional(&self) -> bool {
        *self == Self::Class(None)
    }

    /// The class, where it is one alone.
    pub fn class(&self) -> Class {
        match self {
            Self::Class(class) => *class,
            Self::Joint(joint) => match joint.labels[..] {
                [label] => Some(label),
                _ => None,
            },
            Self::Mix(_) | Self::Each(_) => None,
        }
    }

    /// All its labels and its number, where it is no mix.
    pub fn labels(&self) -> Option<Joint> {
        match self {
            Self::Class(class) => Some(Joint::class(*class)),
            Self::Joint(joint) => Some(joint.clone()),
            Self::Each(parts) => Some(Joint {
                labels: parts.iter().flat_map(|part| part.labels.clone()).collect(),
                number: parts.iter().find_map(|part| part.number),
            }),
            Self::Mix(_) => None,
        }
    }

    /// What its estimate is the weighted sum of: one row for each term. ∅ is the last of [`Each`](Self::Each).
    pub(crate) fn terms(&self) -> Vec<(Joint, f64)> {
        match self {
            Self::Class(class) => vec![(Joint::class(*class), 1.0)],
            Self::Joint(joint) => vec![(joint.clone(), 1.0)],
            Self::Mix(parts) => {
                let parts = parts.iter();
                parts
                    .map(|&(id, weight)| (Joint::class(Some(id)), weight))
                    .collect()
            }
            Self::Each(parts) => {
                let null = (Joint::default(), 1.0 - parts.len() as f64);
                let parts = parts.iter().map(|part| (part.clone(), 1.0));
                parts.chain([null]).collect()
            }
        }
    }
}

impl From<Class> for Condition {
    fn from(class: Class) -> Self {
        Self::Class(class)
    }
}

impl PartialEq<Class> for Condition {
    fn eq(&self, class: &Class) -> bool {
        matches!(self, Self::Class(own) if own == class)
    }
}
