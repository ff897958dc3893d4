//! The points in which U-Nets of the same family differ: ADM (Dhariwal & Nichol 2021) and the
//! networks before and beside it, such as DDPM's (Ho et al. 2020) and those of diffusers.

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

/// How the image halves from one stage to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Downsample {
    /// Within a residual block, by averaging 2×2 pixels (Brock et al. 2019; ADM).
    #[default]
    Residual,
    /// A 3×3 convolution of stride 2 with one pixel of zeros all round.
    Convolution,
    /// A 3×3 convolution of stride 2 with one pixel of zeros to the right and below alone, as
    /// TensorFlow pads (DDPM).
    ConvolutionAfter,
}

/// How the image doubles from one stage to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upsample {
    /// Within a residual block, by repeating pixels (ADM).
    #[default]
    Residual,
    /// By repeating pixels, and a 3×3 convolution.
    Convolution,
}

/// What there is between the way down and the way up.
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
