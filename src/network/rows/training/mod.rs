//! The network's answer by rows, with its gradients, as one operation of burn's autodiff graph.
//!
//! Some rows at a time go through all layers, so that their activations stay in the cache; backward, the same rows go back.
//! What depends on the embedding (scales and shifts of normalisations) is computed by burn for all rows and comes in as one
//! tensor, and the parameters of all layers as another. The gradients of both go back into burn's graph.
//!
//! The rows are divided into parts, whatever the number of threads. A part's gradients are summed alone, and the sums of all
//! parts are added in order: so they do not depend on who computed what.

mod backward;
mod dropout;
mod pass;
mod plan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients as Graph;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchKindConversion, DispatchTensor, Flex, TensorMetadata};
use burn::tensor::{DType, Device, Tensor, TensorData};

use self::backward::{Gradients, Sums};
use self::pass::{Pass, Tape};
use self::plan::{Layer, Plan, Planned, planned};
use crate::kernels::channels_last::{
    Arenas, Direction, Parameter, packed_convolution, packed_linear,
};
use crate::kernels::{ConvolutionWeights, for_each_chunk, in_order, map};
use crate::network::dropout::MaskKey;
use crate::network::{DropoutMasks, UNet};

/// Pixels of a part's rows, where there are more than a few parts.
const PART_PIXELS: usize = 8192;
/// Parts that there are at least, if there are as many chunks.
const PARTS: usize = 4;
/// What a network's trainings leave for the next step.
#[derive(Debug, Default)]
pub(crate) struct TrainingMemory {
    arenas: Arenas,
    sums: Mutex<Vec<Sums>>,
}

impl TrainingMemory {
    /// Sums for this plan, whatever their last use left in them.
    fn sums(&self, plan: &Plan) -> Sums {
        let mut kept = lock(&self.sums);
        kept.retain(|sums| sums.serve(plan));
        kept.pop().unwrap_or_else(|| Sums::zeros(plan))
    }

