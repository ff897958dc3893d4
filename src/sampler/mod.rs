//! Samplers: from noise to images, one step at a time.
//!
//! A [`Run`] holds the state of one sampling. Between any two steps its caller may look at
//! it, draw it or drop it.

mod ancestral;
mod at_rest;
mod ddim;
mod dpm_solver;
mod grid;
mod heun;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
mod on_kernels;
mod plan;
mod run;
mod seed_interpolation;
mod source_image;
mod step;
mod symmetry;
mod tiling;

pub use ancestral::{VARIANCE_INTERPOLATION, ancestral_step};
pub use ddim::ddim_step;
pub use dpm_solver::dpm_solver_step;
pub use grid::{FEW_STEPS, Grid, GridFields, MAX_RHO, Spacing};
pub use heun::heun_step;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub(crate) use on_kernels::estimate_on_kernels;
pub use plan::Plan;
pub use run::{BranchEstimates, Evaluation, OtherState, Run, RunState, evaluations, rows};
pub use seed_interpolation::SeedInterpolation;
pub use source_image::{DEFAULT_STRENGTH, SourceImage};
pub use step::PreviousStep;
pub use symmetry::Symmetry;

use serde::{Deserialize, Serialize};

/// The solvers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub enum Solver {
    /// Deterministic, good with few steps (Song et al. 2020): [`ddim_step`].
    #[default]
    #[serde(rename = "ddim")]
    Ddim,
    /// The paper's own, Algorithm 2, which adds noise in every step: [`ancestral_step`].
    #[serde(rename = "ancestral")]
    Ancestral,
    /// DPM-Solver++(2M), deterministic and of second order with one evaluation a step (Lu et al.
    /// 2022): [`dpm_solver_step`].
    #[serde(rename = "dpm++2m")]
    DpmSolver,
    /// Heun's method, deterministic and of second order with two evaluations a step (Karras et al.
    /// 2022): [`heun_step`].
    #[serde(rename = "heun")]
    Heun,
}

impl Solver {
    /// Every solver, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Ddim, Self::Ancestral, Self::DpmSolver, Self::Heun];

    /// The name in settings, commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::Ancestral => "ancestral",
            Self::DpmSolver => "dpm++2m",
            Self::Heun => "heun",
        }
    }

    /// The grid that this solver is sampled on unless another is asked for: the paper's for its
    /// own sampler and for DDIM, that of Karras et al. 2022 for those of second order.
    pub fn grid(self) -> Grid {
        Grid::new(match self {
            Self::Ddim | Self::Ancestral => Spacing::UniformU,
            Self::DpmSolver | Self::Heun => Spacing::Karras,
        })
    }
}
