//! Sums the results of all processes for a step.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::Ranks;

/// The combined results of all processes for a step.
pub struct Together {
    /// The sum of the gradients.
    pub gradients: GradientsParams,
    /// The sum of the losses.
    pub loss: f32,
    /// Whether any process was asked to stop.
    pub stopping: bool,
}

impl Ranks {
    /// Sums gradients, loss and the request to stop over all processes, in one exchange. Also returns how long it took,
    /// including the wait for the slowest process.
    ///
    /// All processes get the same bits and therefore take the same step.
    ///
    /// # Errors
    /// If a process is lost, or the device fails.
    pub fn sum_step<M: Module>(
        &self,
        module: &M,
        gradients: &GradientsParams,
        loss: f32,
        stopping: bool,
    ) -> Result<(Together, Duration)> {
        let mut flat = Flatten {
            gradients,
            values: vec![loss, f32::from(u8::from(stopping))],
            failed: None,
        };
        module.visit(&mut flat);
        if let Some(error) = flat.failed {
            return Err(error).context("the device failed");
        }
        let mut values = flat.values;
        let begun = Instant::now();
        self.sum(&mut values)?;
        let took = begun.elapsed();
        let mut rest = Restore {
            like: gradients,
            values: &values[2..],
            gradients: GradientsParams::new(),
        };
        module.visit(&mut rest);
        let together = Together {
            gradients: rest.gradients,
            loss: values[0],
            stopping: values[1] > 0.0,
        };
        Ok((together, took))
    }
}

/// Concatenates all gradients in the order of the module's parameters. The ids of the parameters differ between
/// processes, but the order does not.
struct Flatten<'a> {
    gradients: &'a GradientsParams,
    values: Vec<f32>,
    failed: Option<anyhow::Error>,
}

impl ModuleVisitor for Flatten<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else {
            return;
        };
        match gradient.try_into_data() {
            Ok(data) => self.values.extend(data.iter::<f32>()),
            Err(error) => self.failed = Some(anyhow::anyhow!("{error:?}")),
        }
    }
}

/// Splits concatenated gradients again.
struct Restore<'a> {
    like: &'a GradientsParams,
    values: &'a [f32],
    gradients: GradientsParams,
}

impl ModuleVisitor for Restore<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.like.get::<D>(param.id) else {
            return;
        };
        let shape = gradient.dims();
        let count = shape.iter().product();
        let (values, rest) = self.values.split_at(count);
        self.values = rest;
        let data = TensorData::new(values.to_vec(), shape);
        let gradient = Tensor::<D>::from_data(data, &gradient.device());
        self.gradients.register(param.id, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn alone_the_gradients_come_back_as_they_were() {
        let device = Device::flex();
        let layer = LinearConfig::new(2, 3).init(&device.clone().autodiff());
        let x = Tensor::<2>::from_floats([[3.0, 4.0]], &device.clone().autodiff());
        let loss = layer.forward(x).square().sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        let (together, _) = Ranks::alone()
            .sum_step(&layer, &gradients, 2.5, true)
            .unwrap();
        assert_eq!((together.loss, together.stopping), (2.5, true));
        let weight = layer.weight.id;
        assert_eq!(
            gradients.get::<2>(weight).unwrap().into_data(),
            together.gradients.get::<2>(weight).unwrap().into_data()
        );
        let bias = layer.bias.as_ref().unwrap().id;
        assert_eq!(
            gradients.get::<1>(bias).unwrap().into_data(),
            together.gradients.get::<1>(bias).unwrap().into_data()
        );
    }
}
