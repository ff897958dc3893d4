//! Attention pooling (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision"), as ADM's
//! classifiers end (Dhariwal & Nichol 2021).

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::softmax};

use crate::initial::{Initial, linear};

/// One attention over the pixels of an image and their mean. The mean's query alone is answered.
#[derive(Module, Debug)]
pub struct AttentionPool {
    /// Added to the mean and to every pixel, `[channels, 1 + pixels]`.
    pub(super) position: Param<Tensor<2>>,
    /// Columns in the order query, key, value; within each, head after head.
    pub(super) qkv: Linear,
    pub(super) output: Linear,
    pub(super) heads: usize,
}

impl AttentionPool {
    /// For feature maps of `side`² pixels and this many channels and heads, with `outputs` results.
    pub(super) fn new(
        side: usize,
        [channels, outputs]: [usize; 2],
        heads: usize,
        device: &Device,
    ) -> Self {
        Self {
            position: Initial::Uniform { fan: channels }
                .parameter([channels, 1 + side * side], device),
            qkv: linear(channels, 3 * channels, device),
            output: linear(channels, outputs, device),
            heads: heads.max(1),
        }
    }

    /// # Shapes
    ///
    /// `x`: `[batch, channels, side, side]`; result: `[batch, outputs]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = x.dims();
        let depth = channels / self.heads;
        let pixels = x.reshape([batch, channels, height * width]);
        let tokens = Tensor::cat(vec![pixels.clone().mean_dim(2), pixels], 2);
        let tokens = (tokens + self.position.val().unsqueeze_dim::<3>(0)).swap_dims(1, 2);
        let count = 1 + height * width;
        // [batch, tokens, 3·heads, depth] → three of [batch, heads, tokens, depth]
        let qkv = self.qkv.forward(tokens);
        let qkv = qkv
            .reshape([batch, count, 3 * self.heads, depth])
            .swap_dims(1, 2);
        let part = |i: usize| qkv.clone().narrow(1, i * self.heads, self.heads);
        let scale = 1.0 / libm::sqrt(depth as f64);
        let query = part(0).narrow(2, 0, 1) * scale;
        let scores = softmax(query.matmul(part(1).swap_dims(2, 3)), 3);
        let mixed = scores.matmul(part(2)).reshape([batch, channels]);
        self.output.forward(mixed)
    }
}
