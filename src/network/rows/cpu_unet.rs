//! The network of a program that only samples, on the CPU alone.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Int, Tensor};

use crate::denoiser::Denoiser;
use crate::kernels::channels_last::Parameter;
use crate::network::{OtherInputs, TakenInputs, UNet};

/// A [`UNet`] that answers by rows and in no other way, so that a build for browsers holds none of the kernels of whole
/// batches.
#[derive(Debug, Clone)]
pub struct CpuUNet(UNet);

impl CpuUNet {
    /// `None` where a parameter is not of 32-bit floats on burn's CPU backend, or is to be trained.
    pub fn new(network: UNet) -> Option<Self> {
        let mut parameters = Parameters { serve: true };
        network.visit(&mut parameters);
        parameters.serve.then_some(Self(network))
    }
}

/// Whether rows can be answered with all parameters.
struct Parameters {
    serve: bool,
}

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.serve &= Parameter::of(parameter.val()).is_some();
    }
}

impl Denoiser for CpuUNet {
    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn takes(&self) -> TakenInputs {
        self.0.takes()
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let z = self.0.joined(z, &others);
        let embedding = self.0.conditioning.forward(log_snr, class, others);
        self.0
            .answer_rows(&z, &embedding)
            .expect("images and parameters of 32-bit floats on the CPU")
    }
}
