//! Gradient clipping by the global norm (Pascanu et al. 2013). burn clips each tensor on its own, which changes the
//! direction of the step.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales all gradients by the same factor so that their global norm is at most `limit`. Returns the scaled gradients
/// and the norm before clipping, `[1]`.
pub fn clip_global_norm<M: Module>(
    module: &M,
    gradients: GradientsParams,
    limit: f64,
) -> (GradientsParams, Option<Tensor<1>>) {
    let mut norm = SquaredNorm {
        gradients: &gradients,
        sum: None,
    };
    module.visit(&mut norm);
    let Some(norm) = norm.sum.map(Tensor::sqrt) else {
        return (gradients, None);
    };
    // limit / max(norm, limit): 1 if the norm is within the limit.
    let factor = norm.clone().clamp_min(limit).recip() * limit;
    let mut scale = Scale {
        from: gradients,
        to: GradientsParams::new(),
        factor,
    };
    module.visit(&mut scale);
    (scale.to, Some(norm))
}

struct SquaredNorm<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale {
    from: GradientsParams,
    to: GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.to.register(param.id, gradient * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn the_direction_stays_and_the_norm_is_the_limit() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 1).init(&device);
        let x = Tensor::<2>::from_floats([[3.0, 4.0]], &device);
        let gradients = || {
            let loss = layer.forward(x.clone()).sum();
            GradientsParams::from_grads(loss.backward(), &layer)
        };
        // The gradient is (3, 4) for the weight and 1 for the bias.
        for (limit, expected) in [(100.0, 1.0), (13f64.sqrt(), 0.5f64.sqrt())] {
            let (clipped, norm) = clip_global_norm(&layer, gradients(), limit);
            assert!((norm.unwrap().into_scalar::<f32>() - 26f32.sqrt()).abs() < 1e-5);
            let weight = clipped.get::<2>(layer.weight.id).unwrap().into_data();
            let weight = weight.as_slice::<f32>().unwrap();
            assert!(
                (f64::from(weight[0]) - 3.0 * expected).abs() < 1e-5,
                "{weight:?}"
            );
            assert!(
                (f64::from(weight[1]) - 4.0 * expected).abs() < 1e-5,
                "{weight:?}"
            );
        }
    }
}
