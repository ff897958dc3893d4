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

    /// `table`: of the classes, whose rows are added.
    fn run(&self, pass: &Pass<'_>, input: Input<'_>, table: Option<&Handle>, activated: bool) {
        let gpu = pass.gpu;
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

/// The sinusoidal embedding of λ.
pub(crate) enum Sinusoids {
    /// The same of all rows.
    All(Vec<f32>),
    /// Of each row, `[rows, channels]`.
    Each(Tensor<2>),
}

/// The embedding of (λ, class), and what the blocks are modulated by.
#[derive(Debug)]
pub(crate) struct Conditioned {
    hidden: VectorLayer,
    embedding: VectorLayer,
    classes: Handle,
    modulations: VectorLayer,
}

impl Conditioned {
    /// `hidden`, `embedding`: the layers of the sinusoidal embedding of λ; `classes`: `[classes + 1, width]`; `modulations`:
    /// the layers of the embedding, in the order of their places.
    pub(crate) fn new(
        gpu: &Gpu,
        layout: &mut Layout,
        [hidden, embedding]: [[Matrix; 2]; 2],
        classes: Tensor<2>,
        modulations: &[[Matrix; 2]],
    ) -> Self {
        Self {
            hidden: VectorLayer::new(gpu, layout, &[hidden]),
            embedding: VectorLayer::new(gpu, layout, &[embedding]),
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
