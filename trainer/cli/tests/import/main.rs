//! `freeguide import`: models of other programs' own code, small and with random weights, become
//! bundles that answer as they did. tests/pytorch says how the fixtures are made.

mod classes;
mod diffusers;
mod edm;
mod freeguide_torch;
mod guided_classifier;
mod guided_diffusion;
mod refusals;
mod support;
