//! Exponential moving averages of the weights, which are sampled and exported.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use crate::network::UNet;

/// An exponential moving average: after each step, `average ← d · average + (1 − d) · weights`.
#[derive(Debug, Clone)]
pub struct Ema {
    /// The averaged network, without gradients.
    pub network: UNet,
    /// The decay d.
    pub decay: f64,
}

impl Ema {
    /// An average that starts at the current weights.
    pub fn new(network: &UNet, decay: f64) -> Self {
        Self {
            network: network.valid(),
            decay,
        }
    }

    /// Updates the average with the weights after step number `step`, counted from 1.
    ///
    /// In the first steps the decay is smaller, (1 + step)/(10 + step), so that the random initial weights are
    /// forgotten as soon as possible.
    pub fn update(&mut self, network: &UNet, step: u64) {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        let mut collector = Weights(GradientsParams::new());
        network.visit(&mut collector);
        self.network = self.network.clone().map(&mut Mix {
            weights: collector.0,
            decay,
        });
    }
}

/// Collects weights by parameter. burn's container for gradients can hold tensors of any rank by parameter.
struct Weights(GradientsParams);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().inner());
    }
}

struct Mix {
    weights: GradientsParams,
    decay: f64,
}

impl ModuleMapper for Mix {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.weights.remove::<D>(param.id) {
            Some(weights) => {
                let decay = self.decay;
                param.map(|average| average * decay + weights * (1.0 - decay))
            }
            None => param,
        }
    }
}
