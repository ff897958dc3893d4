//! What fresh parameters begin with: what burn's and PyTorch's layers do, and zeros.
//!
//! They are the values of burn's `Initializer`, number by number. Since orthogonal matrices are among its kinds, every program
//! that names it contains matrix products and a QR decomposition, which pages that only load networks would download.

use burn::module::{Param, ParamId};
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Distribution, Tensor};

/// How the values of a parameter are drawn, once it is first looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Initial {
    /// 0.
    Zeros,
    /// 1.
    Ones,
    /// N(0, 1).
    Normal,
    /// Uniform between −1/√fan and 1/√fan, for so many inputs of an output (He et al. 2015 with PyTorch's gain).
    Uniform {
        /// The inputs.
        fan: usize,
    },
}

impl Initial {
    /// A parameter of this shape.
    pub(crate) fn parameter<const D: usize>(
        self,
        shape: [usize; D],
        device: &Device,
    ) -> Param<Tensor<D>> {
        Param::uninitialized(
            ParamId::new(),
            move |device, require_grad| {
                device.memory_persistent_allocations((), move |()| {
                    let tensor = self.tensor(shape, device);
                    match require_grad {
                        true => tensor.require_grad(),
                        false => tensor,
                    }
                })
            },
            device.clone(),
            true,
            shape.into(),
        )
    }

    fn tensor<const D: usize>(self, shape: [usize; D], device: &Device) -> Tensor<D> {
        match self {
            Self::Zeros => Tensor::zeros(shape, device),
            Self::Ones => Tensor::ones(shape, device),
            Self::Normal => Tensor::random(shape, Distribution::Normal(0.0, 1.0), device),
            Self::Uniform { fan } => {
                let root = libm::sqrt(3.0);
                // In this order, for the last bit.
                let limit = root * (1.0 / root) * (1.0 / libm::sqrt(fan as f64));
                Tensor::random(shape, Distribution::Uniform(-limit, limit), device)
            }
        }
    }
}

/// A linear layer with a bias.
pub(crate) fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    linear_of(Initial::Uniform { fan: inputs }, [inputs, outputs], device)
}

/// A linear layer that answers zero.
pub(crate) fn linear_zeros(inputs: usize, outputs: usize, device: &Device) -> Linear {
    linear_of(Initial::Zeros, [inputs, outputs], device)
}

/// The same layer without its bias: of no input it makes 0.
pub(crate) fn without_bias(layer: Linear) -> Linear {
    Linear {
        bias: None,
        ..layer
    }
}

fn linear_of(initial: Initial, [inputs, outputs]: [usize; 2], device: &Device) -> Linear {
    Linear {
        weight: initial.parameter([inputs, outputs], device),
        bias: Some(initial.parameter([outputs], device)),
    }
}

/// An embedding of so many ids.
pub(crate) fn embedding(ids: usize, width: usize, device: &Device) -> Embedding {
    Embedding {
        weight: Initial::Normal.parameter([ids, width], device),
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::{EmbeddingConfig, LinearConfig};

    use super::*;

    /// The values that are drawn after the generator was seeded.
    fn drawn<const D: usize>(parameter: &Param<Tensor<D>>, device: &Device) -> Vec<f32> {
        device.seed(7);
        parameter.val().into_data().iter::<f32>().collect()
    }

    #[test]
    fn fresh_parameters_are_those_of_burns_layers() {
        let device = Device::flex();
        let (ours, burns) = (linear(5, 7, &device), LinearConfig::new(5, 7).init(&device));
        assert_eq!(drawn(&ours.weight, &device), drawn(&burns.weight, &device));
        let biases = [ours.bias.unwrap(), burns.bias.unwrap()];
        let [ours, burns] = biases.map(|bias| drawn(&bias, &device));
        assert_eq!(ours, burns);
        assert!(ours.iter().any(|&value| value != 0.0));
        let (ours, burns) = (
            embedding(4, 6, &device),
            EmbeddingConfig::new(4, 6).init(&device),
        );
        assert_eq!(drawn(&ours.weight, &device), drawn(&burns.weight, &device));
        let burns = Conv2dConfig::new([3, 5], [3, 3]).init(&device);
        let initial = Initial::Uniform { fan: 27 };
        let weight = initial.parameter([5, 3, 3, 3], &device);
        let bias = initial.parameter([5], &device);
        assert_eq!(drawn(&weight, &device), drawn(&burns.weight, &device));
        let burns = burns.bias.unwrap();
        assert_eq!(drawn(&bias, &device), drawn(&burns, &device));
    }
}
