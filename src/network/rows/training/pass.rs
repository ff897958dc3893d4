//! Some rows through all layers, forwards.

use std::sync::Arc;

use super::dropout::drop_values;
use super::plan::{AttentionLayers, BlockLayers, Layer, NormLayer, Plan, Step};
use crate::kernels::ConvolutionWeights;
use crate::kernels::channels_last::{
    Arena, Image, Norm, Values, attend, bordered, convolve_packed, from_planes, joined, resampled,
    to_planes,
};
use crate::network::dropout::MaskKey;
use crate::network::{Modulation, Resample};

/// What the layers of some rows share.
pub(super) struct Pass<'a> {
    pub plan: &'a Plan,
    pub parameters: &'a [f32],
    /// The weights of every layer, as this direction reads them.
    pub weights: &'a [ConvolutionWeights],
    pub arena: &'a mut Arena,
    pub masks: Option<MaskKey>,
    /// The number of these rows, and of the first among all.
    pub rows: usize,
    pub first: usize,
    /// `[rows, columns]`
    pub values: &'a [f32],
}

/// What backward needs of a step that forward has taken.
#[derive(Debug)]
pub(super) enum Kept {
    Block {
        x: Arc<Image>,
        /// After the first convolution.
        convolved: Image,
    },
    Attention {
        x: Arc<Image>,
        qkv: Image,
        mixed: Image,
    },
    Join([usize; 2]),
    Double(Arc<Image>),
    Nothing,
}

/// What backward needs of some rows.
#[derive(Debug)]
pub(super) struct Tape {
    pub steps: Vec<Kept>,
    /// Before the last normalisation.
    pub last: Arc<Image>,
}

