//! Classifier-free guidance: what a step makes of the conditional and the unconditional estimate
//! (Ho & Salimans 2022, equation 6, and what came after it).
//!
//! The strength is the paper's w: 0 is the plain conditional model, −1 the unconditional one. Many
//! tools print a *scale* s = 1 + w instead.
//!
//! The second estimate is the same network's without a class, or that of another model ([`GuideModel`]). A classifier of noisy
//! images may guide beside or instead of it ([`ClassGradient`]).
//!
//! [`Guide`] is the whole of it for one run: which rows the network has to see at a level
//! ([`GuidedRows`]), and what the solver follows ([`Guided`]). The policies are functions of
//! [`Branches`], a file each.

mod branches;
mod class_gradient;
mod guide;
mod guide_model;
mod plus_plus;
mod policy;
mod projected;
mod rescale;
mod rows;
mod strength;

pub use branches::Branches;
pub use class_gradient::{ClassGradient, ClassifierGuidance};
pub use guide::{Guide, Guided};
pub use guide_model::GuideModel;
pub use plus_plus::plus_plus;
pub use policy::{Policy, PolicyFields, PolicyKind, Projection};
pub use projected::projected;
pub use rescale::rescale;
pub use rows::GuidedRows;
pub use strength::Strength;
