//! Checks whether the parameters of a network are finite.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Whether every parameter is finite: neither NaN nor infinite.
pub fn is_finite<M: Module>(module: &M) -> bool {
    let mut check = Check(true);
    module.visit(&mut check);
    check.0
}

struct Check(bool);

impl ModuleVisitor for Check {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().into_data();
        self.0 &= values.iter::<f32>().all(f32::is_finite);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn one_bad_number_is_found() {
        let layer = LinearConfig::new(2, 3).init(&Device::flex());
        assert!(is_finite(&layer));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut layer = layer.clone();
            layer.bias = layer.bias.map(|bias| bias.map(|b| b.slice_fill(1..2, bad)));
            assert!(!is_finite(&layer));
        }
    }
}
