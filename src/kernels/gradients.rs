//! The operations' gradients composed of burn's operations, for backends without kernels for them.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;

use super::options::GroupNormOptions;

/// burn's options for a convolution that keeps the size of the image.
pub(super) fn convolution<B: Backend>(weight: &FloatTensor<B>) -> ConvOptions<2> {
    ConvOptions::new([1, 1], [weight.shape()[2] / 2; 2], [1, 1], 1)
}

/// The gradients of x, scale and shift of [`super::group_norm`], given the gradient of the result.
///
/// With x̂ the normalised x and u = x̂ · scale + shift: ∂u = grad · silu′(u), ∂shift and ∂scale are the sums of ∂u and of
/// ∂u · x̂ over the pixels, and ∂x = (∂x̂ − mean(∂x̂) − x̂ · mean(∂x̂ · x̂)) / σ with ∂x̂ = ∂u · scale and means over the group.
pub(super) fn group_norm<B: Backend>(
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    shift: FloatTensor<B>,
    grad: FloatTensor<B>,
    options: GroupNormOptions,
) -> [FloatTensor<B>; 3] {
    let images = x.shape();
    let [batch, channels, height, width] = images.dims();
    let grouped = Shape::new([
        batch,
        options.groups,
        channels / options.groups * height * width,
    ]);
    let affine = |t| B::float_reshape(t, Shape::new([batch, channels, 1, 1]));
    let mean = |t: FloatTensor<B>| B::float_mean_dim(t, 2);

    let x = B::float_reshape(x, grouped.clone());
    let centred = B::float_sub(x.clone(), mean(x));
    let variance = mean(B::float_mul(centred.clone(), centred.clone()));
    let deviation = B::float_sqrt(B::float_add_scalar(variance, options.epsilon.into()));
    let normalized = B::float_div(centred, deviation.clone());
    let spread = B::float_reshape(normalized.clone(), images.clone());
    let scale = affine(scale);

    let grad = match options.silu {
        false => grad,
        true => {
            let u = B::float_mul(spread.clone(), scale.clone());
            silu_backward::<B>(B::float_add(u, affine(shift)), grad)
        }
    };
    let over_pixels = |t| {
        let sums = B::float_sum_dim(B::float_sum_dim(t, 3), 2);
        B::float_reshape(sums, Shape::new([batch, channels]))
    };
    let shift_grad = over_pixels(grad.clone());
    let scale_grad = over_pixels(B::float_mul(grad.clone(), spread));

    let grad = B::float_reshape(B::float_mul(grad, scale), grouped);
    let along = mean(B::float_mul(grad.clone(), normalized.clone()));
    let rest = B::float_sub(grad.clone(), mean(grad));
    let rest = B::float_sub(rest, B::float_mul(normalized, along));
    let x_grad = B::float_reshape(B::float_div(rest, deviation), images);
    [x_grad, scale_grad, shift_grad]
}

/// grad · s · (1 + u · (1 − s)) with s = σ(u).
fn silu_backward<B: Backend>(u: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let s = B::sigmoid(u.clone());
    let rest = B::float_add_scalar(B::float_neg(s.clone()), 1.0.into());
    let slope = B::float_add_scalar(B::float_mul(u, rest), 1.0.into());
    B::float_mul(grad, B::float_mul(s, slope))
}
