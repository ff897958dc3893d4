//! # freeguide
//!
//! Classifier-free guided diffusion (Ho & Salimans, "Classifier-Free Diffusion Guidance", 2022):
//! what the model is and how it is sampled, the same code natively and in a browser. There is no
//! file system, no thread and no clock in this crate; the trainer and the web runtime bring those.
//!
//! One network is both the conditional and the unconditional denoiser: the null class ∅ is one
//! more entry of its class embedding. Sampling mixes the two estimates of every step,
//! `(1 + w) ε(z, c) − w ε(z, ∅)`.
//!
//! | where | what |
//! |---|---|
//! | [`noise_level`] | λ = log α²/σ², and the paper's distribution of it |
//! | [`timesteps`] | the schedules of models in discrete time, as noise levels |
//! | [`prediction`] | the ε- and v-targets and what they say of x and ε |
//! | [`gaussian_mixture`] | the case that is known exactly, in which guidance can be seen |
//! | [`guidance`] | the mix of the two estimates, and which rows the network must see |
//! | [`sampler`] | Algorithm 2 (ancestral) and DDIM, one step at a time |
//! | [`noise`] | counter-based Gaussian noise, keyed by seed, image and step |
//! | [`denoiser`], [`network`] | the interface of a network, and the U-Net after ADM |
//! | [`bundle`] | the format in which a trained model travels |
//! | [`classifier`] | the networks that say what an image shows |
//! | [`settings`] | what one asks of a model |
//! | [`training`] | Algorithm 1: the joint training objective |
//! | [`self_test`] | does this device compute what it should? |
//!
//! # Example
//!
//! ```
//! use burn::tensor::Device;
//! use freeguide::{network::{UNet, UNetConfig}, prediction::Target, noise_level::LogSnrRange};
//! use freeguide::{sampler::Run, sampler::Plan};
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
pub mod denoiser;
pub mod gaussian_mixture;
pub mod guidance;
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
pub mod timesteps;
pub mod training;
