//! Mixed precision (Micikevicius et al. 2018). The network computes in 16 bits on a copy of the weights. The weights,
//! their averages and the optimiser's moments stay in f32.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};
use freeguide::network::UNet;
use freeguide_recipe::Precision;
use serde::{Deserialize, Serialize};

use anyhow::{Result, bail};

fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
        Precision::F16 => DType::F16,
    }
}

/// Refuses a precision that the device does not support.
pub fn check(precision: Precision, device: &Device) -> Result<()> {
    if device.supports_dtype(dtype(precision)) {
        return Ok(());
    }
    let able: Vec<_> = [Precision::F32, Precision::Bf16, Precision::F16]
        .into_iter()
        .filter(|p| device.supports_dtype(dtype(*p)))
        .map(Precision::name)
        .collect();
    bail!(
        "train.precision is {:?}, which this device does not support; it supports {}",
        precision.name(),
        able.join(" and ")
    );
}

/// The network to compute with: `network` itself, or a 16-bit copy. The parameters of the copy have the same ids, so
/// that its gradients belong to those of `network`.
pub fn working_copy(precision: Precision, network: &UNet) -> UNet {
    match precision {
        Precision::F32 => network.clone(),
        _ => network.clone().map(&mut Rounded {
            dtype: dtype(precision),
            kept: 0,
        }),
    }
}

/// Rounds parameters to 16 bits, except those of group normalisations, which compute in f32.
struct Rounded {
    dtype: DType,
    kept: usize,
}

impl ModuleMapper for Rounded {
    fn enter_module(&mut self, _: &str, container: &str) {
        self.kept += usize::from(is_norm(container));
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.kept -= usize::from(is_norm(container));
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.kept > 0 {
            return param;
        }
        let rounded = param.val().detach().set_require_grad(false);
        Param::initialized(param.id, rounded.cast(self.dtype).require_grad())
    }
}

fn is_norm(container: &str) -> bool {
    container.ends_with("GroupNorm")
}

/// Dynamic loss scaling, which keeps small gradients representable in f16. When a gradient overflows, the step is
/// skipped and the factor is halved. After a number of steps without overflow it is doubled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// The factor, a power of two.
    pub factor: f64,
    /// The number of steps since it last changed.
    pub steady: u32,
}

impl LossScale {
    /// The initial factor, and the number of steps without overflow after which it doubles, as in PyTorch.
    const START: f64 = 65_536.0;
    const PATIENCE: u32 = 2_000;
    const MOST: f64 = 16_777_216.0;

    /// The scale for a precision, if it needs one.
    pub fn for_precision(precision: Precision) -> Option<Self> {
        (precision == Precision::F16).then_some(Self {
            factor: Self::START,
            steady: 0,
        })
    }

    /// Records whether the gradients of a step were finite.
    ///
    /// # Errors
    ///
    /// If gradients overflow with any factor, because the training has diverged.
    pub fn update(&mut self, finite: bool) -> Result<()> {
        if !finite {
            self.factor /= 2.0;
            self.steady = 0;
            if self.factor < 1.0 {
                bail!(
                    "the training has diverged: gradients overflow f16 with any loss scale; lower train.learning_rate, or use train.precision = \"bf16\" or \"f32\""
                );
            }
            return Ok(());
        }
        self.steady += 1;
        if self.steady >= Self::PATIENCE && self.factor < Self::MOST {
            self.factor *= 2.0;
            self.steady = 0;
        }
        Ok(())
    }
}

/// Sums the gradients of the parts of a batch, in f32.
pub struct GradientSum {
    sum: GradientsParams,
    next: GradientsParams,
    factor: f64,
}

impl GradientSum {
    /// An empty sum. Each gradient is multiplied by `factor`.
    pub fn new(factor: f64) -> Self {
        Self {
            sum: GradientsParams::new(),
            next: GradientsParams::new(),
            factor,
        }
    }

    /// Adds the gradients of one part.
    pub fn add(&mut self, network: &UNet, gradients: GradientsParams) {
        self.next = gradients;
        network.visit(self);
    }

    /// Returns the sum.
    pub fn finish(self) -> GradientsParams {
        self.sum
    }
}

impl ModuleVisitor for GradientSum {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.next.remove::<D>(param.id) else {
            return;
        };
        let mut gradient = gradient.cast(DType::F32);
        if self.factor != 1.0 {
            gradient = gradient * self.factor;
        }
        let sum = match self.sum.remove::<D>(param.id) {
            Some(sum) => sum + gradient,
            None => gradient,
        };
        self.sum.register(param.id, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_scale_finds_its_height() {
        let mut scale = LossScale::for_precision(Precision::F16).unwrap();
        scale.update(false).unwrap();
        scale.update(false).unwrap();
        assert_eq!((scale.factor, scale.steady), (16_384.0, 0));
        (0..1_999).for_each(|_| scale.update(true).unwrap());
        assert_eq!(scale.factor, 16_384.0);
        scale.update(true).unwrap();
        assert_eq!((scale.factor, scale.steady), (32_768.0, 0));
        (0..100_000).for_each(|_| scale.update(true).unwrap());
        assert_eq!(scale.factor, LossScale::MOST);
        let error = (0..40).find_map(|_| scale.update(false).err()).unwrap();
        assert!(error.to_string().contains("diverged"), "{error}");
        for precision in [Precision::F32, Precision::Bf16] {
            assert_eq!(LossScale::for_precision(precision), None);
        }
    }
}
