//! The conditioning of an evaluation: three kernels, of which the last makes the modulations of all blocks.

use burn::tensor::Tensor;
use burn_cubecl::cubecl::server::Handle;

use super::packed::Packed;
use super::vectors::{THREADS, VectorSizesLaunch, vector_layer};
use super::{Gpu, Layout, Matrix, Pass, buffer, handle, launch};

/// A layer of one vector for each row.
#[derive(Debug)]
struct VectorLayer {
    weights: Handle,
    inputs: usize,
    outputs: usize,
    /// Where the result begins in a row.
    slot: usize,
}

impl VectorLayer {
    /// The layers whose outputs follow each other, each a weight and a bias, of the same input.
    fn new(gpu: &Gpu, layout: &mut Layout, layers: &[[Matrix; 2]]) -> Self {
        let inputs = layers.first().map_or(0, |[weight, _]| weight.rows);
        let outputs = layers.iter().map(|[weight, _]| weight.columns).sum();
        let packed = Packed::new(gpu, inputs + 1, outputs);
        let mut column = 0;
        for [weight, bias] in layers {
            packed.put(weight, 0, column, weight.columns);
            packed.put(bias, inputs, column, weight.columns);
            column += weight.columns;
        }
        Self {
            weights: packed.values,
            inputs,
            outputs,
            slot: layout.take(outputs),
        }
    }

    /// Layers of inputs that follow each other, whose outputs follow each other too.
    fn beside(gpu: &Gpu, layout: &mut Layout, layers: &[[Matrix; 2]]) -> Self {
        let inputs = layers.iter().map(|[weight, _]| weight.rows).sum();
        let outputs = layers.iter().map(|[weight, _]| weight.columns).sum();
        let packed = match layers.len() {
            1 => Packed::new(gpu, inputs + 1, outputs),
            // No output depends on the inputs of another layer.
            _ => Packed::zeros(gpu, inputs + 1, outputs),
        };
        let (mut row, mut column) = (0, 0);
        for [weight, bias] in layers {
            packed.put(weight, row, column, weight.columns);
            packed.put(bias, inputs, column, weight.columns);
            row += weight.rows;
            column += weight.columns;
        }
        Self {
            weights: packed.values,
            inputs,
            outputs,
            slot: layout.take(outputs),
        }
    }

    /// The sum of layers of inputs that follow each other.
    fn sum(gpu: &Gpu, layout: &mut Layout, layers: &[[Matrix; 2]]) -> Self {
        let inputs = layers.iter().map(|[weight, _]| weight.rows).sum();
        let outputs = layers.first().map_or(0, |[weight, _]| weight.columns);
        let packed = Packed::new(gpu, inputs + 1, outputs);
        let mut row = 0;
        for [weight, bias] in layers {
            packed.put(weight, row, 0, outputs);
            match row {
                0 => packed.put(bias, inputs, 0, outputs),
                _ => packed.add(bias, inputs, 0),
            }
            row += weight.rows;
        }
        Self {
            weights: packed.values,
            inputs,
            outputs,
            slot: layout.take(outputs),
        }
    }

    /// `table`: of the classes, whose rows are added.
    fn run(&self, pass: &Pass<'_>, input: Input<'_>, table: Option<&Handle>, activated: bool) {
        let gpu = pass.gpu;
        let (attributes, count) = match &pass.attributes {
            Some((flags, count)) => (flags, *count),
            None => (&pass.classes, 0),
        };
        let (given, is_given, stride, begin) = match input {
            Input::Given(given, stride) => (given, 1, stride, 0),
            // Another buffer in its place: none is bound for reading and for writing at once.
            Input::Slot(slot) => (&pass.classes, 0, 0, slot),
        };
        launch!(
            gpu,
            vector_layer,
            pass.rows * self.outputs.div_ceil(THREADS),
            THREADS,
            buffer(given),
            buffer(&self.weights),
            buffer(&pass.classes),
            buffer(attributes),
            buffer(table.unwrap_or(&self.weights)),
            buffer(&pass.scratch),
            VectorSizesLaunch::new(
                pass.rows,
                self.inputs,
                self.outputs,
                pass.row,
                is_given,
                stride,
                begin,
                self.slot,
                usize::from(table.is_some()),
                count,
                usize::from(activated),
            ),
        );
    }
}

/// Where a layer's input is.
enum Input<'a> {
    /// In a buffer, and from a row of it to the next; 0 where all rows have the same.
    Given(&'a Handle, usize),
    /// In the scratch memory, where it begins in each row.
    Slot(usize),
}

/// The sinusoidal embeddings of λ and of the other inputs that the network takes, one after the other.
pub(crate) enum Sinusoids {
    /// The same of all rows.
    All(Vec<f32>),
    /// Of each row, one after the other.
    Rows(Vec<Vec<f32>>),
    /// Of each row, `[rows, channels]`.
    Each(Tensor<2>),
}

/// The embedding of λ, of the class and of the other inputs, and what the blocks are modulated by.
#[derive(Debug)]
pub(crate) struct Conditioned {
    hidden: VectorLayer,
    embedding: VectorLayer,
    classes: Handle,
    modulations: VectorLayer,
}

impl Conditioned {
    /// `inputs`: of λ and of the other inputs, the first and the second layer of their sinusoidal embedding; `classes`:
    /// `[classes + 1, width]`; `modulations`: the layers of the embedding, in the order of their places.
    pub(crate) fn new(
        gpu: &Gpu,
        layout: &mut Layout,
        inputs: [Vec<[Matrix; 2]>; 2],
        classes: Tensor<2>,
        modulations: &[[Matrix; 2]],
    ) -> Self {
        Self {
            hidden: VectorLayer::beside(gpu, layout, &inputs[0]),
            embedding: VectorLayer::sum(gpu, layout, &inputs[1]),
            classes: handle(classes),
            modulations: VectorLayer::new(gpu, layout, modulations),
        }
    }

    /// Where the modulations begin in a row.
    pub(crate) fn modulations(&self) -> usize {
        self.modulations.slot
    }

    /// Fills the modulations of all rows.
    pub(crate) fn run(&self, pass: &Pass<'_>, sinusoids: Sinusoids) {
        let (given, stride) = match sinusoids {
            Sinusoids::All(values) => {
                let values = values.iter().map(|value| value.to_le_bytes());
                (pass.gpu.given(values), 0)
            }
            Sinusoids::Rows(rows) => {
                let stride = rows.first().map_or(0, Vec::len);
                let values = rows.iter().flatten().map(|value| value.to_le_bytes());
                (pass.gpu.given(values), stride)
            }
            Sinusoids::Each(values) => {
                let [_, stride] = values.dims();
                (handle(values), stride)
            }
        };
        let given = Input::Given(&given, stride);
        self.hidden.run(pass, given, None, true);
        let (hidden, classes) = (Input::Slot(self.hidden.slot), Some(&self.classes));
        self.embedding.run(pass, hidden, classes, true);
        let embedding = Input::Slot(self.embedding.slot);
        self.modulations.run(pass, embedding, None, false);
    }
}
