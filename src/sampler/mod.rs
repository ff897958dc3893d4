//! Samplers: from noise to images, one step at a time.
//!
//! A [`Run`] holds the state of one sampling. Between any two steps its caller may look at
//! it, draw it or drop it.

mod ancestral;
mod ddim;
mod run;

pub use ancestral::ancestral_step;
pub use ddim::ddim_step;
pub use run::Run;

use serde::{Deserialize, Serialize};

/// The solvers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// Deterministic, good with few steps (Song et al. 2020): [`ddim_step`].
    #[default]
    Ddim,
    /// The paper's own, Algorithm 2, which adds noise in every step: [`ancestral_step`].
    Ancestral,
}

impl Solver {
    /// Every solver, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Ddim, Self::Ancestral];

    /// The name in settings, commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::Ancestral => "ancestral",
        }
    }
}
