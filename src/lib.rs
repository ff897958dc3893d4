//! # freeguide
//!
//! Classifier-free guided diffusion (Ho & Salimans, "Classifier-Free Diffusion Guidance", 2022):
//! the model, its training objective and its samplers. The same code runs natively and in a browser. This crate uses no
//! file system, no clock, and no threads except rayon's in the CPU kernels (feature `rayon`).
//!
//! One network is both the conditional and the unconditional denoiser: the null class ∅ is one
//! more entry of its class embedding. Each sampling step mixes the two estimates,
//! `(1 + w) ε(z, c) − w ε(z, ∅)`.
//!
//! | module | contents |
//! |---|---|
//! | [`noise_level`] | λ = log α²/σ², and the paper's schedule λ(u) |
//! | [`timesteps`] | schedules in discrete time, as noise levels |
//! | [`prediction`] | the ε- and v-targets, and x̃ and ε̃ from either |
//! | [`clip`] | clipping and dynamic thresholding of x̃ |
//! | [`denoiser`] | the interface of a denoising network |
//! | [`condition`] | what an image is drawn of: a class, none, or a mix of classes |
//! | [`network`] | the U-Net of ADM and its relatives |
//! | [`parameters`] | a network's parameters by name |
//! | [`guidance`] | the guided estimate: classifier-free guidance, rescale, APG, CFG++ and guidance intervals |
//! | [`sampler`] | the samplers: ancestral (Algorithm 2), DDIM, DPM-Solver++(2M) and Heun |
//! | [`noise`] | counter-based Gaussian noise, keyed by seed, image and step |
//! | [`pixels`] | model values as bytes of an image |
//! | [`training`] | Algorithm 1: the joint training objective |
//! | `teaching` | a new class for a trained model (feature `teaching`) |
//! | [`settings`] | requests for images, and their validation |
//! | [`class_names`] | the names of a model's classes |
//! | [`bundle`] | the file format of a trained model |
//! | [`classifier`] | image classifiers, for metrics |
//! | [`gaussian_mixture`] | a mixture of Gaussians, whose denoiser is known exactly |
//! | [`self_test`] | a test that a device computes correctly |
//!
//! # Example
//!
//! ```
//! use burn::tensor::Device;
//! use freeguide::{network::{UNet, UNetConfig}, prediction::Target, noise_level::LogSnrRange};
//! use freeguide::sampler::{Plan, Run};
//!
//! let device = Device::flex();
//! let network = UNetConfig::tiny().init(8, 3, 2, &device);
//! let plan = Plan::new(vec![Some(0), Some(1)], 4).with_guidance(2.0).with_seed(7);
//! let mut run = Run::new(&network, plan, Target::V, LogSnrRange::PAPER, [3, 8, 8], &device);
//! while run.advance() {}
//! assert_eq!(run.denoised().dims(), [2, 3, 8, 8]);
//! ```

mod bounded;
pub mod bundle;
pub mod class_names;
pub mod classifier;
pub mod clip;
pub mod condition;
pub mod denoiser;
pub mod gaussian_mixture;
pub mod guidance;
mod initial;
mod kernels;
pub mod network;
pub mod noise;
pub mod noise_level;
pub mod parameters;
pub mod pixels;
pub mod prediction;
pub mod sampler;
pub mod self_test;
pub mod settings;
#[cfg(feature = "teaching")]
pub mod teaching;
pub mod timesteps;
pub mod training;
