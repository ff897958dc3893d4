//! How much memory a forward pass takes, estimated before there is a network.

use super::UNetConfig;

/// Bytes of a value.
const F32: u64 = 4;

impl UNetConfig {
    /// Bytes that one row (one image in one pass) takes at the peak of a forward pass in f32, for
    /// square images of `size` pixels: the activations that wait for the way up, and the widest
    /// block's own. An upper estimate; the weights come on top.
    pub fn row_bytes(&self, size: usize) -> u64 {
        let base = self.base_channels as u64;
        let (mut waiting, mut widest) = (base * (size * size) as u64, 0);
        let last = self.channel_multipliers.len().saturating_sub(1);
        for (stage, &multiplier) in self.channel_multipliers.iter().enumerate() {
            let side = (size >> stage) as u64;
            let width = base * multiplier as u64;
            let plane = width * side * side;
            waiting += plane * self.residual_blocks as u64;
            if stage < last {
                waiting += plane / 4;
            }
            // On the way up a block sees two widths at once: as they come, normalised, activated;
            // then its own: convolved, normalised, activated, convolved again, and the skip.
            let block = 3 * 2 * plane + 5 * plane;
            let attends = self.attention_resolutions.contains(&(side as usize)) || stage == last;
            let attention = if attends {
                let heads = (self.attention_heads(width as usize) as u64).max(1);
                // Queries, keys, values and result; scores before and after the softmax.
                5 * plane + 3 * heads * side.pow(4)
            } else {
                0
            };
            widest = widest.max(block).max(attention);
        }
        (waiting + widest) * F32
    }
}
