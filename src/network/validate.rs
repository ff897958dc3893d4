//! Validation of the U-Net's configuration.

use std::ops::RangeInclusive;

use super::config::DEFAULT_AUGMENTATION;
use super::{MiddleKind, NetworkError, UNetConfig};

fn refuse(field: &'static str, value: impl ToString, expected: &str) -> Result<(), NetworkError> {
    Err(NetworkError::Field {
        field,
        value: value.to_string(),
        expected: expected.to_owned(),
    })
}

fn within(
    field: &'static str,
    value: usize,
    range: RangeInclusive<usize>,
) -> Result<(), NetworkError> {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("it must be from {} to {}", range.start(), range.end());
    refuse(field, value, &expected)
}

impl UNetConfig {
    /// Checks that the network can be built for square images of `size` pixels.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] names the first field that is invalid.
    pub fn validate(&self, size: usize) -> Result<(), NetworkError> {
        self.validate_stages(size)?;
        self.validate_norms()?;
        self.validate_attention(size)?;
        self.validate_embedding(size)
    }

    fn validate_stages(&self, size: usize) -> Result<(), NetworkError> {
        let stages = self.channel_multipliers.len();
        within("base_channels", self.base_channels, 1..=4096)?;
        let multipliers = &self.channel_multipliers;
        if !(1..=8).contains(&stages) || multipliers.iter().any(|m| !(1..=64).contains(m)) {
            return refuse(
                "channel_multipliers",
                format!("{multipliers:?}"),
                "it must have from 1 to 8 entries from 1 to 64",
            );
        }
        within("residual_blocks", self.residual_blocks, 1..=32)?;
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse(
                "dropout",
                self.dropout,
                "it must be from 0 up to, not including, 1",
            );
        }
        within("patch", self.patch, 1..=16)?;
        let multiple = self.patch << (stages - 1);
        if size == 0 || !size.is_multiple_of(multiple) {
            return Err(NetworkError::ImageSize {
                size,
                stages,
                patch: self.patch,
                multiple,
            });
        }
        Ok(())
    }

    fn validate_norms(&self) -> Result<(), NetworkError> {
        let widths = self.widths();
        let divides = |groups: usize| groups > 0 && widths.iter().all(|w| w % groups == 0);
        if !divides(self.norm_groups) {
            let expected = format!("it must divide the channels of every stage, {widths:?}");
            return refuse("norm_groups", self.norm_groups, &expected);
        }
        let width = widths.last().copied().unwrap_or(0);
        match self.middle_norm_groups {
            Some(groups) if groups > 0 && width % groups != 0 => {
                let expected = format!("it must be 0 or divide the middle's {width} channels");
                refuse("middle_norm_groups", groups, &expected)
            }
            _ if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) => refuse(
                "norm_epsilon",
                self.norm_epsilon,
                "it must be above 0 and below 1",
            ),
            _ => Ok(()),
        }
    }

    fn validate_attention(&self, size: usize) -> Result<(), NetworkError> {
        let widths = self.widths();
        let last = widths.len() - 1;
        let sides: Vec<usize> = (0..=last).map(|stage| self.side(stage, size)).collect();
        for (stage, &width) in widths.iter().enumerate() {
            let attends = self.attends(stage, size);
            let middle = stage == last && self.middle == MiddleKind::Attention;
            let (field, value) = match self.heads {
                Some(heads) => ("heads", heads),
                None => ("head_channels", self.head_channels),
            };
            if (attends || middle) && (value == 0 || width % value != 0) {
                let expected = format!(
                    "it must divide the {width} channels of the stage at {} pixels",
                    sides[stage]
                );
                return refuse(field, value, &expected);
            }
        }
        match self
            .attention_resolutions
            .iter()
            .find(|r| !sides.contains(r))
        {
            Some(odd) => refuse(
                "attention_resolutions",
                odd,
                &format!("the stages of this network are at {sides:?} pixels"),
            ),
            None => Ok(()),
        }
    }

    fn validate_low_resolution(&self, size: usize) -> Result<(), NetworkError> {
        if !(0.0..=1.0).contains(&self.augmentation) {
            return refuse("augmentation", self.augmentation, "it must be from 0 to 1");
        }
        let Some(small) = self.low_resolution else {
            return match self.augmentation == DEFAULT_AUGMENTATION {
                true => Ok(()),
                false => refuse(
                    "augmentation",
                    self.augmentation,
                    "it is for super-resolution: set network.low_resolution, or leave it out",
                ),
            };
        };
        if small == 0 || small >= size || !size.is_multiple_of(small) {
            let expected = format!(
                "it must be smaller than the images of {size} pixels and divide their size"
            );
            return refuse("low_resolution", small, &expected);
        }
        match self.guidance.is_some() || self.flow_map.is_some() {
            true => refuse(
                "low_resolution",
                small,
                "a student is of a model that draws alone: leave out network.guidance and network.flow_map",
            ),
            false => Ok(()),
        }
    }

    fn validate_embedding(&self, size: usize) -> Result<(), NetworkError> {
        let sinusoids = self.sinusoids();
        let field = match self.sinusoid_channels {
            Some(_) => "sinusoid_channels",
            None => "base_channels",
        };
        within(field, sinusoids, 1..=4096)?;
        if !sinusoids.is_multiple_of(2) {
            return refuse(field, sinusoids, "it must be even, for sines and cosines");
        }
        within("embedding_channels", self.embedding(), 1..=65_536)?;
        let half = sinusoids as f64 / 2.0;
        if !(self.frequency_shift >= 0.0 && self.frequency_shift < half) {
            return refuse(
                "frequency_shift",
                self.frequency_shift,
                &format!("it must be from 0 up to, not including, {half}"),
            );
        }
        if let Some(timesteps) = &self.timesteps
            && let Err(e) = timesteps.validate()
        {
            return refuse(
                "timesteps",
                format!("{} steps", timesteps.count),
                &e.to_string(),
            );
        }
        if let Some(guidance) = &self.guidance {
            guidance.validate()?;
        }
        if let Some(flow_map) = &self.flow_map {
            flow_map.validate(self.guidance.is_some())?;
        }
        if let Some(number) = &self.number {
            number.validate()?;
        }
        self.validate_low_resolution(size)?;
        if self.takes_more_than_a_class() && self.guidance.is_some() {
            return refuse(
                "guidance",
                "an input",
                "a student is of a model with classes; a network with attributes or a number is guided by its two estimates",
            );
        }
        self.log_snr_embedding.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Conditions, FlowMap, GuidanceInput};
    use crate::timesteps::{Betas, Timesteps};

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
        assert!(broken(|c| c.heads = Some(3)).contains("heads is 3"));
        assert!(broken(|c| c.attention_resolutions = vec![5]).contains("[8, 4]"));
        assert!(broken(|c| c.patch = 0).contains("patch is 0"));
        assert!(broken(|c| c.patch = 3).contains("multiple of 6"));
        assert!(broken(|c| (c.patch, c.attention_resolutions) = (2, vec![8])).contains("[4, 2]"));
        assert!(broken(|c| c.dropout = 1.0).contains("dropout"));
        assert!(broken(|c| c.channel_multipliers = vec![1; 5]).contains("multiple of 16"));
        assert!(broken(|c| c.norm_epsilon = f64::NAN).contains("norm_epsilon"));
        assert!(broken(|c| c.middle_norm_groups = Some(5)).contains("middle's 16 channels"));
        assert!(broken(|c| c.sinusoid_channels = Some(7)).contains("sinusoid_channels is 7"));
        assert!(broken(|c| c.embedding_channels = Some(0)).contains("embedding_channels is 0"));
        assert!(broken(|c| c.frequency_shift = 4.0).contains("not including, 4"));
        let timesteps = Timesteps {
            count: 1,
            betas: Betas::SquaredCosine,
            scale: 1.0,
        };
        assert!(broken(|c| c.timesteps = Some(timesteps)).contains("count is 1"));
        for (min, max) in [(8.0, -1.0), (1.0, 4.0), (f64::NAN, 4.0), (-1.0, 1e9)] {
            let error = broken(|c| c.guidance = Some(GuidanceInput::new(min, max)));
            assert!(error.contains("network.guidance is from"), "{error}");
        }
        let flow_map = |max_steps| Some(FlowMap { max_steps });
        let error = broken(|c| c.flow_map = flow_map(8));
        assert!(error.contains("needs guidance as an input"), "{error}");
        for steps in [0, 3, 128] {
            let error = broken(|c| {
                c.guidance = Some(GuidanceInput::new(-1.0, 8.0));
                c.flow_map = flow_map(steps);
            });
            assert!(error.contains("a power of two from 1 to 64"), "{error}");
        }
        let error = broken(|c| {
            c.guidance = Some(GuidanceInput::new(-1.0, 8.0));
            c.conditions = Conditions::Attributes;
        });
        assert!(error.contains("guided by its two estimates"), "{error}");
    }
}
