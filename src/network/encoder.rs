//! The encoder half of the U-Net, as a classifier of noisy images (Dhariwal & Nichol 2021, section 4).

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use super::attention_pool::AttentionPool;
use super::{
    Block, Conditioning, DownStage, DropoutMasks, GroupNorm, Middle, MiddleKind, NetworkError,
    OtherInputs, UNetConfig,
};
use crate::kernels::SameConv2d;

/// The way down of the U-Net and its middle, conditioned on λ, and attention pooling to one number for each class.
#[derive(Module, Debug)]
pub struct Encoder {
    pub(super) conditioning: Conditioning,
    pub(super) input: SameConv2d,
    pub(super) down: Vec<DownStage>,
    pub(super) middle: Option<Middle>,
    pub(super) output_norm: GroupNorm,
    pub(super) pool: AttentionPool,
}

impl UNetConfig {
    /// Builds the encoder half of the network with fresh weights.
    ///
    /// # Errors
    ///
    /// [`NetworkError`], where the network cannot be built for images of `size` pixels, or has a field that an encoder has
    /// no use for.
    pub fn init_encoder(
        &self,
        size: usize,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Encoder, NetworkError> {
        self.validate(size)?;
        if self.patch != 1 || self.input_skip || self.guidance.is_some() || self.flow_map.is_some()
        {
            return Err(NetworkError::Field {
                field: "patch, input_skip, guidance or flow_map",
                value: "set".to_owned(),
                expected: "a classifier has none of these".to_owned(),
            });
        }
        Ok(Encoder::new(self, size, [channels, classes], device))
    }
}

impl Encoder {
    fn new(
        config: &UNetConfig,
        size: usize,
        [channels, classes]: [usize; 2],
        device: &Device,
    ) -> Self {
        let widths = config.widths();
        let last = widths.len() - 1;
        let mut width = widths[0];
        let mut down = Vec::new();
        for (stage, &output) in widths.iter().enumerate() {
            let mut blocks = Vec::new();
            for _ in 0..config.residual_blocks {
                let attends = config.attends(stage, size);
                blocks.push(Block::new(config, [width, output], attends, device));
                width = output;
            }
            down.push(DownStage::new(blocks, config, width, stage < last, device));
        }
        let heads = config.attention_heads(width);
        Self {
            // Only ∅, since the class is what it is asked for.
            conditioning: Conditioning::new(config, 0, device),
            input: SameConv2d::new([channels, widths[0]], 3, device),
            down,
            middle: (config.middle != MiddleKind::None).then(|| Middle::new(config, width, device)),
            output_norm: GroupNorm::new(config.norm_groups, width, config.norm_epsilon, device),
            pool: AttentionPool::new(config.side(last, size), [width, classes], heads, device),
        }
    }

    /// The logits of noisy images.
    ///
    /// # Shapes
    ///
    /// `z`: `[batch, channels, size, size]`; `log_snr`: `[batch]`, λ in nats; result: `[batch, classes]`. `masks` are there in
    /// training only.
    pub fn forward(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        masks: Option<&DropoutMasks>,
    ) -> Tensor<2> {
        let null = Tensor::<1, Int>::zeros([z.dims()[0]], &z.device());
        let embedding = self
            .conditioning
            .forward(log_snr, null, OtherInputs::default());
        let mut x = self.input.forward(z);
        for stage in &self.down {
            for block in &stage.blocks {
                x = block.forward(x, embedding.clone(), masks);
            }
            if let Some(halved) = stage.halve(&x, &embedding, masks) {
                x = halved;
            }
        }
        if let Some(middle) = &self.middle {
            x = middle.forward(x, &embedding, masks);
        }
        self.pool.forward(self.output_norm.forward_silu(x))
    }
}
