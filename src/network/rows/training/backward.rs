//! Some rows through all layers, backwards.

use super::pass::{Kept, Pass, Tape, norm};
use super::plan::{AttentionLayers, BlockLayers, Layer, NormLayer, Plan, Step};
use crate::kernels::channels_last::{
    Image, Values, add, add_pixel_sums, attend_backward, bordered, convolve_packed, from_planes,
    joined_backward, resampled_backward, to_planes,
};
use crate::network::{Modulation, Resample};

/// The sums that gradients of parameters are made of.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Of the weights of every layer; see [`WeightShape`](crate::kernels::channels_last::WeightShape).
    pub layers: Vec<Values>,
    /// Of biases and normalisations.
    pub short: Vec<f32>,
}

impl Sums {
    pub(super) fn zeros(plan: &Plan) -> Self {
        Self {
            layers: plan
                .layers
                .iter()
                .map(|layer| Values::zeros(layer.shape.sums()))
                .collect(),
            short: vec![0.0; plan.short_sums],
        }
    }

    /// Whether they are those of such a plan.
    pub(super) fn serve(&self, plan: &Plan) -> bool {
        let layers = self.layers.iter().zip(&plan.layers);
        self.layers.len() == plan.layers.len()
            && self.short.len() == plan.short_sums
            && layers
                .into_iter()
                .all(|(sums, layer)| sums.len() == layer.shape.sums())
    }

    pub(super) fn clear(&mut self) {
        self.layers.iter_mut().for_each(|sums| sums.fill(0.0));
        self.short.fill(0.0);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sums, other) in self.layers.iter_mut().zip(&other.layers) {
            sums.iter_mut().zip(other.iter()).for_each(|(a, b)| *a += b);
        }
        self.short
            .iter_mut()
            .zip(&other.short)
            .for_each(|(a, b)| *a += b);
    }
}

/// Where the gradients of some rows go.
pub(super) struct Gradients<'a> {
    pub sums: &'a mut Sums,
    /// `[rows, columns]`, zeros at first.
    pub values: &'a mut [f32],
    /// Of z, where it is asked for.
    pub z: Option<&'a mut [f32]>,
}

