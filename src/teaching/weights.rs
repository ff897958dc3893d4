//! The network with one more class, and the gradients that a phase uses.

use std::collections::HashMap;

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::Phase;
use crate::bundle::Config;
use crate::network::{UNet, UNetConfig};
use crate::parameters::{ParameterMapper, ParameterVisitor, map_parameters, visit_parameters};

/// The tensor with a row for each class, and one for ∅.
const CLASS_EMBEDDING: &str = "conditioning.class.weight";

/// `network` with one more class, on the device `to`. The new row is a copy of ∅'s, which is what the model knows of an image
/// of no known class, and lies before it: ∅ stays last. All other weights are the same bits.
pub(super) fn with_new_class(network: &UNet, of: &UNetConfig, config: &Config, to: &Device) -> UNet {
    let mut read = Read(HashMap::new());
    visit_parameters(network, &mut read);
    if let Some(rows) = read.0.get_mut(CLASS_EMBEDDING) {
        let [count, width] = [rows.shape()[0], rows.shape()[1]];
        let mut values: Vec<f32> = rows.iter::<f32>().collect();
        values.extend_from_within((count - 1) * width..);
        *rows = TensorData::new(values, [count + 1, width]);
    }
    let (image, classes) = (config.image, config.classes.len() + 1);
    let fresh = of.init(image.size, image.channels, classes, to);
    map_parameters(fresh, &mut read)
}

struct Read(HashMap<String, TensorData>);

impl ParameterVisitor for Read {
    fn visit<const D: usize>(&mut self, name: &str, parameter: &Param<Tensor<D>>) {
        self.0.insert(name.to_owned(), parameter.val().into_data());
    }
}

impl ParameterMapper for Read {
    fn map<const D: usize>(&mut self, name: &str, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.remove(name) {
            Some(data) => parameter
                .map(|fresh| Tensor::from_data(data, &fresh.device()).require_grad()),
            None => parameter,
        }
    }
}

/// The gradients of what a phase trains. The optimiser leaves weights without a gradient alone, and so a row whose gradient has
/// always been 0: weight decay is 0.
pub(super) fn of_phase(network: &UNet, gradients: GradientsParams, phase: Phase, stages: usize) -> GradientsParams {
    let mut chosen = Chosen {
        from: gradients,
        to: GradientsParams::new(),
        phase,
        last: format!("up.{}.", stages - 1),
    };
    visit_parameters(network, &mut chosen);
    chosen.to
}

struct Chosen {
    from: GradientsParams,
    to: GradientsParams,
    phase: Phase,
    last: String,
}

impl ParameterVisitor for Chosen {
    fn visit<const D: usize>(&mut self, name: &str, parameter: &Param<Tensor<D>>) {
        let Some(gradient) = self.from.remove::<D>(parameter.id) else {
            return;
        };
        let rows = name == CLASS_EMBEDDING;
        let chosen = match self.phase {
            Phase::All => Some(gradient),
            Phase::LastLayers => {
                let last = ["output_norm.", "output.", &self.last];
                (rows || last.iter().any(|part| name.starts_with(part))).then_some(gradient)
            }
            Phase::NewClass => rows.then(|| {
                let count = gradient.dims()[0];
                let mut keep = vec![0f32; count];
                keep[count - 2] = 1.0;
                let mut shape = [1; D];
                shape[0] = count;
                let keep = Tensor::<1>::from_data(TensorData::new(keep, [count]), &gradient.device());
                gradient * keep.reshape(shape)
            }),
        };
        if let Some(gradient) = chosen {
            self.to.register(parameter.id, gradient);
        }
    }
}
