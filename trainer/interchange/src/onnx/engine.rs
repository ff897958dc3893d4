//! Runs an ONNX denoiser natively, with tract.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use burn::tensor::{Int, Tensor, TensorData};
use freeguide::denoiser::Denoiser;
use freeguide::network::{OtherInputs, TakenInputs};
use tract_onnx::prelude::Tensor as Values;
use tract_onnx::prelude::*;

/// The number of inputs of a denoiser that does not take w.
const INPUTS: usize = 3;

/// A denoiser in an ONNX file, run by tract, which is independent of the code that wrote it.
pub struct OnnxDenoiser {
    model: InferenceModel,
    /// The network optimised by tract, for each shape of z.
    optimised: RefCell<HashMap<[usize; 4], Arc<TypedRunnableModel>>>,
    classes: usize,
    /// How many inputs it has beside z, λ and the class: w, and λ that the step leads to.
    others: usize,
    failure: RefCell<Option<TractError>>,
}

impl OnnxDenoiser {
    /// Reads the bytes of a file.
    pub fn read(bytes: &[u8], classes: usize) -> Result<Self> {
        let model = tract_onnx::onnx().model_for_read(&mut &bytes[..])?;
        Ok(Self {
            others: model.inputs.len().saturating_sub(INPUTS),
            model,
            optimised: RefCell::default(),
            classes,
            failure: RefCell::new(None),
        })
    }

    /// Why a run failed, if one did.
    pub fn failure(&self) -> Result<()> {
        match self.failure.take() {
            Some(error) => Err(error).context("the ONNX file cannot be run"),
            None => Ok(()),
        }
    }

    /// The network for this shape of z. Optimising takes much longer than running.
    fn optimised(&self, shape: [usize; 4]) -> TractResult<Arc<TypedRunnableModel>> {
        if let Some(model) = self.optimised.borrow().get(&shape) {
            return Ok(model.clone());
        }
        let rows = shape[0];
        let mut model = self
            .model
            .clone()
            .with_input_fact(0, f32::fact(shape).into())?
            .with_input_fact(1, f32::fact([rows]).into())?
            .with_input_fact(2, i64::fact([rows]).into())?;
        for input in 0..self.others {
            model = model.with_input_fact(INPUTS + input, f32::fact([rows]).into())?;
        }
        let model = model.into_optimized()?.into_runnable()?;
        self.optimised.borrow_mut().insert(shape, model.clone());
        Ok(model)
    }

    fn run(
        &self,
        z: &[f32],
        shape: [usize; 4],
        log_snr: &[f32],
        class: &[i64],
        others: &[Vec<f32>],
    ) -> TractResult<Vec<f32>> {
        let rows = shape[0];
        let model = self.optimised(shape)?;
        let mut inputs = tvec!(
            Values::from_shape(&shape, z)?.into(),
            Values::from_shape(&[rows], log_snr)?.into(),
            Values::from_shape(&[rows], class)?.into(),
        );
        for values in &others[..self.others] {
            inputs.push(Values::from_shape(&[rows], values)?.into());
        }
        let outputs = model.run(inputs)?;
        Ok(outputs[0]
            .to_plain_array_view::<f32>()?
            .iter()
            .copied()
            .collect())
    }
}

impl Denoiser for OnnxDenoiser {
    fn classes(&self) -> usize {
        self.classes
    }

    fn takes(&self) -> TakenInputs {
        TakenInputs {
            guidance: self.others > 0,
            next_log_snr: self.others > 1,
        }
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let (device, shape) = (z.device(), z.dims());
        let numbers = |values: Tensor<1>| values.into_data().iter::<f32>().collect::<Vec<f32>>();
        let z: Vec<f32> = z.into_data().iter::<f32>().collect();
        let class: Vec<i64> = class.into_data().iter::<i64>().collect();
        let guidance = others.guidance.unwrap_or_else(|| log_snr.zeros_like());
        let next = others.next_log_snr.unwrap_or_else(|| log_snr.clone());
        let [log_snr, guidance, next] = [log_snr, guidance, next].map(numbers);
        let output = self
            .run(&z, shape, &log_snr, &class, &[guidance, next])
            .unwrap_or_else(|error| {
                self.failure.borrow_mut().get_or_insert(error);
                vec![f32::NAN; z.len()]
            });
        Tensor::from_data(TensorData::new(output, shape), &device)
    }
}