impl Pass<'_> {
    /// The gradients, for that of the answer, `grad`. The weights are those of backward.
    pub(super) fn backward(
        &mut self,
        tape: Tape,
        [z, grad]: [&[f32]; 2],
        [colors, height, width]: [usize; 3],
        to: &mut Gradients<'_>,
    ) {
        let plan = self.plan;
        let shape = [self.rows, colors, height, width];
        let inputs = z.len() / (self.rows * height * width);
        if let Some(column) = plan.input_skip {
            let pixels = height * width;
            for (plane, grad) in grad.chunks_exact(pixels).enumerate() {
                let (row, color) = (plane / colors, plane % colors);
                let z = &z[(row * inputs + color) * pixels..][..pixels];
                let sum: f32 = grad.iter().zip(z).map(|(grad, z)| grad * z).sum();
                to.values[row * plan.columns + column + color] += sum;
            }
        }
        let of_output = from_planes(self.arena, grad, shape, plan.patch, 1);
        let affine = self.affine(&plan.output_norm);
        let by = norm(&plan.output_norm, [&affine[0], &affine[1]], true);
        let normalized = by.run(self.arena, &tape.last, Resample::None, 1);
        let of_normalized = self.through(&plan.output, &normalized, &of_output, to.sums);
        normalized.free(self.arena);
        of_output.free(self.arena);
        let last = tape.last;
        let mut of_x = self.through_norm(&plan.output_norm, &last, &of_normalized, true, to.sums);
        of_normalized.free(self.arena);
        affine
            .into_iter()
            .for_each(|values| self.arena.give(values));
        self.free(last);
        let mut of_skips: Vec<Image> = Vec::new();
        for (step, kept) in plan.steps.iter().zip(tape.steps).rev() {
            match (step, kept) {
                (Step::Block(block), Kept::Block { x, convolved }) => {
                    of_x = self.through_block(block, &x, &convolved, of_x, to);
                    convolved.free(self.arena);
                    self.free(x);
                }
                (Step::Attention(layers), Kept::Attention { x, qkv, mixed }) => {
                    of_x = self.through_attention(layers, &x, [&qkv, &mixed], of_x, to.sums);
                    qkv.free(self.arena);
                    mixed.free(self.arena);
                    self.free(x);
                }
                (Step::Join, Kept::Join(channels)) => {
                    let [x, skip] = joined_backward(self.arena, &of_x, channels);
                    std::mem::replace(&mut of_x, x).free(self.arena);
                    of_skips.push(skip);
                }
                (Step::Keep, _) => {
                    if let Some(skip) = of_skips.pop() {
                        add(&mut of_x, &skip);
                        skip.free(self.arena);
                    }
                }
                (Step::Double(layer), Kept::Double(x)) => {
                    let doubled = bordered(self.arena, &x, Resample::Up, 1);
                    let grad = bordered(self.arena, &of_x, Resample::None, 1);
                    let of_doubled = self.through(layer, &doubled, &grad, to.sums);
                    doubled.free(self.arena);
                    grad.free(self.arena);
                    let next = resampled_backward(self.arena, &of_doubled, Resample::Up);
                    of_doubled.free(self.arena);
                    std::mem::replace(&mut of_x, next).free(self.arena);
                    self.free(x);
                }
                _ => (),
            }
        }
        let shape = [self.rows, inputs, height, width];
        let input = from_planes(self.arena, z, shape, plan.patch, 1);
        match &mut to.z {
            None => self.sum(&plan.input, &input, &of_x, to.sums),
            Some(of_z) => {
                let grad_in = bordered(self.arena, &of_x, Resample::None, 1);
                let of_input = self.through(&plan.input, &input, &grad_in, to.sums);
                grad_in.free(self.arena);
                to_planes(&of_input, plan.patch, of_z);
                of_input.free(self.arena);
                if let Some(column) = plan.input_skip {
                    let pixels = height * width;
                    for (plane, grad) in grad.chunks_exact(pixels).enumerate() {
                        let (row, color) = (plane / colors, plane % colors);
                        let of_z = &mut of_z[(row * inputs + color) * pixels..][..pixels];
                        let scale = self.values[row * plan.columns + column + color];
                        of_z.iter_mut()
                            .zip(grad)
                            .for_each(|(to, g)| *to += g * scale);
                    }
                }
            }
        }
        input.free(self.arena);
        of_x.free(self.arena);
    }

    /// Through a residual block, whose gradient is `grad`.
    fn through_block(
        &mut self,
        block: &BlockLayers,
        x: &Image,
        convolved: &Image,
        grad: Image,
        to: &mut Gradients<'_>,
    ) -> Image {
        let hidden = self.before_second(block, convolved);
        let wide = bordered(self.arena, &grad, Resample::None, 1);
        let mut of_hidden = self.through(&block.conv_out, &hidden, &wide, to.sums);
        hidden.free(self.arena);
        wide.free(self.arena);
        self.dropped(block, &mut of_hidden);
        let affine = self.affine_out(block);
        let by = norm(&block.norm_out, [&affine[0], &affine[1]], true);
        let mut sums = [0, 1].map(|_| self.zeros(self.rows * block.norm_out.channels));
        let [of_scale, of_shift] = &mut sums;
        let of_convolved = by.backward(
            self.arena,
            [convolved, &of_hidden],
            1,
            [&mut of_scale[..], &mut of_shift[..]],
        );
        of_hidden.free(self.arena);
        affine
            .into_iter()
            .for_each(|values| self.arena.give(values));
        let (columns, column) = (self.plan.columns, block.column);
        match block.how {
            Modulation::ScaleShift => {
                let channels = block.norm_out.channels;
                for (part, sums) in sums.iter().enumerate() {
                    let rows = to.values.chunks_exact_mut(columns);
                    for (row, sums) in rows.zip(sums.chunks_exact(channels)) {
                        row[column + part * channels..][..channels].copy_from_slice(sums);
                    }
                }
            }
            Modulation::Add => {
                to.sums.add_affine(&block.norm_out, &sums);
                add_pixel_sums(&of_convolved, &mut to.values[column..], columns);
            }
        }
        sums.into_iter().for_each(|values| self.arena.give(values));
        let hidden = self.before_first(block, x);
        let of_hidden = self.through(&block.conv_in, &hidden, &of_convolved, to.sums);
        hidden.free(self.arena);
        of_convolved.free(self.arena);
        let of_hidden = self.resampled_back(block.resample, of_hidden);
        let mut of_x = self.through_norm(&block.norm_in, x, &of_hidden, true, to.sums);
        of_hidden.free(self.arena);
        let of_skip = match &block.skip {
            Some(skip) => {
                let sized = self.sized(block, x);
                let of_skip = self.through(skip, sized.as_ref().unwrap_or(x), &grad, to.sums);
                if let Some(sized) = sized {
                    sized.free(self.arena);
                }
                grad.free(self.arena);
                of_skip
            }
            None => grad,
        };
        let of_skip = self.resampled_back(block.resample, of_skip);
        add(&mut of_x, &of_skip);
        of_skip.free(self.arena);
        of_x
    }

    /// Through self-attention, whose gradient is `grad`.
    fn through_attention(
        &mut self,
        layers: &AttentionLayers,
        x: &Image,
        [qkv, mixed]: [&Image; 2],
        mut grad: Image,
        sums: &mut Sums,
    ) -> Image {
        let of_mixed = self.through(&layers.output, mixed, &grad, sums);
        let of_qkv = attend_backward(self.arena, qkv, &of_mixed, layers.heads);
        of_mixed.free(self.arena);
        let tokens = self.tokens(layers, x);
        let of_tokens = self.through(&layers.qkv, tokens.as_ref().unwrap_or(x), &of_qkv, sums);
        of_qkv.free(self.arena);
        let of_x = match &layers.norm {
            Some(norm) => {
                let of_x = self.through_norm(norm, x, &of_tokens, false, sums);
                of_tokens.free(self.arena);
                of_x
            }
            None => of_tokens,
        };
        if let Some(tokens) = tokens {
            tokens.free(self.arena);
        }
        add(&mut grad, &of_x);
        of_x.free(self.arena);
        grad
    }

    /// Through a layer that has read `x`; both have a border of half a kernel.
    fn through(&mut self, layer: &Layer, x: &Image, grad: &Image, sums: &mut Sums) -> Image {
        self.sum(layer, x, grad, sums);
        let zeros = self.zeros(layer.shape.inputs);
        let weights = &self.weights[layer.index];
        let of_x = convolve_packed(self.arena, grad, weights, &zeros, None);
        self.arena.give(zeros);
        of_x
    }

    /// Adds to the gradients of a layer that has read `x`.
    fn sum(&mut self, layer: &Layer, x: &Image, grad: &Image, sums: &mut Sums) {
        layer
            .shape
            .add(self.arena, x, grad, &mut sums.layers[layer.index]);
        if layer.bias.is_some() {
            add_pixel_sums(
                grad,
                &mut sums.short[layer.bias_sum..][..layer.shape.outputs],
                0,
            );
        }
    }

    /// Through a normalisation of `x`, without a border.
    fn through_norm(
        &mut self,
        layer: &NormLayer,
        x: &Image,
        grad: &Image,
        silu: bool,
        sums: &mut Sums,
    ) -> Image {
        let affine = self.affine(layer);
        let by = norm(layer, [&affine[0], &affine[1]], silu);
        let mut parts = [0, 1].map(|_| self.zeros(self.rows * layer.channels));
        let [of_scale, of_shift] = &mut parts;
        let to = [&mut of_scale[..], &mut of_shift[..]];
        let of_x = by.backward(self.arena, [x, grad], 0, to);
        sums.add_affine(layer, &parts);
        for values in affine.into_iter().chain(parts) {
            self.arena.give(values);
        }
        of_x
    }

    fn resampled_back(&mut self, resample: Resample, grad: Image) -> Image {
        if resample == Resample::None {
            return grad;
        }
        let out = resampled_backward(self.arena, &grad, resample);
        grad.free(self.arena);
        out
    }

    fn zeros(&mut self, length: usize) -> Values {
        let mut values = self.arena.take(length);
        values.fill(0.0);
        values
    }
}

impl Sums {
    /// Adds the gradients of a normalisation's scale and shift, `[rows, channels]` each.
    fn add_affine(&mut self, layer: &NormLayer, of: &[Values; 2]) {
        for (part, of) in of.iter().enumerate() {
            let sums = &mut self.short[layer.sum + part * layer.channels..][..layer.channels];
            for row in of.chunks_exact(layer.channels) {
                sums.iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += value);
            }
        }
    }
}
