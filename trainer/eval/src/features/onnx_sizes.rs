//! How large what a network in ONNX computes will be, before any of it is computed.
//!
//! A few bytes can ask for any number of values (ConstantOfShape, Expand, a Concat of the same tensor, twenty times in
//! a row), and tract computes what follows from constants while it reads. Its rules give the shapes without that.

use anyhow::Context;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::{DimLike, bail, ensure};

/// Infers the shapes of all layers in order, and counts the values that they compute.
///
/// # Errors
///
/// If that is more than `most` values, or cannot be determined.
pub fn infer(model: &mut InferenceModel, most: usize) -> TractResult<()> {
    let mut left = Left::new(most);
    for id in model.eval_order()? {
        let name = model.node(id).to_string();
        infer_one(model, id, &mut left).with_context(|| name)?;
    }
    Ok(())
}

/// Infers the outputs of one layer by its rules and, if they are small enough, as tract does, which also computes
/// values that follow from constants.
fn infer_one(model: &mut InferenceModel, id: usize, left: &mut Left) -> TractResult<()> {
    let (inputs, outputs) = model.node_facts(id)?;
    let (inputs, outputs) = (cloned(inputs), cloned(outputs));
    let observed = model.node(id).op.observe_outlets(model, model.node(id))?;
    let observed: Vec<InferenceFact> = observed
        .into_iter()
        .map(|outlet| model.outlet_fact(outlet).cloned())
        .collect::<TractResult<_>>()?;
    let facts = || {
        let [inputs, outputs, observed] =
            [&inputs, &outputs, &observed].map(|f| f.iter().collect());
        (inputs, outputs, observed)
    };
    let constant = !inputs.is_empty() && inputs.iter().all(|fact| fact.value.is_concrete());
    let given = model.node(id).op_is::<Const>();
    let op = &mut model.node_mut(id).op;
    let (known, found, seen) = facts();
    for fact in op.infer_facts(known, found, seen)?.1 {
        match fact.shape.concretize() {
            Some(shape) if !given => left.takes(&shape)?,
            None if constant => bail!("its size cannot be determined before it is computed"),
            _ => {}
        }
    }
    let (known, found, seen) = facts();
    let inferred = op.infer(known, found, seen)?.1;
    for (slot, (fact, before)) in inferred.into_iter().zip(&outputs).enumerate() {
        let fact = before.unify(&fact)?;
        ensure!(fact.shape.is_concrete(), "its size cannot be determined");
        model.set_outlet_fact(OutletId::new(id, slot), fact)?;
    }
    Ok(())
}

fn cloned(facts: TVec<&InferenceFact>) -> Vec<InferenceFact> {
    facts.into_iter().cloned().collect()
}

/// Checks the layers of a network again, including the memory that they need besides their outputs.
///
/// # Errors
///
/// If that is more than `most` values, or cannot be determined.
pub fn check(model: &TypedModel, most: usize) -> TractResult<()> {
    let mut left = Left::new(most);
    for node in model.nodes().iter().filter(|node| !node.op_is::<Const>()) {
        for output in &node.outputs {
            left.takes(&output.fact.shape.to_tvec())
                .with_context(|| node.to_string())?;
        }
        // An integer convolution copies the window of its kernel at every position.
        if let Some(convolution) = node.op_as::<Conv>().filter(|conv| conv.q_params.is_some()) {
            let kernel = model.outlet_fact(node.inputs[1])?.shape.volume();
            let covered = kernel / convolution.output_channels().max(1) as i64;
            let places = node.outputs[0].fact.shape.volume();
            left.takes(&[covered, places])
                .with_context(|| node.to_string())?;
        }
    }
    Ok(())
}

/// The number of values that are still allowed.
struct Left {
    values: usize,
    most: usize,
}

impl Left {
    fn new(most: usize) -> Self {
        Self { values: most, most }
    }

    fn takes(&mut self, shape: &[TDim]) -> TractResult<()> {
        let mut dims = shape.iter().map(|dim| dim.to_usize().ok());
        let volume = dims.try_fold(1usize, |volume, dim| volume.checked_mul(dim?));
        match volume.and_then(|volume| self.values.checked_sub(volume)) {
            Some(left) => self.values = left,
            None => bail!(
                "it computes more than {} values per image, which no classifier does",
                self.most
            ),
        }
        Ok(())
    }
}
