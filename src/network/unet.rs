//! The U-Net of ADM (Dhariwal & Nichol 2021).

use std::sync::Arc;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};

#[cfg(all(feature = "flex", feature = "autodiff"))]
use super::rows::TrainingMemory;
use super::{
    Block, Conditioning, DownStage, DropoutMasks, GroupNorm, Middle, MiddleKind, OtherInputs,
    TakenInputs, UNetConfig, UpStage, patches,
};
use crate::denoiser::Denoiser;
use crate::initial::linear_zeros;
#[cfg(feature = "flex")]
use crate::kernels::channels_last::Arenas;
use crate::kernels::{Panels, SameConv2d, WeightCache};

/// The denoiser: a U-Net conditioned on λ and on the class, with ∅ as one more class.
///
/// Built by [`UNetConfig::init`].
#[derive(Module, Debug)]
pub struct UNet {
    pub(super) conditioning: Conditioning,
    pub(super) input: SameConv2d,
    pub(super) down: Vec<DownStage>,
    pub(super) middle: Option<Middle>,
    pub(super) up: Vec<UpStage>,
    pub(super) output_norm: GroupNorm,
    pub(super) output: SameConv2d,
    pub(super) input_skip: Option<Linear>,
    #[module(skip)]
    pub(super) input_skip_cache: Arc<WeightCache<Panels>>,
    /// Memory of the activations, where a CPU evaluates the network.
    #[module(skip)]
    #[cfg(feature = "flex")]
    pub(super) arenas: Arc<Arenas>,
    /// The same where it is trained.
    #[module(skip)]
    #[cfg(all(feature = "flex", feature = "autodiff"))]
    pub(super) training: Arc<TrainingMemory>,
    pub(super) patch: usize,
    pub(super) classes: usize,
}

impl UNetConfig {
    /// Builds the network with fresh weights.
    ///
    /// `channels`: of the image; `classes`: without ∅, which is added. Attention is placed by
    /// resolution, so `size`, in pixels, is part of the structure.
    pub fn init(&self, size: usize, channels: usize, classes: usize, device: &Device) -> UNet {
        UNet::new(self, size, channels, classes, device)
    }
}

impl UNet {
    fn new(
        config: &UNetConfig,
        size: usize,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Self {
        let widths = config.widths();
        let last = widths.len() - 1;
        let attends = |stage: usize| config.attends(stage, size);
        let colors = channels;
        let channels = colors * config.patch * config.patch;
        // z and, in super-resolution, the small picture.
        let inputs = 1 + usize::from(config.low_resolution.is_some());
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
            let halves = stage < last;
            if halves {
                skips.push(width);
            }
            down.push(DownStage::new(blocks, config, width, halves, device));
        }
        let middle =
            (config.middle != MiddleKind::None).then(|| Middle::new(config, width, device));
        let mut up = Vec::new();
        for (stage, &output) in widths.iter().enumerate().rev() {
            let mut blocks = Vec::new();
            for _ in 0..=config.residual_blocks {
                let input = width + skips.pop().unwrap_or(0);
                blocks.push(Block::new(config, [input, output], attends(stage), device));
                width = output;
            }
            up.push(UpStage::new(blocks, config, width, stage > 0, device));
        }
        Self {
            conditioning: Conditioning::new(config, classes, device),
            input: SameConv2d::new([inputs * channels, widths[0]], 3, device),
            down,
            middle,
            up,
            output_norm: GroupNorm::new(config.norm_groups, width, config.norm_epsilon, device),
            output: SameConv2d::zeros([width, channels], 3, device),
            input_skip: config
                .input_skip
                .then(|| linear_zeros(config.embedding(), colors, device)),
            input_skip_cache: Arc::default(),
            #[cfg(feature = "flex")]
            arenas: Arc::default(),
            #[cfg(all(feature = "flex", feature = "autodiff"))]
            training: Arc::default(),
            patch: config.patch,
            classes,
        }
    }