impl Pass<'_> {
    /// The network's answer of these rows, `[rows, colors, height, width]`. The first layer sees `z`, which begins with the
    /// colours and may have more channels.
    pub(super) fn forward(
        &mut self,
        z: &[f32],
        [colors, height, width]: [usize; 3],
        answer: &mut [f32],
    ) -> Tape {
        let plan = self.plan;
        let inputs = z.len() / (self.rows * height * width);
        let shape = [self.rows, inputs, height, width];
        let input = from_planes(self.arena, z, shape, plan.patch, 1);
        let mut x = Arc::new(self.apply(&plan.input, &input, None));
        input.free(self.arena);
        let mut skips: Vec<Arc<Image>> = Vec::new();
        let mut steps = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let (next, kept) = match step {
                Step::Keep => {
                    skips.push(x.clone());
                    (x, Kept::Nothing)
                }
                Step::Join => match skips.pop() {
                    Some(skip) => {
                        let both = joined(self.arena, &x, &skip);
                        let channels = [x.channels, skip.channels];
                        self.free(x);
                        self.free(skip);
                        (Arc::new(both), Kept::Join(channels))
                    }
                    None => (x, Kept::Nothing),
                },
                Step::Block(block) => {
                    let (y, convolved) = self.block(block, &x);
                    (Arc::new(y), Kept::Block { x, convolved })
                }
                Step::Attention(layers) => {
                    let (y, qkv, mixed) = self.attention(layers, &x);
                    (Arc::new(y), Kept::Attention { x, qkv, mixed })
                }
                Step::Double(layer) => {
                    let doubled = bordered(self.arena, &x, Resample::Up, 1);
                    let y = self.apply(layer, &doubled, None);
                    doubled.free(self.arena);
                    (Arc::new(y), Kept::Double(x))
                }
            };
            x = next;
            steps.push(kept);
        }
        let normalized = self.normalized(&plan.output_norm, &x, true, (Resample::None, 1));
        let output = self.apply(&plan.output, &normalized, None);
        normalized.free(self.arena);
        to_planes(&output, plan.patch, answer);
        output.free(self.arena);
        if let Some(column) = plan.input_skip {
            let pixels = height * width;
            for (plane, answer) in answer.chunks_exact_mut(pixels).enumerate() {
                let (row, color) = (plane / colors, plane % colors);
                let z = &z[(row * inputs + color) * pixels..][..pixels];
                let scale = self.values[row * plan.columns + column + color];
                for (answer, z) in answer.iter_mut().zip(z) {
                    *answer += z * scale;
                }
            }
        }
        Tape { steps, last: x }
    }

    fn block(&mut self, block: &BlockLayers, x: &Image) -> (Image, Image) {
        let hidden = self.before_first(block, x);
        let mut convolved = self.apply(&block.conv_in, &hidden, None);
        hidden.free(self.arena);
        if block.how == Modulation::Add {
            let (columns, column) = (self.plan.columns, block.column);
            let (step, plane, channels) = (convolved.step(), convolved.plane(), convolved.channels);
            for (row, image) in convolved.values.chunks_exact_mut(plane).enumerate() {
                let values = &self.values[row * columns + column..][..channels];
                for pixel in image.chunks_exact_mut(step) {
                    for (pixel, value) in pixel.iter_mut().zip(values) {
                        *pixel += value;
                    }
                }
            }
        }
        let hidden = self.before_second(block, &convolved);
        let sized = self.sized(block, x);
        let x = sized.as_ref().unwrap_or(x);
        let skipped = block.skip.as_ref().map(|skip| self.apply(skip, x, None));
        let y = self.apply(
            &block.conv_out,
            &hidden,
            Some(skipped.as_ref().unwrap_or(x)),
        );
        for done in [sized, skipped, Some(hidden)].into_iter().flatten() {
            done.free(self.arena);
        }
        (y, convolved)
    }

    fn attention(&mut self, layers: &AttentionLayers, x: &Image) -> (Image, Image, Image) {
        let tokens = self.tokens(layers, x);
        let qkv = self.apply(&layers.qkv, tokens.as_ref().unwrap_or(x), None);
        if let Some(tokens) = tokens {
            tokens.free(self.arena);
        }
        let mixed = attend(self.arena, &qkv, layers.heads);
        let y = self.apply(&layers.output, &mixed, Some(x));
        (y, qkv, mixed)
    }

    /// Gives back what nobody else refers to.
    pub(super) fn free(&mut self, x: Arc<Image>) {
        if let Some(x) = Arc::into_inner(x) {
            x.free(self.arena);
        }
    }

    /// Gives back what was kept for backward.
    pub(super) fn forget(&mut self, tape: Tape) {
        for kept in tape.steps {
            match kept {
                Kept::Block { x, convolved } => {
                    convolved.free(self.arena);
                    self.free(x);
                }
                Kept::Attention { x, qkv, mixed } => {
                    qkv.free(self.arena);
                    mixed.free(self.arena);
                    self.free(x);
                }
                Kept::Double(x) => self.free(x),
                Kept::Join(_) | Kept::Nothing => (),
            }
        }
        self.free(tape.last);
    }

    /// What a residual block's first convolution reads.
    pub(super) fn before_first(&mut self, block: &BlockLayers, x: &Image) -> Image {
        self.normalized(&block.norm_in, x, true, (block.resample, 1))
    }

    /// What a residual block's second convolution reads.
    pub(super) fn before_second(&mut self, block: &BlockLayers, convolved: &Image) -> Image {
        let how = (Resample::None, 1);
        let affine = self.affine_out(block);
        let mut hidden = self.normalized_by(&block.norm_out, &affine, convolved, true, how);
        affine
            .into_iter()
            .for_each(|values| self.arena.give(values));
        self.dropped(block, &mut hidden);
        hidden
    }

    /// Drops values of a residual block, or their gradients.
    pub(super) fn dropped(&self, block: &BlockLayers, x: &mut Image) {
        if let Some(masks) = self.masks
            && block.dropout > 0.0
        {
            let sequences = masks.sequences(block.dropout_layer, self.first, self.rows);
            drop_values(x, sequences, block.dropout);
        }
    }

    /// The image that a residual block adds, where it resamples.
    pub(super) fn sized(&mut self, block: &BlockLayers, x: &Image) -> Option<Image> {
        (block.resample != Resample::None).then(|| resampled(self.arena, x, block.resample))
    }

    /// What queries, keys and values are made of, where that is not the image itself.
    pub(super) fn tokens(&mut self, layers: &AttentionLayers, x: &Image) -> Option<Image> {
        let how = (Resample::None, 0);
        layers
            .norm
            .as_ref()
            .map(|norm| self.normalized(norm, x, false, how))
    }

    fn apply(&mut self, layer: &Layer, x: &Image, add: Option<&Image>) -> Image {
        let outputs = layer.shape.outputs;
        let zeros;
        let bias = match layer.bias {
            Some(bias) => &self.parameters[bias..][..outputs],
            None => {
                zeros = vec![0.0; outputs];
                &zeros[..]
            }
        };
        convolve_packed(self.arena, x, &self.weights[layer.index], bias, add)
    }

    fn normalized(
        &mut self,
        layer: &NormLayer,
        x: &Image,
        silu: bool,
        how: (Resample, usize),
    ) -> Image {
        let affine = self.affine(layer);
        let y = self.normalized_by(layer, &affine, x, silu, how);
        affine
            .into_iter()
            .for_each(|values| self.arena.give(values));
        y
    }

    fn normalized_by(
        &mut self,
        layer: &NormLayer,
        [scale, shift]: &[Values; 2],
        x: &Image,
        silu: bool,
        (resample, border): (Resample, usize),
    ) -> Image {
        norm(layer, [scale, shift], silu).run(self.arena, x, resample, border)
    }

    /// The learned scale and shift of every row, `[rows, channels]`.
    pub(super) fn affine(&mut self, layer: &NormLayer) -> [Values; 2] {
        [layer.weight, layer.bias].map(|at| {
            let mut values = self.arena.take(self.rows * layer.channels);
            for row in values.chunks_exact_mut(layer.channels) {
                row.copy_from_slice(&self.parameters[at..][..layer.channels]);
            }
            values
        })
    }

    /// Those of a residual block's second normalisation.
    pub(super) fn affine_out(&mut self, block: &BlockLayers) -> [Values; 2] {
        if block.how == Modulation::Add {
            return self.affine(&block.norm_out);
        }
        let channels = block.norm_out.channels;
        [0, 1].map(|part| {
            let mut values = self.arena.take(self.rows * channels);
            let rows = self.values.chunks_exact(self.plan.columns);
            for (to, row) in values.chunks_exact_mut(channels).zip(rows) {
                to.copy_from_slice(&row[block.column + part * channels..][..channels]);
            }
            values
        })
    }
}

/// A layer's normalisation with these scales and shifts.
pub(super) fn norm<'a>(layer: &NormLayer, [scale, shift]: [&'a [f32]; 2], silu: bool) -> Norm<'a> {
    Norm {
        groups: layer.groups,
        epsilon: layer.epsilon,
        silu,
        scale,
        shift,
    }
}
