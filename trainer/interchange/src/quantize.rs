//! Symmetric quantisation to 8 bits with a scale per output channel, so that the error of each weight is at most half
//! of 1/127 of the largest weight of its channel. Biases and normalisations are few and sensitive, and stay floats.

use super::weights::Weight;

/// The largest 8-bit integer. −128 is not used, so that the range is symmetric.
const LARGEST: f32 = 127.0;

/// A tensor in 8 bits: value = integer · scale of its channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// The integers, in the order of the values.
    pub integers: Vec<i8>,
    /// One scale per channel.
    pub scales: Vec<f32>,
    /// The dimension of the channels.
    pub axis: usize,
}

impl Quantized {
    /// The shape of the scales of a tensor of this shape: 1 except for the channels.
    pub fn scale_shape(&self, shape: &[usize]) -> Vec<usize> {
        let keep = |(axis, &size)| if axis == self.axis { size } else { 1 };
        shape.iter().enumerate().map(keep).collect()
    }
}

/// The dimension of the output channels: the first of convolutions and of the class embedding, the last of linear
/// layers. `None` for tensors that stay in floats.
fn channel_axis(weight: &Weight) -> Option<usize> {
    match weight.shape.len() {
        4 => Some(0),
        2 if weight.name.ends_with("class.weight") => Some(0),
        2 => Some(1),
        _ => None,
    }
}

/// Rounds a tensor to 8 bits, if it is one that is quantised.
pub fn quantize(weight: &Weight) -> Option<Quantized> {
    let axis = channel_axis(weight)?;
    let channels = weight.shape[axis];
    let inner: usize = weight.shape[axis + 1..].iter().product();
    let channel = |index: usize| index / inner % channels;
    let mut scales = vec![0f32; channels];
    for (index, value) in weight.values.iter().enumerate() {
        let scale = &mut scales[channel(index)];
        *scale = scale.max(value.abs() / LARGEST);
    }
    // A channel of zeros, such as an untrained one, stays zero.
    for scale in scales.iter_mut().filter(|scale| **scale == 0.0) {
        *scale = 1.0;
    }
    let round = |(index, value): (usize, &f32)| {
        (value / scales[channel(index)])
            .round()
            .clamp(-LARGEST, LARGEST) as i8
    };
    let integers = weight.values.iter().enumerate().map(round).collect();
    Some(Quantized {
        integers,
        scales,
        axis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(name: &str, shape: &[usize], values: Vec<f32>) -> Weight {
        Weight {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values,
        }
    }

    #[test]
    fn every_channel_has_its_scale() {
        let linear = weight("a.weight", &[2, 3], vec![1.0, -20.0, 0.0, -0.5, 12.7, 0.0]);
        let found = quantize(&linear).unwrap();
        assert_eq!(found.integers, [127, -127, 0, -64, 81, 0]);
        assert_eq!(found.scales, [1.0 / 127.0, 20.0 / 127.0, 1.0]);
        assert_eq!(found.scale_shape(&linear.shape), [1, 3]);
        let table = weight("conditioning.class.weight", &[2, 1], vec![1.0, 100.0]);
        assert_eq!(quantize(&table).unwrap().integers, [127, 127]);
        let conv = weight("conv.weight", &[2, 1, 1, 2], vec![0.1, -0.2, 3.0, 1.5]);
        let found = quantize(&conv).unwrap();
        assert_eq!(found.integers, [64, -127, 127, 64]);
        assert_eq!(found.scale_shape(&conv.shape), [2, 1, 1, 1]);
        assert_eq!(quantize(&weight("a.bias", &[2], vec![1.0, 2.0])), None);
    }
}
