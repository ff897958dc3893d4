//! Tileable images, by noise rolling (Vecchio et al. 2024, "ControlMat: A Controlled Generative Approach to Material
//! Capture").
//!
//! The network is shown the latents shifted cyclically, by another random offset at every step, and its answer is shifted
//! back. At nearly every step opposite edges are then neighbours within what it sees, and no place is at a border for long. The
//! network stays as it is. Cyclic borders of its convolutions, the alternative, would be part of every kernel, and networks
//! that were compiled from ONNX could not have them.

use burn::tensor::Tensor;

use crate::noise::{NoiseStream, Purpose};

/// A cyclic shift of images, down and to the right, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset([usize; 2]);

impl Offset {
    /// The offset of a step, uniform over the `size`, `[height, width]`. All images of a seed have the same, so that an image
    /// does not depend on its batch. `step` is numbered as noise is.
    pub(super) fn new(seed: u64, step: u32, size: [usize; 2]) -> Self {
        let mut stream = NoiseStream::new(Purpose::Tiling, seed, 0, step);
        Self(size.map(|side| stream.below(side.max(1) as u32) as usize))
    }

    /// The shifted images.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, height, width]`, also the result.
    pub(super) fn shift(self, images: Tensor<4>) -> Tensor<4> {
        let [down, right] = self.0;
        rolled(rolled(images, 2, down), 3, right)
    }

    /// The inverse of [`shift`](Self::shift).
    pub(super) fn shift_back(self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let [down, right] = self.0;
        Self([(height - down) % height, (width - right) % width]).shift(images)
    }
}

fn rolled(images: Tensor<4>, dim: usize, by: usize) -> Tensor<4> {
    let size = images.dims()[dim];
    if by == 0 {
        return images;
    }
    let first = images.clone().narrow(dim, size - by, by);
    let last = images.narrow(dim, 0, size - by);
    Tensor::cat(vec![first, last], dim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn a_shift_is_cyclic_and_has_an_inverse() {
        let values: Vec<f32> = (0..24).map(|value| value as f32).collect();
        let data = TensorData::new(values.clone(), [2, 1, 3, 4]);
        let images = Tensor::<4>::from_data(data, &Device::flex());
        let read = |images: Tensor<4>| images.into_data().iter::<f32>().collect::<Vec<_>>();
        let shifted = read(Offset([1, 3]).shift(images.clone()));
        assert_eq!(shifted[..4], [9.0, 10.0, 11.0, 8.0]);
        assert_eq!(shifted[12..16], [21.0, 22.0, 23.0, 20.0]);
        for down in 0..3 {
            for right in 0..4 {
                let offset = Offset([down, right]);
                assert_eq!(
                    read(offset.shift_back(offset.shift(images.clone()))),
                    values
                );
            }
        }
    }

    #[test]
    fn every_step_has_an_offset_of_its_own_and_all_occur() {
        let offset = |seed, step| Offset::new(seed, step, [4, 2]);
        assert_eq!(offset(7, 3), offset(7, 3));
        let mut seen: Vec<_> = (0..200).map(|step| offset(7, step).0).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 8);
        assert!((0..20).any(|step| offset(7, step) != offset(8, step)));
    }
}
