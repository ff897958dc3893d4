//! The U-Net's configuration.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{LogSnrEmbedding, UNet};

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum NetworkError {
    /// A field has a value that no network can have.
    #[error("network.{field} is {value}: {expected}")]
    Field {
        /// The field of [`UNetConfig`].
        field: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        expected: String,
    },
    /// The image does not halve as often as the network asks.
    #[error(
        "network.channel_multipliers has {stages} stages, so the image size must be a multiple of {multiple}, and {size} is not"
    )]
    ImageSize {
        /// The image's height and width in pixels.
        size: usize,
        /// The number of stages.
        stages: usize,
        /// 2^(stages − 1).
        multiple: usize,
    },
}

/// Configuration of the U-Net after ADM (Dhariwal & Nichol 2021, appendix on architecture):
/// residual blocks with scale-and-shift group normalisation by the (λ, class) embedding, residual
/// up- and downsampling, self-attention at chosen resolutions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels of the first stage.
    pub base_channels: usize,
    /// Channels of every stage, as multiples of `base_channels`; the image halves from each to
    /// the next.
    pub channel_multipliers: Vec<usize>,
    /// Residual blocks a stage on the way down (one more on the way up).
    pub residual_blocks: usize,
    /// Image sizes, in pixels, at which the blocks have self-attention.
    #[serde(default)]
    pub attention_resolutions: Vec<usize>,
    /// Channels of an attention head (64 in ADM). Also in the middle, which always attends.
    #[serde(default = "default_head_channels")]
    pub head_channels: usize,
    /// Dropout within the residual blocks, in training only.
    #[serde(default)]
    pub dropout: f64,
    /// Groups of every group normalisation (32 in ADM).
    #[serde(default = "default_norm_groups")]
    pub norm_groups: usize,
    /// How λ is scaled before its sinusoidal embedding.
    #[serde(default)]
    pub log_snr_embedding: LogSnrEmbedding,
}

fn default_head_channels() -> usize {
    64
}

fn default_norm_groups() -> usize {
    32
}

impl UNetConfig {
    /// A network of some fifty thousand parameters for images of 8×8 pixels, for tests and for the self-test of a device.
    pub fn tiny() -> Self {
        Self {
            base_channels: 8,
            channel_multipliers: vec![1, 2],
            residual_blocks: 1,
            attention_resolutions: vec![4],
            head_channels: 8,
            dropout: 0.0,
            norm_groups: 4,
            log_snr_embedding: LogSnrEmbedding::default(),
        }
    }

    /// Checks that the network can be built for square images of `size` pixels.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] names the first field that does not fit.
    pub fn validate(&self, size: usize) -> Result<(), NetworkError> {
        let field = |field, value: &dyn ToString, expected: &str| {
            Err(NetworkError::Field {
                field,
                value: value.to_string(),
                expected: expected.to_owned(),
            })
        };
        let stages = self.channel_multipliers.len();
        if !(1..=4096).contains(&self.base_channels) {
            return field(
                "base_channels",
                &self.base_channels,
                "it must be from 1 to 4096",
            );
        }
        if !(1..=8).contains(&stages)
            || self
                .channel_multipliers
                .iter()
                .any(|m| !(1..=64).contains(m))
        {
            let value = format!("{:?}", self.channel_multipliers);
            return field(
                "channel_multipliers",
                &value,
                "it must have from 1 to 8 entries from 1 to 64",
            );
        }
        if !(1..=32).contains(&self.residual_blocks) {
            return field(
                "residual_blocks",
                &self.residual_blocks,
                "it must be from 1 to 32",
            );
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return field(
                "dropout",
                &self.dropout,
                "it must be from 0 up to, not including, 1",
            );
        }
        let widths: Vec<_> = self
            .channel_multipliers
            .iter()
            .map(|m| m * self.base_channels)
            .collect();
        if self.norm_groups == 0 || widths.iter().any(|w| w % self.norm_groups != 0) {
            let expected = format!("it must divide the channels of every stage, {widths:?}");
            return field("norm_groups", &self.norm_groups, &expected);
        }
        if self.base_channels % 2 != 0 {
            return field(
                "base_channels",
                &self.base_channels,
                "it must be even, for sines and cosines",
            );
        }
        let multiple = 1 << (stages - 1);
        if size == 0 || size % multiple != 0 {
            return Err(NetworkError::ImageSize {
                size,
                stages,
                multiple,
            });
        }
        for (stage, &width) in widths.iter().enumerate() {
            let attends = self.attention_resolutions.contains(&(size >> stage));
            let middle = stage == stages - 1;
            if (attends || middle) && (self.head_channels == 0 || width % self.head_channels != 0) {
                let expected = format!(
                    "it must divide the {width} channels of the stage at {} pixels",
                    size >> stage
                );
                return field("head_channels", &self.head_channels, &expected);
            }
        }
        if let Some(odd) = self
            .attention_resolutions
            .iter()
            .find(|&&r| !(0..stages).any(|stage| size >> stage == r))
        {
            let sizes: Vec<_> = (0..stages).map(|stage| size >> stage).collect();
            return field(
                "attention_resolutions",
                odd,
                &format!("the stages of this network are at {sizes:?} pixels"),
            );
        }
        self.log_snr_embedding.validate()
    }

    /// Builds the network with fresh weights.
    ///
    /// `channels`: of the image; `classes`: without ∅, which is added. Attention is placed by
    /// resolution, so `size`, in pixels, is part of the structure.
    pub fn init(&self, size: usize, channels: usize, classes: usize, device: &Device) -> UNet {
        UNet::new(self, size, channels, classes, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(change: impl FnOnce(&mut UNetConfig)) -> String {
        let mut config = UNetConfig::tiny();
        change(&mut config);
        config.validate(8).unwrap_err().to_string()
    }

    #[test]
    fn every_misfit_is_named() {
        assert_eq!(UNetConfig::tiny().validate(8), Ok(()));
        assert!(broken(|c| c.base_channels = 0).contains("base_channels is 0"));
        assert!(broken(|c| c.channel_multipliers.clear()).contains("channel_multipliers"));
        assert!(broken(|c| c.norm_groups = 3).contains("[8, 16]"));
        assert!(broken(|c| c.head_channels = 5).contains("head_channels is 5"));
        assert!(broken(|c| c.attention_resolutions = vec![5]).contains("[8, 4]"));
        assert!(broken(|c| c.dropout = 1.0).contains("dropout"));
        assert!(broken(|c| c.channel_multipliers = vec![1; 5]).contains("multiple of 16"));
    }
}
