//! Layers with their parameters, whose packed weights are cached.

use burn::backend::Flex;
#[cfg(feature = "autodiff")]
use burn::backend::flex::FlexTensor;
use burn::module::Param;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor};

use super::super::values::Values;
use super::super::weight_cache::{WeightCache, keeps};
use super::convolution::{self, ConvolutionWeights};
use super::image::Image;
use super::memory::Arena;
use super::product::Panels;

/// A tensor of 32-bit floats on burn's CPU backend, without a graph of gradients.
pub(crate) struct Parameter(Values);

impl Parameter {
    /// `None` for tensors of other types, devices, and of a device for training.
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let tensor = tensor.try_into_primitive::<Flex>().ok()?;
        Some(Self(Values::of(tensor)))
    }

    /// As [`of`](Self::of), of a network that was found to be of such tensors.
    pub(crate) fn known<const D: usize>(parameter: &Param<Tensor<D>>) -> Self {
        Self::of(parameter.val()).expect("a network's parameters are of one type on one device")
    }

    /// Of a tensor that is one already.
    #[cfg(feature = "autodiff")]
    pub(crate) fn of_primitive(tensor: FlexTensor) -> Self {
        Self(Values::of(tensor))
    }

    pub(crate) fn get(&self) -> &[f32] {
        self.0.get()
    }
}

/// A convolution of 1×1 or more, and what is added; see [`convolution::convolve`].
pub(crate) fn convolve(
    arena: &mut Arena,
    x: &Image,
    [weight, bias]: [&Parameter; 2],
    shape: [usize; 3],
    cache: &WeightCache<ConvolutionWeights>,
    add: Option<&Image>,
) -> Image {
    let size = [x.height, x.width];
    let [outputs, inputs, _] = shape;
    let keeps = keeps([outputs, inputs], ConvolutionWeights::taps(shape, size));
    let serves = |packed: &ConvolutionWeights| packed.serves(shape, size);
    let pack = || ConvolutionWeights::new(weight.get(), shape, size);
    let packed = cache.get(weight.0.tensor(), keeps, serves, pack);
    convolution::convolve(arena, x, &packed, bias.get(), add)
}

/// A convolution of 3×3 and stride 2, of `x` with a border of 1; `before`: the zeros that it sees above and left of the image.
pub(crate) fn halve(
    arena: &mut Arena,
    x: &Image,
    module: &Conv2d,
    cache: &WeightCache<Panels>,
    before: usize,
) -> Image {
    let weight = Parameter::known(&module.weight);
    let [outputs, inputs, kernel, _] = module.weight.dims();
    let keeps = keeps([outputs, inputs], kernel * kernel);
    let pack = || convolution::taps(weight.get(), [outputs, inputs, kernel]);
    let packed = cache.get(weight.0.tensor(), keeps, |_| true, pack);
    match &module.bias {
        Some(bias) => convolution::halve(arena, x, &packed, Parameter::known(bias).get(), before),
        None => convolution::halve(arena, x, &packed, &vec![0.0; outputs], before),
    }
}

/// `module` of every pixel, and what is added.
pub(crate) fn linear(
    arena: &mut Arena,
    x: &Image,
    module: &Linear,
    cache: &WeightCache<Panels>,
    add: Option<&Image>,
) -> Image {
    let weight = Parameter::known(&module.weight);
    let bias = module.bias.as_ref().map(Parameter::known);
    let [inputs, outputs] = module.weight.dims();
    let pack = || {
        let values = weight.get();
        Panels::new([1, inputs, outputs], |_, input, output| {
            values[input * outputs + output]
        })
    };
    let packed = cache.get(weight.0.tensor(), true, |_| true, pack);
    let bias = bias.as_ref().map(Parameter::get);
    convolution::pixelwise(arena, x, &packed, bias, add)
}
