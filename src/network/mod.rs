//! The denoiser networks: the U-Net of Dhariwal & Nichol 2021 ("ADM"), which the guidance paper
//! ran, conditioned on λ and on the class with ∅ as one more class.

mod attention;
mod conditioning;
mod config;
mod group_norm;
mod memory;
mod residual;
mod unet;

pub use attention::SelfAttention;
pub use conditioning::{Conditioning, LogSnrEmbedding};
pub use config::{NetworkError, UNetConfig};
pub use group_norm::GroupNorm;
pub use residual::{Resample, ResidualBlock};
pub use unet::{Block, DownStage, Middle, UNet, UpStage};

use burn::nn::{
    Initializer, PaddingConfig2d,
    conv::{Conv2d, Conv2dConfig},
};
use burn::tensor::Device;

/// A 3×3 convolution that keeps the size of the image.
fn conv3x3(channels: [usize; 2], device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(device)
}

/// As [`conv3x3`], initialised to zero: the branch that it ends starts as nothing at all.
fn zero_conv3x3(channels: [usize; 2], device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_initializer(Initializer::Zeros)
        .init(device)
}
