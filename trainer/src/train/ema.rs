//! Exponential moving averages of the weights, which are what is sampled and exported.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use freeguide::network::UNet;
use serde::{Deserialize, Serialize};

/// The most averages that a training keeps: each costs as much memory and disk as the weights.
const MOST: usize = 8;

/// The decays of the averages that a training keeps: in a recipe a number, or a list of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Decays {
    /// One average.
    One(f64),
    /// Several, of which the first is taken unless one says otherwise.
    Several(Vec<f64>),
}

impl Decays {
    /// The decays, the first first.
    pub fn all(&self) -> &[f64] {
        match self {
            Self::One(decay) => std::slice::from_ref(decay),
            Self::Several(decays) => decays,
        }
    }

    /// The decay of the average that is taken unless one says otherwise.
    pub fn first(&self) -> f64 {
        self.all().first().copied().unwrap_or_default()
    }

    /// Whether there are averages like that: at least one, of different decays in [0, 1).
    pub fn are_valid(&self) -> bool {
        let all = self.all();
        let different = (1..all.len()).all(|i| !all[..i].contains(&all[i]));
        (1..=MOST).contains(&all.len()) && different && all.iter().all(|d| (0.0..1.0).contains(d))
    }
}

/// An average that forgets: after each step `average ← d · average + (1 − d) · weights`.
#[derive(Debug, Clone)]
pub struct Ema {
    /// The averaged network, without gradients.
    pub network: UNet,
    /// d.
    pub decay: f64,
}

impl Ema {
    /// An average that starts at the weights as they are.
    pub fn new(network: &UNet, decay: f64) -> Self {
        Self {
            network: network.valid(),
            decay,
        }
    }

    /// Takes in the weights after step number `step`, counted from 1.
    ///
    /// Early on the average forgets faster, (1 + step)/(10 + step), so that the random weights of
    /// the beginning are gone as soon as possible.
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

/// Collects weights by parameter. burn's container for gradients keeps tensors of any rank by
/// parameter, which is what is wanted here.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decays_are_a_number_or_a_list() {
        #[derive(Deserialize, Serialize)]
        struct Holder {
            decay: Decays,
        }
        let read = |text: &str| toml::from_str::<Holder>(text).map(|holder| holder.decay);
        assert_eq!(read("decay = 0.5").unwrap().all(), [0.5]);
        let two = read("decay = [0.999, 0.9999]").unwrap();
        assert_eq!((two.all(), two.first()), (&[0.999, 0.9999][..], 0.999));
        let written = toml::to_string(&Holder { decay: two.clone() }).unwrap();
        assert_eq!(read(&written).unwrap(), two);
        assert!(two.are_valid() && Decays::One(0.0).are_valid());
        for bad in ["[]", "1.0", "[0.9, 1.0]", "[0.9, 0.9]", "-0.1", "nan"] {
            let decays = read(&format!("decay = {bad}")).unwrap();
            assert!(!decays.are_valid(), "{bad}");
        }
    }
}
