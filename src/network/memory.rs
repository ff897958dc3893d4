//! The memory of a forward pass, estimated from the configuration.

use super::UNetConfig;

/// Bytes of a value.
const F32: u64 = 4;

impl UNetConfig {
    /// Bytes that one row (one image in one pass) takes at the peak of a forward pass in f32, for
    /// square images of `size` pixels: the skip connections that are kept for the decoder, and the activations of the
    /// largest block. It is an upper estimate, without the weights.
    pub fn row_bytes(&self, size: usize) -> u64 {
        let base = self.base_channels as u64;
        let first = self.side(0, size) as u64;
        let mut waiting = base * first * first;
        // In super-resolution, with the small picture beside it.
        let image = image_values(size) * (1 + u64::from(self.low_resolution.is_some()));
        // The image is there as it is, folded into patches, and on its way from one to the other; or it waits to be added
        // to the answer: both, and the image scaled.
        let mut widest = 3 * image;
        if self.input_skip {
            waiting += image;
        }
        let last = self.channel_multipliers.len().saturating_sub(1);
        for (stage, &multiplier) in self.channel_multipliers.iter().enumerate() {
            let side = self.side(stage, size) as u64;
            let width = base * multiplier as u64;
            let plane = width * side * side;
            waiting += plane * self.residual_blocks as u64;
            if stage < last {
                waiting += plane / 4;
            }
            // A decoder block has two widths at once, of its input and the skip connection: as they are, normalised and
            // activated. Then one width: convolved, normalised, activated, convolved again, and the shortcut.
            let block = 3 * 2 * plane + 5 * plane;
            // Queries, keys, values and the result, and the scores before and after the softmax.
            let attention = self
                .scores(stage, size)
                .map_or(0, |scores| 5 * plane + 3 * scores);
            widest = widest.max(block).max(attention);
        }
        (waiting + widest) * F32
    }

    /// Bytes of the largest single buffer of activations for each row in f32, for square images of `size` pixels. A device
    /// limits the size of a buffer apart from its memory.
    pub fn activation_bytes(&self, size: usize) -> u64 {
        let base = self.base_channels as u64;
        let multipliers = &self.channel_multipliers;
        let of_stage = |stage: usize| {
            let pixels = (self.side(stage, size) as u64).pow(2);
            let width = base * multipliers[stage] as u64;
            // In the decoder, the output of the stage below beside the skip connection.
            let below = multipliers
                .get(stage + 1)
                .map_or(width, |&m| base * m as u64);
            let joined = (below.max(width) + width) * pixels;
            let attention = self.scores(stage, size);
            // Queries, keys and values are one tensor.
            joined.max(attention.map_or(0, |scores| scores.max(3 * width * pixels)))
        };
        let largest = (0..multipliers.len()).map(of_stage).max().unwrap_or(0);
        // Of narrow networks with patches the image itself is the largest.
        largest.max(image_values(size) * (1 + u64::from(self.low_resolution.is_some()))) * F32
    }

    /// Values of the attention's scores at a stage, where there is attention.
    fn scores(&self, stage: usize, size: usize) -> Option<u64> {
        let side = self.side(stage, size);
        let last = stage + 1 == self.channel_multipliers.len();
        let width = self.base_channels * self.channel_multipliers[stage];
        let heads = (self.attention_heads(width) as u64).max(1);
        (last || self.attends(stage, size)).then(|| heads * (side as u64).pow(4))
    }
}

/// Values of an image in colour.
fn image_values(size: usize) -> u64 {
    3 * (size as u64).pow(2)
}
