//! The normalisation of pixels for a network.

use serde::{Deserialize, Serialize};

/// The normalisation of bytes to the values that a network was trained on: (x/255 − mean) / deviation for each channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// The mean, for pixels from 0 to 1.
    pub mean: [f32; 3],
    /// The standard deviation, for pixels from 0 to 1.
    pub deviation: [f32; 3],
}

impl Normalisation {
    /// ImageNet's statistics, as PyTorch's models use.
    pub const IMAGENET: Self = Self {
        mean: [0.485, 0.456, 0.406],
        deviation: [0.229, 0.224, 0.225],
    };
    /// Values from −1 to 1.
    pub const SYMMETRIC: Self = Self {
        mean: [0.5; 3],
        deviation: [0.5; 3],
    };
    /// Values from 0 to 1.
    pub const UNIT: Self = Self {
        mean: [0.0; 3],
        deviation: [1.0; 3],
    };
    /// Values from 0 to 255.
    pub const BYTES: Self = Self {
        mean: [0.0; 3],
        deviation: [1.0 / 255.0; 3],
    };

    /// Normalises values from 0 to 255, `[count, 3, plane]`, in place.
    pub fn apply(&self, values: &mut [f32], plane: usize) {
        for (k, values) in values.chunks_exact_mut(plane.max(1)).enumerate() {
            let (mean, deviation) = (self.mean[k % 3], self.deviation[k % 3]);
            let (scale, offset) = (1.0 / (255.0 * deviation), mean / deviation);
            values.iter_mut().for_each(|v| *v = *v * scale - offset);
        }
    }

    /// Whether it maps finite numbers to finite numbers.
    pub fn is_sound(&self) -> bool {
        let finite = self.mean.iter().all(|m| m.is_finite());
        finite && self.deviation.iter().all(|d| d.is_normal() && *d > 0.0)
    }

    /// Whether it is the default, from −1 to 1.
    pub(super) fn is_symmetric(&self) -> bool {
        *self == Self::SYMMETRIC
    }
}

impl Default for Normalisation {
    fn default() -> Self {
        Self::SYMMETRIC
    }
}
