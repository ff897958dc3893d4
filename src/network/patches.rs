//! Space to depth and back.

use burn::tensor::Tensor;

/// Turns every square of `side × side` pixels into one pixel with side² times the channels.
///
/// `[batch, channels, height, width]` becomes `[batch, channels · side², height / side, width / side]`; channel
/// (c · side + y) · side + x is what channel c had at row y and column x of the square. `side` must divide both.
pub(super) fn pixel_unshuffle(x: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return x;
    }
    let [batch, channels, height, width] = x.dims();
    let (rows, columns) = (height / side, width / side);
    x.reshape([batch, channels, rows, side, columns, side])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, channels * side * side, rows, columns])
}

/// The inverse of [`pixel_unshuffle`]: the pixel shuffle of Shi et al. 2016.
pub(super) fn pixel_shuffle(x: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return x;
    }
    let [batch, channels, rows, columns] = x.dims();
    let channels = channels / (side * side);
    x.reshape([batch, channels, side, side, rows, columns])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([batch, channels, rows * side, columns * side])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    #[test]
    fn a_square_becomes_a_pixel_and_a_square_again() {
        let count = 2 * 3 * 4 * 6;
        let device = Device::flex();
        let x = Tensor::<1, Int>::arange(0..count, &device).float();
        let x = x.reshape([2, 3, 4, 6]);
        let folded = pixel_unshuffle(x.clone(), 2);
        assert_eq!(folded.dims(), [2, 12, 2, 3]);
        let value = |t: &Tensor<4>, [b, c, y, x]: [usize; 4]| -> f32 {
            let one = t.clone().slice([b..b + 1, c..c + 1, y..y + 1, x..x + 1]);
            one.into_data().iter::<f32>().next().unwrap()
        };
        // Channel 2, row 1 and column 0 of the square at (1, 2) of the second image.
        assert_eq!(
            value(&folded, [1, (2 * 2 + 1) * 2, 1, 2]),
            value(&x, [1, 2, 3, 4])
        );
        pixel_shuffle(folded, 2)
            .into_data()
            .assert_eq(&x.into_data(), true);
    }
}
