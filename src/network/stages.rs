//! The parts of the U-Net at one resolution.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::{
    Downsample, DropoutMasks, MiddleKind, Resample, ResidualBlock, SelfAttention, UNetConfig,
    Upsample, halving_conv3x3,
};
use crate::kernels::{Panels, SameConv2d, WeightCache};

/// A residual block and, at the resolutions that have it, self-attention.
#[derive(Module, Debug)]
pub struct Block {
    pub(super) residual: ResidualBlock,
    pub(super) attention: Option<SelfAttention>,
}

impl Block {
    pub(super) fn new(
        config: &UNetConfig,
        channels: [usize; 2],
        attends: bool,
        device: &Device,
    ) -> Self {
        Self {
            residual: ResidualBlock::new(config, channels, Resample::None, device),
            attention: attends
                .then(|| SelfAttention::new(config, channels[1], Some(config.norm_groups), device)),
        }
    }

    pub(super) fn forward(
        &self,
        x: Tensor<4>,
        embedding: Tensor<2>,
        masks: Option<&DropoutMasks>,
    ) -> Tensor<4> {
        let x = self.residual.forward(x, embedding, masks);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

/// One resolution on the way down; at its end the image halves in one of two ways, or not.
#[derive(Module, Debug)]
pub struct DownStage {
    pub(super) blocks: Vec<Block>,
    pub(super) downsample: Option<ResidualBlock>,
    pub(super) downsample_conv: Option<Conv2d>,
    #[module(skip)]
    pub(super) downsample_cache: Arc<WeightCache<Panels>>,
}

impl DownStage {
    pub(super) fn new(
        blocks: Vec<Block>,
        config: &UNetConfig,
        width: usize,
        halves: bool,
        device: &Device,
    ) -> Self {
        let residual = config.downsample == Downsample::Residual;
        Self {
            blocks,
            downsample: (halves && residual)
                .then(|| ResidualBlock::new(config, [width, width], Resample::Down, device)),
            downsample_conv: (halves && !residual)
                .then(|| halving_conv3x3(width, config.downsample, device)),
            downsample_cache: Arc::default(),
        }
    }

    /// The halved image, where there is one.
    pub(super) fn halve(
        &self,
        x: &Tensor<4>,
        embedding: &Tensor<2>,
        masks: Option<&DropoutMasks>,
    ) -> Option<Tensor<4>> {
        match (&self.downsample, &self.downsample_conv) {
            (Some(block), _) => Some(block.forward(x.clone(), embedding.clone(), masks)),
            (None, Some(convolution)) => {
                self.downsample_cache.clear();
                Some(convolution.forward(x.clone()))
            }
            (None, None) => None,
        }
    }
}

/// The lowest resolution: block, attention (as a rule), block.
#[derive(Module, Debug)]
pub struct Middle {
    pub(super) first: ResidualBlock,
    pub(super) attention: Option<SelfAttention>,
    pub(super) second: ResidualBlock,
}

impl Middle {
    pub(super) fn new(config: &UNetConfig, width: usize, device: &Device) -> Self {
        let groups = config.middle_attention_groups();
        Self {
            first: ResidualBlock::new(config, [width, width], Resample::None, device),
            attention: (config.middle == MiddleKind::Attention)
                .then(|| SelfAttention::new(config, width, groups, device)),
            second: ResidualBlock::new(config, [width, width], Resample::None, device),
        }
    }

    pub(super) fn forward(
        &self,
        x: Tensor<4>,
        embedding: &Tensor<2>,
        masks: Option<&DropoutMasks>,
    ) -> Tensor<4> {
        let mut x = self.first.forward(x, embedding.clone(), masks);
        if let Some(attention) = &self.attention {
            x = attention.forward(x);
        }
        self.second.forward(x, embedding.clone(), masks)
    }
}

/// One resolution on the way up; every block also sees an activation of the way down. At its end
/// the image doubles in one of two ways, or not.
#[derive(Module, Debug)]
pub struct UpStage {
    pub(super) blocks: Vec<Block>,
    pub(super) upsample: Option<ResidualBlock>,
    pub(super) upsample_conv: Option<SameConv2d>,
}

impl UpStage {
    pub(super) fn new(
        blocks: Vec<Block>,
        config: &UNetConfig,
        width: usize,
        doubles: bool,
        device: &Device,
    ) -> Self {
        let residual = config.upsample == Upsample::Residual;
        Self {
            blocks,
            upsample: (doubles && residual)
                .then(|| ResidualBlock::new(config, [width, width], Resample::Up, device)),
            upsample_conv: (doubles && !residual)
                .then(|| SameConv2d::new([width, width], 3, device)),
        }
    }

    /// The doubled image, where there is one, else the image.
    pub(super) fn double(
        &self,
        x: Tensor<4>,
        embedding: &Tensor<2>,
        masks: Option<&DropoutMasks>,
    ) -> Tensor<4> {
        match (&self.upsample, &self.upsample_conv) {
            (Some(block), _) => block.forward(x, embedding.clone(), masks),
            (None, Some(convolution)) => convolution.forward(Resample::Up.apply(x)),
            (None, None) => x,
        }
    }
}