    fn keep(&self, sums: Sums) {
        lock(&self.sums).push(sums);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tensors of a graph of gradients on burn's CPU backend.
type OnCpu<C> = Autodiff<Flex, C>;

impl UNet {
    /// The network's answer where (λ, class) have this embedding, as part of a graph of gradients; `None` where the tensors
    /// are not of 32-bit floats on burn's CPU backend, and of networks that do not go this way.
    pub(crate) fn train_rows(
        &self,
        z: &Tensor<4>,
        embedding: &Tensor<2>,
        masks: Option<&DropoutMasks>,
    ) -> Option<Tensor<4>> {
        let [rows, ..] = z.dims();
        if z.dtype() != DType::F32 || self.input.dtype() != DType::F32 || rows == 0 {
            return None;
        }
        self.train_rows_with::<NoCheckpointing>(z, embedding, masks, true)
            .or_else(|| self.train_rows_with::<BalancedCheckpointing>(z, embedding, masks, false))
    }

    /// As [`train_rows`](Self::train_rows), of tensors whose graph computes activations again by that strategy: here all of
    /// them, unless it `keeps` them.
    fn train_rows_with<C: CheckpointStrategy>(
        &self,
        z: &Tensor<4>,
        embedding: &Tensor<2>,
        masks: Option<&DropoutMasks>,
        keeps: bool,
    ) -> Option<Tensor<4>>
    where
        DispatchTensor: DispatchKindConversion<OnCpu<C>>,
    {
        let [rows, inputs, height, width] = z.dims();
        let z = z.clone().try_into_primitive::<OnCpu<C>>().ok()?;
        let Planned {
            plan,
            parameters,
            values,
        } = planned(self, embedding, rows, [height, width])?;
        let parameters = parameters.try_into_primitive::<OnCpu<C>>().ok()?;
        let values = values.try_into_primitive::<OnCpu<C>>().ok()?;
        let nodes = [z.node(), values.node(), parameters.node()];
        let [z, values, parameters] =
            [z, values, parameters].map(|t| Parameter::of_primitive(t.into_primitive()));
        let evaluation = Evaluation {
            plan,
            memory: self.training.clone(),
            z,
            values,
            parameters,
            rows,
            inputs,
            image: [self.colors(), height, width],
            masks: masks.map(DropoutMasks::key),
        };
        let prepared = Rows.prepare::<C>(nodes).compute_bound();
        let answer = match prepared.stateful() {
            OpsKind::Tracked(prepared) => {
                let (answer, tapes) = evaluation.forward(keeps);
                let saved = Saved {
                    evaluation: Arc::new(evaluation),
                    tapes: Arc::new(Mutex::new(tapes)),
                };
                prepared.finish(saved, answer)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(evaluation.forward(false).0),
        };
        Some(Tensor::from_primitive::<OnCpu<C>>(answer))
    }
}

/// Rows that a network answers.
struct Evaluation {
    plan: Plan,
    memory: Arc<TrainingMemory>,
    /// `[rows, inputs, height, width]`
    z: Parameter,
    /// `[rows, columns]`
    values: Parameter,
    parameters: Parameter,
    rows: usize,
    /// Channels that the first layer sees, before patches.
    inputs: usize,
    /// Of the answer.
    image: [usize; 3],
    masks: Option<MaskKey>,
}

impl Evaluation {
    fn size(&self) -> usize {
        self.image.iter().product()
    }

    /// Values of what the first layer sees of a row.
    fn of_input(&self) -> usize {
        self.inputs * self.image[1] * self.image[2]
    }

    /// The rows of a chunk.
    fn chunk(&self, chunk: usize) -> Range<usize> {
        let size = self.plan.chunk;
        chunk * size..((chunk + 1) * size).min(self.rows)
    }

    fn chunks(&self) -> usize {
        self.rows.div_ceil(self.plan.chunk)
    }

    /// The weights of every layer, as they are read in that direction.
    fn pack(&self, direction: Direction) -> Vec<ConvolutionWeights> {
        map(self.plan.layers.len(), |i| {
            let Layer {
                weight,
                shape,
                linear,
                ..
            } = self.plan.layers[i];
            let values = &self.parameters.get()[weight..][..shape.weights()];
            match linear {
                true => packed_linear(values, shape, direction),
                false => packed_convolution(values, shape, direction),
            }
        })
    }

    /// The answer, and what backward needs where it `keeps` that.
    fn forward(&self, keeps: bool) -> (FlexTensor, Vec<Option<Tape>>) {
        let weights = self.pack(Direction::Forward);
        let size = self.size();
        let mut answer = vec![0.0; self.rows * size];
        let tapes = Mutex::new(Vec::new());
        lock(&tapes).resize_with(self.chunks(), || None);
        for_each_chunk(
            &mut answer,
            self.plan.chunk * size,
            |(): &mut (), i, answer| {
                self.memory.arenas.with(|arena| {
                    let (mut pass, z) = self.pass(self.chunk(i), &weights, arena);
                    let tape = pass.forward(z, self.image, answer);
                    match keeps {
                        true => lock(&tapes)[i] = Some(tape),
                        false => pass.forget(tape),
                    }
                });
            },
        );
        let [colors, height, width] = self.image;
        let answer = tensor(answer, [self.rows, colors, height, width]);
        (
            answer,
            tapes.into_inner().unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn pass<'a>(
        &'a self,
        rows: Range<usize>,
        weights: &'a [ConvolutionWeights],
        arena: &'a mut crate::kernels::channels_last::Arena,
    ) -> (Pass<'a>, &'a [f32]) {
        let columns = self.plan.columns;
        let pass = Pass {
            plan: &self.plan,
            parameters: self.parameters.get(),
            weights,
            arena,
            masks: self.masks,
            rows: rows.len(),
            first: rows.start,
            values: &self.values.get()[rows.start * columns..rows.end * columns],
        };
        let size = self.of_input();
        (pass, &self.z.get()[rows.start * size..rows.end * size])
    }

    /// The gradients of z, where it is asked for, of the values and of the parameters, for that of the answer.
    fn backward(&self, tapes: Vec<Option<Tape>>, grad: &[f32], asks_for_z: bool) -> [Vec<f32>; 3] {
        let weights = self.pack(Direction::Backward);
        // Where nothing was kept, the same rows go forwards again.
        let forward = tapes.iter().any(Option::is_none);
        let forward = forward.then(|| self.pack(Direction::Forward));
        let (size, of_input, columns) = (self.size(), self.of_input(), self.plan.columns);
        let pixels = self.image[1] * self.image[2] / (self.plan.patch * self.plan.patch);
        let parts = (self.rows * pixels / PART_PIXELS)
            .max(PARTS)
            .min(self.chunks());
        let of_part = self.chunks().div_ceil(parts);
        let parts = self.chunks().div_ceil(of_part);
        let tapes = Mutex::new(tapes);
        let of_values = Mutex::new(vec![0.0; self.rows * columns]);
        let of_z = Mutex::new(vec![0.0; if asks_for_z { self.rows * of_input } else { 0 }]);
        let total: Mutex<Option<Sums>> = Mutex::new(None);
        let part = |kept: &mut Option<Sums>, part: usize| {
            let mut sums = kept.take().unwrap_or_else(|| self.memory.sums(&self.plan));
            sums.clear();
            for chunk in part * of_part..((part + 1) * of_part).min(self.chunks()) {
                let rows = self.chunk(chunk);
                let tape = lock(&tapes)[chunk].take();
                let mut own = vec![0.0; rows.len() * columns];
                let mut own_z = vec![0.0; if asks_for_z { rows.len() * of_input } else { 0 }];
                self.memory.arenas.with(|arena| {
                    let tape = tape.or_else(|| {
                        let weights = forward.as_deref()?;
                        let (mut pass, z) = self.pass(rows.clone(), weights, arena);
                        Some(pass.forward(z, self.image, &mut vec![0.0; rows.len() * size]))
                    });
                    let Some(tape) = tape else {
                        return;
                    };
                    let (mut pass, z) = self.pass(rows.clone(), &weights, arena);
                    let grad = &grad[rows.start * size..rows.end * size];
                    let mut to = Gradients {
                        sums: &mut sums,
                        values: &mut own,
                        z: asks_for_z.then_some(&mut own_z[..]),
                    };
                    pass.backward(tape, [z, grad], self.image, &mut to);
                });
                lock(&of_values)[rows.start * columns..rows.end * columns].copy_from_slice(&own);
                if asks_for_z {
                    lock(&of_z)[rows.start * of_input..rows.end * of_input].copy_from_slice(&own_z);
                }
            }
            sums
        };
        // A thread sums its next part where it summed the last one, unless those are the total.
        let take = |kept: &mut KeptSums<'_>, _: usize, sums: Sums| match &mut *lock(&total) {
            Some(total) => {
                total.add(&sums);
                kept.sums = Some(sums);
            }
            empty => *empty = Some(sums),
        };
        in_order(
            parts,
            || KeptSums::new(&self.memory),
            |kept, i| part(&mut kept.sums, i),
            take,
        );
        let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
        let total = total.unwrap_or_else(|| self.memory.sums(&self.plan));
        let of_parameters = self.finish(&total);
        self.memory.keep(total);
        let [of_z, of_values] =
            [of_z, of_values].map(|all| all.into_inner().unwrap_or_else(PoisonError::into_inner));
        [of_z, of_values, of_parameters]
    }

    /// The gradients of all parameters.
    fn finish(&self, sums: &Sums) -> Vec<f32> {
        let mut gradient = vec![0.0; self.plan.parameters];
        for layer in &self.plan.layers {
            let Layer {
                shape,
                weight,
                bias,
                bias_sum,
                ..
            } = *layer;
            let of_weight = &mut gradient[weight..][..shape.weights()];
            match layer.linear {
                true => shape.finish_linear(&sums.layers[layer.index], of_weight),
                false => shape.finish(&sums.layers[layer.index], &[], of_weight),
            }
            if let Some(bias) = bias {
                let short = &sums.short[bias_sum..][..shape.outputs];
                gradient[bias..][..shape.outputs].copy_from_slice(short);
            }
        }
        for norm in &self.plan.norms {
            for (part, at) in [norm.weight, norm.bias].into_iter().enumerate() {
                let short = &sums.short[norm.sum + part * norm.channels..][..norm.channels];
                gradient[at..][..norm.channels].copy_from_slice(short);
            }
        }
        gradient
    }
}

/// The sums of a thread, which are kept for the next step when it ends.
struct KeptSums<'a> {
    memory: &'a TrainingMemory,
    sums: Option<Sums>,
}

impl<'a> KeptSums<'a> {
    fn new(memory: &'a TrainingMemory) -> Self {
        Self { memory, sums: None }
    }
}

impl Drop for KeptSums<'_> {
    fn drop(&mut self) {
        if let Some(sums) = self.sums.take() {
            self.memory.keep(sums);
        }
    }
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    let tensor = Tensor::<D>::from_data(TensorData::new(values, shape), &Device::flex());
    tensor
        .try_into_primitive::<Flex>()
        .expect("a tensor on burn's CPU backend")
}

/// What backward needs of an evaluation.
#[derive(Clone)]
struct Saved {
    evaluation: Arc<Evaluation>,
    tapes: Arc<Mutex<Vec<Option<Tape>>>>,
}

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Saved")
    }
}

#[derive(Debug)]
struct Rows;

impl Backward<Flex, 3> for Rows {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, grads: &mut Graph, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let Saved { evaluation, tapes } = ops.state;
        let [rows, _, height, width] = grad.shape().dims();
        let shape = [rows, evaluation.inputs, height, width];
        let grad = Parameter::of_primitive(grad);
        let tapes = std::mem::take(&mut *lock(&tapes));
        let [z, values, parameters] = ops.parents;
        let [of_z, of_values, of_parameters] = evaluation.backward(tapes, grad.get(), z.is_some());
        if let Some(node) = z {
            grads.register::<Flex>(node.id, tensor(of_z, shape));
        }
        if let Some(node) = values {
            let shape = [evaluation.rows, evaluation.plan.columns];
            grads.register::<Flex>(node.id, tensor(of_values, shape));
        }
        if let Some(node) = parameters {
            let length = of_parameters.len();
            grads.register::<Flex>(node.id, tensor(of_parameters, [length]));
        }
    }
}
