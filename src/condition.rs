//! What an image is drawn of: one class, none, or a mix of classes.

use crate::denoiser::Class;

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
}

impl Condition {
    /// Whether this is ∅.
    pub fn is_unconditional(&self) -> bool {
        *self == Self::Class(None)
    }

    /// The class, where it is one alone.
    pub fn class(&self) -> Class {
        match self {
            Self::Class(class) => *class,
            Self::Mix(_) => None,
        }
    }

    /// The id of its first class, of which `null` stands for ∅, and its weight.
    pub(crate) fn first(&self, null: u32) -> (u32, f64) {
        match self {
            Self::Class(class) => (class.unwrap_or(null), 1.0),
            Self::Mix(parts) => parts.first().copied().unwrap_or((null, 1.0)),
        }
    }

    /// The other classes of a mix with their weights.
    pub(crate) fn others(&self) -> &[(u32, f64)] {
        match self {
            Self::Class(_) => &[],
            Self::Mix(parts) => parts.get(1..).unwrap_or_default(),
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