    /// The network as training sees it: with the dropout of step `step` for images of its batch from
    /// number `first_image` on.
    pub fn with_dropout(&self, seed: u64, step: u32, first_image: usize) -> WithDropout<'_> {
        WithDropout {
            network: self,
            seed,
            step,
            first_image,
        }
    }

    /// Colours of the image.
    pub(super) fn colors(&self) -> usize {
        let [channels, ..] = self.output.weight_parameter().dims();
        channels / (self.patch * self.patch)
    }

    /// What the first layer sees, `[batch, channels, height, width]`: z and, in super-resolution, the enlarged small picture.
    pub(super) fn joined(&self, z: Tensor<4>, others: &OtherInputs) -> Tensor<4> {
        if !self.takes().low_resolution {
            return z;
        }
        let picture = match &others.low_resolution {
            Some(low) => low.picture.clone().cast(z.dtype()),
            None => z.zeros_like(),
        };
        Tensor::cat(vec![z, picture], 1)
    }

    /// `z` as [`joined`](Self::joined) answers it.
    fn pass(&self, z: Tensor<4>, embedding: Tensor<2>, masks: Option<&DropoutMasks>) -> Tensor<4> {
        #[cfg(feature = "flex")]
        self.arenas.clear();
        self.input_skip_cache.clear();
        let z = z.cast(self.input.dtype());
        let mut x = self
            .input
            .forward(patches::pixel_unshuffle(z.clone(), self.patch));
        let mut skips = vec![x.clone()];
        for stage in &self.down {
            for block in &stage.blocks {
                x = block.forward(x, embedding.clone(), masks);
                skips.push(x.clone());
            }
            if let Some(halved) = stage.halve(&x, &embedding, masks) {
                x = halved;
                skips.push(x.clone());
            }
        }
        if let Some(middle) = &self.middle {
            x = middle.forward(x, &embedding, masks);
        }
        for stage in &self.up {
            for block in &stage.blocks {
                x = match skips.pop() {
                    Some(skip) => Tensor::cat(vec![x, skip], 1),
                    None => x,
                };
                x = block.forward(x, embedding.clone(), masks);
            }
            x = stage.double(x, &embedding, masks);
        }
        let output = self.output.forward(self.output_norm.forward_silu(x));
        let output = patches::pixel_shuffle(output, self.patch);
        match &self.input_skip {
            Some(skip) => {
                let colors = self.colors();
                let z = z.narrow(1, 0, colors);
                let [batch, ..] = z.dims();
                let scales = skip.forward(embedding).narrow(0, 0, batch);
                output + z * scales.reshape([batch, colors, 1, 1])
            }
            None => output,
        }
    }
}

/// A network with the dropout of one step of training; see [`UNet::with_dropout`].
#[derive(Debug, Clone, Copy)]
pub struct WithDropout<'a> {
    network: &'a UNet,
    seed: u64,
    step: u32,
    first_image: usize,
}

impl Denoiser for WithDropout<'_> {
    fn classes(&self) -> usize {
        self.network.classes
    }

    fn takes(&self) -> TakenInputs {
        self.network.takes()
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let masks = DropoutMasks::new(self.seed, self.step, self.first_image);
        let conditioning = &self.network.conditioning;
        let z = self.network.joined(z, &others);
        let embedding = conditioning.forward(log_snr, class, others);
        #[cfg(all(feature = "flex", feature = "autodiff"))]
        if let Some(answer) = self.network.train_rows(&z, &embedding, Some(&masks)) {
            return answer;
        }
        self.network.pass(z, embedding, Some(&masks))
    }
}

impl Denoiser for UNet {
    fn classes(&self) -> usize {
        self.classes
    }

    fn takes(&self) -> TakenInputs {
        self.conditioning.takes()
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let z = self.joined(z, &others);
        let embedding = self.conditioning.forward(log_snr, class, others);
        #[cfg(feature = "flex")]
        if let Some(answer) = self.answer_rows(&z, &embedding) {
            return answer;
        }
        #[cfg(all(feature = "flex", feature = "autodiff"))]
        if let Some(answer) = self.train_rows(&z, &embedding, None) {
            return answer;
        }
        self.pass(z, embedding, None)
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
            crate::parameters::parameters(&config.init(size, 3, classes, &device))
                .iter()
                .map(|p| p.shape.iter().product::<usize>())
                .sum::<usize>()
        };
        let tiny = count(UNetConfig::tiny(), 8, 2);
        assert!(tiny < 100_000, "{tiny}");
        let adm64 = count(UNetConfig::adm64(), 64, 1000);
        assert!((290_000_000..300_000_000).contains(&adm64), "{adm64}");
    }
}
