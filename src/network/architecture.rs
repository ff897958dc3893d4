//! The variants of a U-Net: ADM (Dhariwal & Nichol 2021) and its relatives, such as DDPM's (Ho et al. 2020) and those of
//! diffusers.

use serde::{Deserialize, Serialize};

/// How the embedding of (λ, class) enters a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modulation {
    /// norm(h) · (1 + scale) + shift, ADM's adaptive group normalisation.
    #[default]
    ScaleShift,
    /// norm(h + shift), as in DDPM.
    Add,
}

/// Downsampling from one stage to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Downsample {
    /// In a residual block, by averaging 2×2 pixels (Brock et al. 2019; ADM).
    #[default]
    Residual,
    /// By a 3×3 convolution of stride 2, with one pixel of zero padding on each side.
    Convolution,
    /// By a 3×3 convolution of stride 2, with one pixel of zero padding at the right and at the bottom only, as TensorFlow
    /// pads (DDPM).
    ConvolutionAfter,
}

/// Upsampling from one stage to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upsample {
    /// In a residual block, by repeating pixels (ADM).
    #[default]
    Residual,
    /// By repeating pixels, followed by a 3×3 convolution.
    Convolution,
}

/// The middle, between the encoder and the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MiddleKind {
    /// A residual block, attention, a residual block.
    #[default]
    Attention,
    /// Two residual blocks.
    Residual,
    /// Nothing.
    None,
}
