//! Multi-head self-attention over the pixels of an image, as in ADM.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::softmax};

use super::{GroupNorm, UNetConfig, widened};
use crate::initial::{linear, linear_zeros};
use crate::kernels::{Panels, WeightCache};

/// Self-attention with a residual connection.
#[derive(Module, Debug)]
pub struct SelfAttention {
    pub(super) norm: Option<GroupNorm>,
    /// Columns in the order query, key, value; within each, head after head.
    pub(super) qkv: Linear,
    pub(super) output: Linear,
    pub(super) heads: usize,
    /// Of the two layers.
    #[module(skip)]
    pub(super) caches: [Arc<WeightCache<Panels>>; 2],
}

impl SelfAttention {
    /// `norm_groups`: of the normalisation before it, if there is one.
    pub(super) fn new(
        config: &UNetConfig,
        channels: usize,
        norm_groups: Option<usize>,
        device: &Device,
    ) -> Self {
        Self {
            norm: norm_groups
                .map(|groups| GroupNorm::new(groups, channels, config.norm_epsilon, device)),
            qkv: linear(channels, 3 * channels, device),
            output: linear_zeros(channels, channels, device),
            heads: config.attention_heads(channels),
            caches: Default::default(),
        }
    }

    /// `x` and the result: `[batch, channels, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        for cache in &self.caches {
            cache.clear();
        }
        let [batch, channels, height, width] = x.dims();
        let (pixels, depth) = (height * width, channels / self.heads);
        let normalized = match &self.norm {
            Some(norm) => norm.forward(x.clone()),
            None => x.clone(),
        };
        let tokens = normalized.reshape([batch, channels, pixels]);
        let qkv = self.qkv.forward(tokens.swap_dims(1, 2));
        // [batch, pixels, 3·heads, depth] → three of [batch, heads, pixels, depth]
        let qkv = qkv
            .reshape([batch, pixels, 3 * self.heads, depth])
            .swap_dims(1, 2);
        let part = |i: usize| qkv.clone().narrow(1, i * self.heads, self.heads);
        // Each factor gets half of the 1/√depth, so that neither product overflows f16.
        let scale = 1.0 / libm::sqrt(libm::sqrt(depth as f64));
        let scores = (part(0) * scale).matmul(part(1).swap_dims(2, 3) * scale);
        let dtype = scores.dtype();
        let mixed = softmax(widened(scores), 3).cast(dtype).matmul(part(2));
        let mixed = mixed.swap_dims(1, 2).reshape([batch, pixels, channels]);
        let output = self.output.forward(mixed).swap_dims(1, 2);
        x + output.reshape([batch, channels, height, width])
    }
}
