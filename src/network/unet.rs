//! The U-Net of ADM (Dhariwal & Nichol 2021).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Int, Tensor};

use super::{
    Conditioning, GroupNorm, Resample, ResidualBlock, SelfAttention, UNetConfig, conv3x3,
    zero_conv3x3,
};
use crate::denoiser::Denoiser;
use crate::kernels::convolve;

/// A residual block and, at the resolutions that have it, self-attention.
#[derive(Module, Debug)]
pub struct Block {
    residual: ResidualBlock,
    attention: Option<SelfAttention>,
}

impl Block {
    fn new(config: &UNetConfig, channels: [usize; 2], attends: bool, device: &Device) -> Self {
        Self {
            residual: ResidualBlock::new(config, channels, Resample::None, device),
            attention: attends.then(|| SelfAttention::new(config, channels[1], device)),
        }
    }

    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>) -> Tensor<4> {
        let x = self.residual.forward(x, embedding);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

/// One resolution on the way down.
#[derive(Module, Debug)]
pub struct DownStage {
    blocks: Vec<Block>,
    downsample: Option<ResidualBlock>,
}

/// The lowest resolution: block, attention, block.
#[derive(Module, Debug)]
pub struct Middle {
    first: ResidualBlock,
    attention: SelfAttention,
    second: ResidualBlock,
}

/// One resolution on the way up; every block also sees an activation of the way down.
#[derive(Module, Debug)]
pub struct UpStage {
    blocks: Vec<Block>,
    upsample: Option<ResidualBlock>,
}

/// The denoiser: a U-Net conditioned on λ and on the class, with ∅ as one more class.
///
/// Built by [`UNetConfig::init`].
#[derive(Module, Debug)]
pub struct UNet {
    conditioning: Conditioning,
    input: Conv2d,
    down: Vec<DownStage>,
    middle: Middle,
    up: Vec<UpStage>,
    output_norm: GroupNorm,
    output: Conv2d,
    classes: usize,
}

impl UNet {
    pub(super) fn new(
        config: &UNetConfig,
        size: usize,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Self {
        let widths: Vec<usize> = config
            .channel_multipliers
            .iter()
            .map(|m| m * config.base_channels)
            .collect();
        let last = widths.len() - 1;
        let attends = |stage: usize| config.attention_resolutions.contains(&(size >> stage));
        // Widths of the activations that the way up will see, the latest last.
        let mut skips = vec![widths[0]];
        let mut width = widths[0];
        let mut down = Vec::new();
        for (stage, &output) in widths.iter().enumerate() {
            let mut blocks = Vec::new();
            for _ in 0..config.residual_blocks {
                blocks.push(Block::new(config, [width, output], attends(stage), device));
                width = output;
                skips.push(width);
            }
            let downsample = (stage < last).then(|| {
                skips.push(width);
                ResidualBlock::new(config, [width, width], Resample::Down, device)
            });
            down.push(DownStage { blocks, downsample });
        }
        let middle = Middle {
            first: ResidualBlock::new(config, [width, width], Resample::None, device),
            attention: SelfAttention::new(config, width, device),
            second: ResidualBlock::new(config, [width, width], Resample::None, device),
        };
        let mut up = Vec::new();
        for (stage, &output) in widths.iter().enumerate().rev() {
            let mut blocks = Vec::new();
            for _ in 0..=config.residual_blocks {
                let input = width + skips.pop().unwrap_or(0);
                blocks.push(Block::new(config, [input, output], attends(stage), device));
                width = output;
            }
            let upsample = (stage > 0)
                .then(|| ResidualBlock::new(config, [width, width], Resample::Up, device));
            up.push(UpStage { blocks, upsample });
        }
        Self {
            conditioning: Conditioning::new(
                config.base_channels,
                classes,
                config.log_snr_embedding,
                device,
            ),
            input: conv3x3([channels, widths[0]], device),
            down,
            middle,
            up,
            output_norm: GroupNorm::new(config.norm_groups, width, device),
            output: zero_conv3x3([width, channels], device),
            classes,
        }
    }

    /// The prediction for every row.
    ///
    /// # Shapes
    ///
    /// As [`Denoiser::predict`].
    pub fn forward(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4> {
        let embedding = self.conditioning.forward(log_snr, class);
        let mut x = convolve(&self.input, z);
        let mut skips = vec![x.clone()];
        for stage in &self.down {
            for block in &stage.blocks {
                x = block.forward(x, embedding.clone());
                skips.push(x.clone());
            }
            if let Some(downsample) = &stage.downsample {
                x = downsample.forward(x, embedding.clone());
                skips.push(x.clone());
            }
        }
        x = self.middle.first.forward(x, embedding.clone());
        x = self.middle.attention.forward(x);
        x = self.middle.second.forward(x, embedding.clone());
        for stage in &self.up {
            for block in &stage.blocks {
                x = match skips.pop() {
                    Some(skip) => Tensor::cat(vec![x, skip], 1),
                    None => x,
                };
                x = block.forward(x, embedding.clone());
            }
            if let Some(upsample) = &stage.upsample {
                x = upsample.forward(x, embedding.clone());
            }
        }
        convolve(&self.output, self.output_norm.forward_silu(x))
    }
}

impl Denoiser for UNet {
    fn classes(&self) -> usize {
        self.classes
    }

    fn predict(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4> {
        self.forward(z, log_snr, class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_from_under_one_million_to_three_hundred_million_parameters() {
        let device = Device::flex();
        // Parameters are lazy: none of these is allocated to be counted.
        let count = |config: UNetConfig, size, classes| {
            config.validate(size).unwrap();
            crate::bundle::parameters(&config.init(size, 3, classes, &device))
                .iter()
                .map(|p| p.shape.iter().product::<usize>())
                .sum::<usize>()
        };
        let tiny = count(UNetConfig::tiny(), 8, 2);
        assert!(tiny < 100_000, "{tiny}");
        let adm64 = UNetConfig {
            base_channels: 192,
            channel_multipliers: vec![1, 2, 3, 4],
            residual_blocks: 3,
            attention_resolutions: vec![32, 16, 8],
            head_channels: 64,
            dropout: 0.1,
            norm_groups: 32,
            log_snr_embedding: Default::default(),
        };
        let adm64 = count(adm64, 64, 1000);
        assert!((290_000_000..300_000_000).contains(&adm64), "{adm64}");
    }
}
