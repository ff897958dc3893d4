//! Dropout with the channels of a pixel beside each other: the same values as
//! [`DropoutMasks`](crate::network::DropoutMasks) drops.

use crate::kernels::channels_last::Image;
use crate::network::dropout::{bits, threshold};

/// Drops values of every image, which are counted in the order of planes, and scales the others by 1/(1 − probability).
pub(super) fn drop_values(
    x: &mut Image,
    sequences: impl Iterator<Item = [u32; 2]>,
    probability: f64,
) {
    let threshold = threshold(probability);
    let kept = (1.0 / (1.0 - probability)) as f32;
    let (step, channels, pixels) = (x.step(), x.channels, x.pixels() as u32);
    for (image, [by, from]) in sequences.enumerate().take(x.images) {
        for y in 0..x.height {
            for column in 0..x.width {
                let at = x.at(image, y, column);
                let pixel = &mut x.values[at..at + step][..channels];
                // From a channel to the next, a plane of counters.
                let stride = pixels.wrapping_mul(by);
                let mut counter = ((y * x.width + column) as u32)
                    .wrapping_mul(by)
                    .wrapping_add(from);
                for value in pixel {
                    *value *= if bits(counter) < threshold { 0.0 } else { kept };
                    counter = counter.wrapping_add(stride);
                }
            }
        }
    }
}
