//! The layers of the networks as operators.

use super::graph::{Graph, Value, float, integer, integers, text};
use super::{OnnxError, Opset};

/// Settings shared by all layers of a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Groups of the group normalisations.
    pub groups: usize,
    /// ε, which is added to the variance in them.
    pub epsilon: f32,
}

impl Graph<'_> {
    /// silu(x) = x · sigmoid(x).
    pub(super) fn silu(&mut self, x: &Value) -> Value {
        let gate = self.node("Sigmoid", &[x], vec![]);
        self.node("Mul", &[x, &gate], vec![])
    }

    /// A linear layer on rows or tokens, `[batch, …, in]` → `[batch, …, out]`.
    pub(super) fn linear(&mut self, layer: &str, x: &Value) -> Result<Value, OnnxError> {
        let weight = self.weight(&format!("{layer}.weight"))?;
        let bias = self.weight(&format!("{layer}.bias"))?;
        let product = self.node("MatMul", &[x, &weight], vec![]);
        Ok(self.node("Add", &[&product, &bias], vec![]))
    }

    /// A linear layer on rows in 32-bit floats, `[batch, in]` → `[batch, out]`.
    pub(super) fn precise_linear(&mut self, layer: &str, x: &Value) -> Result<Value, OnnxError> {
        let weight = self.precise_weight(&format!("{layer}.weight"))?;
        // The layers of the embedding of a number have no bias.
        let bias = format!("{layer}.bias");
        if !self.tensors.has(&bias) {
            return Ok(self.node("MatMul", &[x, &weight], vec![]));
        }
        let bias = self.precise_weight(&bias)?;
        Ok(self.node("Gemm", &[x, &weight, &bias], vec![]))
    }

    /// A convolution. `pads` has ONNX's order: top, left, bottom, right.
    pub(super) fn convolution(
        &mut self,
        layer: &str,
        x: &Value,
        stride: i64,
        pads: [i64; 4],
    ) -> Result<Value, OnnxError> {
        let name = format!("{layer}.weight");
        let kernel: Vec<i64> = match self.tensors.shape(&name)? {
            [_, _, height, width] => vec![*height as i64, *width as i64],
            _ => return Err(OnnxError::MissingTensor(name)),
        };
        let weight = self.weight(&name)?;
        let bias = self.weight(&format!("{layer}.bias"))?;
        let attributes = vec![
            integers("kernel_shape", &kernel),
            integers("pads", &pads),
            integers("strides", &[stride, stride]),
        ];
        Ok(self.node("Conv", &[x, &weight, &bias], attributes))
    }

    /// A convolution that keeps the size: 3×3 with zero padding, or 1×1.
    pub(super) fn same_convolution(&mut self, layer: &str, x: &Value) -> Result<Value, OnnxError> {
        let border = match self.tensors.shape(&format!("{layer}.weight"))? {
            [.., width] => (width / 2) as i64,
            [] => 0,
        };
        self.convolution(layer, x, 1, [border; 4])
    }

    /// Group normalisation of `size × size` pixels, with its learned scale and shift.
    pub(super) fn group_norm(
        &mut self,
        layer: &str,
        x: &Value,
        size: usize,
        style: Style,
    ) -> Result<Value, OnnxError> {
        if self.opset == Opset::V17 {
            return self.grouped_instance_norm(layer, x, size, style);
        }
        let scale = self.weight(&format!("{layer}.weight"))?;
        let shift = self.weight(&format!("{layer}.bias"))?;
        let attributes = vec![
            float("epsilon", style.epsilon),
            integer("num_groups", style.groups as i64),
        ];
        Ok(self.node("GroupNormalization", &[x, &scale, &shift], attributes))
    }

    /// The same without its operator, which came with opset 18: each group is one channel of an instance normalisation.
    fn grouped_instance_norm(
        &mut self,
        layer: &str,
        x: &Value,
        size: usize,
        style: Style,
    ) -> Result<Value, OnnxError> {
        let (weight, groups, size) = (format!("{layer}.weight"), style.groups, size as i64);
        let channels = match self.tensors.shape(&weight)? {
            [channels] => *channels as i64,
            _ => return Err(OnnxError::MissingTensor(weight)),
        };
        let scale = self.channel_weight(&weight)?;
        let shift = self.channel_weight(&format!("{layer}.bias"))?;
        let values = channels / groups as i64 * size * size;
        let grouped = self.reshape(x, &[-1, groups as i64, values]);
        let ones = self.numbers(&vec![1.0; groups], &[groups]);
        let zeros = self.numbers(&vec![0.0; groups], &[groups]);
        let attributes = vec![float("epsilon", style.epsilon)];
        let normal = self.node(
            "InstanceNormalization",
            &[&grouped, &ones, &zeros],
            attributes,
        );
        let normal = self.reshape(&normal, &[-1, channels, size, size]);
        let scaled = self.node("Mul", &[&normal, &scale], vec![]);
        Ok(self.node("Add", &[&scaled, &shift], vec![]))
    }

    /// Halves the size by averaging 2×2 pixels.
    pub(super) fn average_down(&mut self, x: &Value) -> Value {
        let attributes = vec![
            integers("kernel_shape", &[2, 2]),
            integers("strides", &[2, 2]),
        ];
        self.node("AveragePool", &[x], attributes)
    }

    /// Doubles the size by repeating pixels.
    pub(super) fn repeat_up(&mut self, x: &Value) -> Value {
        let scales = self.floats(&[1.0, 1.0, 2.0, 2.0], &[4]);
        let attributes = vec![
            text("mode", "nearest"),
            text("coordinate_transformation_mode", "asymmetric"),
            text("nearest_mode", "floor"),
        ];
        // The second input, a region of interest, belongs to another mode and stays empty.
        self.node("Resize", &[x, &String::new(), &scales], attributes)
    }

    /// Space to depth: every square of `side × side` pixels as one of `size × size` pixels with side² times the
    /// `channels`, ordered as in PyTorch's `PixelUnshuffle`. (ONNX's own SpaceToDepth orders them otherwise.)
    pub(super) fn pixel_unshuffle(
        &mut self,
        x: &Value,
        channels: usize,
        size: usize,
        side: usize,
    ) -> Value {
        let [c, n, s] = [channels, size, side].map(|v| v as i64);
        let x = self.reshape(x, &[-1, c, n, s, n, s]);
        let x = self.transpose(&x, &[0, 1, 3, 5, 2, 4]);
        self.reshape(&x, &[-1, c * s * s, n, n])
    }

    /// The inverse of [`pixel_unshuffle`](Self::pixel_unshuffle).
    pub(super) fn pixel_shuffle(
        &mut self,
        x: &Value,
        channels: usize,
        size: usize,
        side: usize,
    ) -> Value {
        let [c, n, s] = [channels, size, side].map(|v| v as i64);
        let x = self.reshape(x, &[-1, c, s, s, n, n]);
        let x = self.transpose(&x, &[0, 1, 4, 2, 5, 3]);
        self.reshape(&x, &[-1, c, n * s, n * s])
    }

    pub(super) fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.integers(shape);
        self.node("Reshape", &[x, &shape], vec![])
    }

    pub(super) fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        self.node("Transpose", &[x], vec![integers("perm", order)])
    }

    /// Slices one dimension from `from` up to, but not including, `to`.
    pub(super) fn slice(&mut self, x: &Value, axis: i64, from: usize, to: usize) -> Value {
        let [from, to, axis] = [from as i64, to as i64, axis].map(|v| self.integers(&[v]));
        self.node("Slice", &[x, &from, &to, &axis], vec![])
    }

    /// x · factor for a scalar factor.
    pub(super) fn scaled(&mut self, x: &Value, factor: f32) -> Value {
        let factor = self.numbers(&[factor], &[1]);
        self.node("Mul", &[x, &factor], vec![])
    }
}
