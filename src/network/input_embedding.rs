//! The embedding of an input that not all networks take.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::silu};

use super::UNetConfig;
use super::conditioning::sinusoids;
use crate::initial::{linear, linear_zeros, without_bias};

/// The range of the argument of the sinusoids. The effect of these inputs is smooth, so that fewer periods are needed than
/// for λ.
pub(super) const SCALE: f64 = 100.0;

/// An MLP of the sinusoidal embedding of a number, whose last layer is 0 at first: a student begins as the network that its
/// weights came from.
#[derive(Module, Debug)]
pub struct InputEmbedding {
    input: Linear,
    output: Linear,
}

impl InputEmbedding {
    pub(super) fn new(config: &UNetConfig, device: &Device) -> Self {
        let (channels, width) = (config.sinusoids(), config.embedding());
        Self {
            input: linear(channels, width, device),
            output: linear_zeros(width, width, device),
        }
    }

    /// Of a number that an image may lack: as no layer has a bias, the embedding of sinusoids that are all 0 is 0.
    pub(super) fn optional(config: &UNetConfig, device: &Device) -> Self {
        let Self { input, output } = Self::new(config, device);
        Self {
            input: without_bias(input),
            output: without_bias(output),
        }
    }

    /// The layers of the sinusoidal embedding, of which SiLU follows the first.
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    pub(super) fn layers(&self) -> [&Linear; 2] {
        [&self.input, &self.output]
    }

    /// # Shapes
    ///
    /// `argument`: `[batch]`, from 0 to [`SCALE`]; result: `[batch, width]`.
    pub(super) fn forward(&self, argument: Tensor<1>) -> Tensor<2> {
        let [channels, _] = self.input.weight.dims();
        self.layered(sinusoids(argument, channels, 0.0))
    }

    /// The same where the input is given, 1, and 0 where it is not, 0.
    ///
    /// # Shapes
    ///
    /// `argument`, `given`: `[batch]`; result: `[batch, width]`.
    pub(super) fn forward_given(&self, argument: Tensor<1>, given: Tensor<1>) -> Tensor<2> {
        let [channels, _] = self.input.weight.dims();
        self.layered(sinusoids(argument, channels, 0.0) * given.unsqueeze_dim::<2>(1))
    }

    fn layered(&self, sinusoids: Tensor<2>) -> Tensor<2> {
        let sinusoids = sinusoids.cast(self.input.weight.dtype());
        self.output.forward(silu(self.input.forward(sinusoids)))
    }
}
