//! Runs an ONNX denoiser natively, with tract.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use burn::tensor::{Int, Tensor, TensorData};
use freeguide::denoiser::Denoiser;
use freeguide::network::{GivenNumbers, OtherInputs, TakenInputs};
use tract_onnx::prelude::Tensor as Values;
use tract_onnx::prelude::*;

/// A denoiser in an ONNX file, run by tract, which is independent of the code that wrote it.
pub struct OnnxDenoiser {
    model: InferenceModel,
    /// The network optimised by tract, for each shape of z.
    optimised: RefCell<HashMap<[usize; 4], Arc<TypedRunnableModel>>>,
    classes: usize,
    /// The names of its inputs, in their order.
    inputs: Vec<String>,
    failure: RefCell<Option<TractError>>,
}

impl OnnxDenoiser {
    /// Reads the bytes of a file.
    pub fn read(bytes: &[u8], classes: usize) -> Result<Self> {
        let model = tract_onnx::onnx().model_for_read(&mut &bytes[..])?;
        let names = model.inputs.iter();
        let names = names.map(|input| model.nodes[input.node].name.clone());
        Ok(Self {
            inputs: names.collect(),
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
        let mut model = self.model.clone();
        for (place, name) in self.inputs.iter().enumerate() {
            let fact = match name.as_str() {
                "z" => f32::fact(shape),
                "class" => i64::fact([rows]),
                "attributes" => f32::fact([rows, self.classes]),
                _ => f32::fact([rows]),
            };
            model = model.with_input_fact(place, fact.into())?;
        }
        let model = model.into_optimized()?.into_runnable()?;
        self.optimised.borrow_mut().insert(shape, model.clone());
        Ok(model)
    }

    /// The answer to inputs by name, of so many rows.
    fn run(&self, shape: [usize; 4], inputs: &Inputs) -> TractResult<Vec<f32>> {
        let model = self.optimised(shape)?;
        let rows = shape[0];
        let mut values = tvec!();
        for name in &self.inputs {
            let floats = inputs.floats.get(name.as_str());
            let floats = floats.map_or_else(|| vec![0.0; rows], Clone::clone);
            values.push(match name.as_str() {
                "z" => Values::from_shape(&shape, &inputs.z)?.into(),
                "class" => Values::from_shape(&[rows], &inputs.class)?.into(),
                "attributes" => Values::from_shape(&[rows, self.classes], &floats)?.into(),
                _ => Values::from_shape(&[rows], &floats)?.into(),
            });
        }
        let inputs = values;
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
        let has = |name: &str| self.inputs.iter().any(|input| input == name);
        TakenInputs {
            guidance: has("guidance"),
            next_log_snr: has("next_log_snr"),
            attributes: has("attributes"),
            number: has("number"),
            low_resolution: false,
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
        let guidance = others.guidance.unwrap_or_else(|| log_snr.zeros_like());
        let next = others.next_log_snr.unwrap_or_else(|| log_snr.clone());
        let class: Vec<i64> = class.into_data().iter::<i64>().collect();
        let attributes = match others.attributes {
            Some(attributes) => numbers(attributes),
            // The class of each row alone.
            None => {
                let ids = class.iter();
                let flag = |id: &i64, k: usize| f32::from(u8::from(*id == k as i64));
                ids.flat_map(|id| (0..self.classes).map(move |k| flag(id, k)))
                    .collect()
            }
        };
        let mut floats = HashMap::from([
            ("log_snr", numbers(log_snr)),
            ("guidance", numbers(guidance)),
            ("next_log_snr", numbers(next)),
            ("attributes", attributes),
        ]);
        if let Some(GivenNumbers { value, given }) = others.number {
            floats.insert("number", numbers(value));
            floats.insert("has_number", numbers(given));
        }
        let inputs = Inputs {
            z: numbers(z),
            class,
            floats,
        };
        let output = self.run(shape, &inputs).unwrap_or_else(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            vec![f32::NAN; inputs.z.len()]
        });
        Tensor::from_data(TensorData::new(output, shape), &device)
    }
}

/// Inputs of a run; those that are not here are 0.
struct Inputs {
    z: Vec<f32>,
    class: Vec<i64>,
    floats: HashMap<&'static str, Vec<f32>>,
}

fn numbers<const D: usize>(values: Tensor<D>) -> Vec<f32> {
    values.into_data().iter::<f32>().collect()
}
