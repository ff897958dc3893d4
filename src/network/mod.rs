//! The denoiser networks: the U-Net of Dhariwal & Nichol 2021 ("ADM"), which the guidance paper
//! ran, conditioned on λ and on the class with ∅ as one more class, or on several attributes and a number.

mod architecture;
mod attention;
mod attention_pool;
mod conditioning;
mod conditions;
mod config;
mod dropout;
mod encoder;
mod error;
mod flow_map;
mod group_norm;
mod guidance_input;
mod input_embedding;
mod log_snr_embedding;
mod memory;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
mod on_gpu;
mod patches;
mod resample;
mod residual;
#[cfg(feature = "flex")]
mod rows;
mod stages;
mod unet;
mod validate;
mod with_preset;

pub use crate::kernels::SameConv2d;
pub use architecture::{Downsample, MiddleKind, Modulation, Upsample};
pub use attention::SelfAttention;
pub use attention_pool::AttentionPool;
pub use conditioning::{Conditioning, GivenNumbers, LowResolution, OtherInputs, TakenInputs};
pub use conditions::{Conditions, MAX_NUMBER, NumberInput};
pub(crate) use config::Fields;
pub use config::UNetConfig;
pub use dropout::DropoutMasks;
pub use encoder::Encoder;
pub use error::NetworkError;
pub use flow_map::FlowMap;
pub use group_norm::GroupNorm;
pub use guidance_input::{GuidanceInput, GuidanceKind};
pub use log_snr_embedding::LogSnrEmbedding;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
pub use on_gpu::KernelUNet;
pub use resample::Resample;
pub use residual::ResidualBlock;
#[cfg(feature = "flex")]
pub use rows::CpuUNet;
pub use stages::{Block, DownStage, Middle, UpStage};
pub use unet::{UNet, WithDropout};

use burn::nn::{PaddingConfig2d, conv::Conv2d};
use burn::tensor::{DType, Device, Tensor};

use crate::initial::Initial;

/// Zeros above and left of the image that such a convolution sees.
#[cfg(any(feature = "flex", all(feature = "wgpu", not(feature = "fusion"))))]
fn border_before(layer: &Conv2d) -> usize {
    match &layer.padding {
        PaddingConfig2d::Explicit(top, ..) => *top,
        _ => 0,
    }
}

/// A 3×3 convolution of stride 2, which halves the image.
fn halving_conv3x3(channels: usize, how: Downsample, device: &Device) -> Conv2d {
    let padding = match how {
        Downsample::ConvolutionAfter => PaddingConfig2d::Explicit(0, 0, 1, 1),
        Downsample::Convolution | Downsample::Residual => PaddingConfig2d::Explicit(1, 1, 1, 1),
    };
    let initial = Initial::Uniform { fan: 9 * channels };
    Conv2d {
        weight: initial.parameter([channels, channels, 3, 3], device),
        bias: Some(initial.parameter([channels], device)),
        stride: [2, 2],
        kernel_size: [3, 3],
        dilation: [1, 1],
        groups: 1,
        padding,
    }
}

/// `x` in f32 where it is in half precision, whose sums over many numbers would be rounded away.
fn widened<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => x,
    }
}
