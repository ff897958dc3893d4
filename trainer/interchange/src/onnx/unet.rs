//! The U-Net as operators. The names of the tensors give its parts, the configuration gives their behaviour.

use freeguide::bundle::ImageShape;
use freeguide::network::{Downsample, Modulation, UNetConfig};

use super::OnnxError;
use super::conditioning::{Labels, OtherInputs};
use super::graph::{Graph, Value, integer};
use super::layers::Style;

/// The resampling of a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resample {
    None,
    Down,
    Up,
}

/// The network being translated: its configuration and the embedding that all blocks use.
struct UNet<'a> {
    config: &'a UNetConfig,
    style: Style,
    embedding: Value,
}

/// Adds the network, from noisy images, λ, labels and the inputs of students to the prediction.
pub(super) fn unet(
    graph: &mut Graph,
    config: &UNetConfig,
    image: ImageShape,
    [z, log_snr]: [&Value; 2],
    labels: &Labels,
    others: &OtherInputs,
) -> Result<Value, OnnxError> {
    let embedding = graph.conditioning(config, log_snr, labels, others)?;
    let network = UNet {
        config,
        style: Style {
            groups: config.norm_groups,
            epsilon: config.norm_epsilon as f32,
        },
        embedding,
    };
    network.add(graph, z, image)
}

impl UNet<'_> {
    fn add(&self, graph: &mut Graph, z: &Value, image: ImageShape) -> Result<Value, OnnxError> {
        let stages = self.config.channel_multipliers.len();
        let patch = self.config.patch;
        let mut size = self.config.side(0, image.size);
        graph.set_scope("input");
        let folded = match patch {
            1 => z.clone(),
            _ => graph.pixel_unshuffle(z, image.channels, size, patch),
        };
        let mut x = graph.same_convolution("input", &folded)?;
        let mut skips = vec![x.clone()];
        for stage in 0..stages {
            let stage = format!("down.{stage}");
            for block in 0..self.config.residual_blocks {
                x = self.block(graph, &format!("{stage}.blocks.{block}"), x, size)?;
                skips.push(x.clone());
            }
            let down = format!("{stage}.downsample");
            if graph.tensors.has(&format!("{down}.")) {
                x = self.residual(graph, &down, x, Resample::Down, size)?;
            } else if graph.tensors.has(&format!("{down}_conv.")) {
                x = self.halving_convolution(graph, &format!("{down}_conv"), &x)?;
            } else {
                continue;
            }
            size /= 2;
            skips.push(x.clone());
        }
        if graph.tensors.has("middle.") {
            x = self.middle(graph, x, size)?;
        }
        for stage in 0..stages {
            let stage = format!("up.{stage}");
            for block in 0..=self.config.residual_blocks {
                let name = format!("{stage}.blocks.{block}");
                graph.set_scope(&name);
                if let Some(skip) = skips.pop() {
                    x = graph.node("Concat", &[&x, &skip], vec![integer("axis", 1)]);
                }
                x = self.block(graph, &name, x, size)?;
            }
            let up = format!("{stage}.upsample");
            if graph.tensors.has(&format!("{up}.")) {
                x = self.residual(graph, &up, x, Resample::Up, size)?;
                size *= 2;
            } else if graph.tensors.has(&format!("{up}_conv.")) {
                graph.set_scope(&up);
                x = graph.repeat_up(&x);
                x = graph.same_convolution(&format!("{up}_conv"), &x)?;
                size *= 2;
            }
        }
        graph.set_scope("output");
        let x = graph.group_norm("output_norm", &x, size, self.style)?;
        let x = graph.silu(&x);
        let x = graph.same_convolution("output", &x)?;
        let x = match patch {
            1 => x,
            _ => graph.pixel_shuffle(&x, image.channels, size, patch),
        };
        if !self.config.input_skip {
            return Ok(x);
        }
        graph.set_scope("input_skip");
        let scales = graph.linear("input_skip", &self.embedding)?;
        let scales = graph.reshape(&scales, &[-1, image.channels as i64, 1, 1]);
        let skip = graph.node("Mul", &[z, &scales], vec![]);
        Ok(graph.node("Add", &[&x, &skip], vec![]))
    }

    fn middle(&self, graph: &mut Graph, x: Value, size: usize) -> Result<Value, OnnxError> {
        let mut x = self.residual(graph, "middle.first", x, Resample::None, size)?;
        if graph.tensors.has("middle.attention.") {
            x = self.attention(graph, "middle.attention", x, size)?;
        }
        self.residual(graph, "middle.second", x, Resample::None, size)
    }

    /// A convolution with stride 2, with zero padding on all sides or only at the right and the bottom.
    fn halving_convolution(
        &self,
        graph: &mut Graph,
        name: &str,
        x: &Value,
    ) -> Result<Value, OnnxError> {
        graph.set_scope(name);
        let pads = match self.config.downsample {
            Downsample::Residual | Downsample::Convolution => [1, 1, 1, 1],
            Downsample::ConvolutionAfter => [0, 0, 1, 1],
        };
        graph.convolution(name, x, 2, pads)
    }

    fn block(
        &self,
        graph: &mut Graph,
        name: &str,
        x: Value,
        size: usize,
    ) -> Result<Value, OnnxError> {
        let x = self.residual(graph, &format!("{name}.residual"), x, Resample::None, size)?;
        let attention = format!("{name}.attention");
        match graph.tensors.has(&format!("{attention}.")) {
            true => self.attention(graph, &attention, x, size),
            false => Ok(x),
        }
    }

    /// A residual block on `size × size` pixels.
    fn residual(
        &self,
        graph: &mut Graph,
        name: &str,
        x: Value,
        resample: Resample,
        size: usize,
    ) -> Result<Value, OnnxError> {
        graph.set_scope(name);
        let resampled = |graph: &mut Graph, x: Value| match resample {
            Resample::None => x,
            Resample::Down => graph.average_down(&x),
            Resample::Up => graph.repeat_up(&x),
        };
        let hidden = graph.group_norm(&format!("{name}.norm_in"), &x, size, self.style)?;
        let hidden = graph.silu(&hidden);
        let hidden = resampled(graph, hidden);
        let hidden = graph.same_convolution(&format!("{name}.conv_in"), &hidden)?;
        let size = match resample {
            Resample::None => size,
            Resample::Down => size / 2,
            Resample::Up => 2 * size,
        };
        let hidden = self.modulated_norm(graph, name, &hidden, size)?;
        let hidden = graph.silu(&hidden);
        let hidden = graph.same_convolution(&format!("{name}.conv_out"), &hidden)?;
        let mut x = resampled(graph, x);
        if graph.tensors.has(&format!("{name}.skip.")) {
            x = graph.same_convolution(&format!("{name}.skip"), &x)?;
        }
        Ok(graph.node("Add", &[&x, &hidden], vec![]))
    }

    /// norm(x) · (1 + scale) + shift by the embedding, or norm(x + shift).
    fn modulated_norm(
        &self,
        graph: &mut Graph,
        name: &str,
        x: &Value,
        size: usize,
    ) -> Result<Value, OnnxError> {
        let norm = format!("{name}.norm_out");
        let channels = match graph.tensors.shape(&format!("{norm}.weight"))? {
            [channels] => *channels,
            _ => return Err(OnnxError::MissingTensor(norm)),
        };
        let rows = graph.linear(&format!("{name}.modulation"), &self.embedding)?;
        if self.config.modulation == Modulation::Add {
            let shift = graph.reshape(&rows, &[-1, channels as i64, 1, 1]);
            let x = graph.node("Add", &[x, &shift], vec![]);
            return graph.group_norm(&norm, &x, size, self.style);
        }
        let pixels = graph.reshape(&rows, &[-1, 2 * channels as i64, 1, 1]);
        let scale = graph.slice(&pixels, 1, 0, channels);
        let shift = graph.slice(&pixels, 1, channels, 2 * channels);
        let x = graph.group_norm(&norm, x, size, self.style)?;
        let one = graph.numbers(&[1.0], &[1]);
        let factor = graph.node("Add", &[&scale, &one], vec![]);
        let x = graph.node("Mul", &[&x, &factor], vec![]);
        Ok(graph.node("Add", &[&x, &shift], vec![]))
    }

    fn attention(
        &self,
        graph: &mut Graph,
        name: &str,
        x: Value,
        size: usize,
    ) -> Result<Value, OnnxError> {
        graph.set_scope(name);
        let output = format!("{name}.output");
        let channels = match graph.tensors.shape(&format!("{output}.weight"))? {
            [channels, _] => *channels,
            _ => return Err(OnnxError::MissingTensor(output)),
        };
        let heads = self.config.attention_heads(channels);
        let depth = channels / heads;
        let [c, h, d, p] = [channels, heads, depth, size * size].map(|v| v as i64);
        let tokens = self.attention_norm(graph, name, &x, size)?;
        let tokens = graph.reshape(&tokens, &[-1, c, p]);
        let tokens = graph.transpose(&tokens, &[0, 2, 1]);
        let qkv = graph.linear(&format!("{name}.qkv"), &tokens)?;
        let qkv = graph.reshape(&qkv, &[-1, p, 3 * h, d]);
        let qkv = graph.transpose(&qkv, &[0, 2, 1, 3]);
        let [query, key, value] =
            [0, 1, 2].map(|i| graph.slice(&qkv, 1, i * heads, (i + 1) * heads));
        // Each factor gets half of the 1/√depth, so that neither product overflows f16.
        let scale = (depth as f64).powf(-0.25) as f32;
        let query = graph.scaled(&query, scale);
        let key = graph.scaled(&key, scale);
        let key = graph.transpose(&key, &[0, 1, 3, 2]);
        let scores = graph.node("MatMul", &[&query, &key], vec![]);
        let mixture = graph.node("Softmax", &[&scores], vec![integer("axis", -1)]);
        let mixed = graph.node("MatMul", &[&mixture, &value], vec![]);
        let mixed = graph.transpose(&mixed, &[0, 2, 1, 3]);
        let mixed = graph.reshape(&mixed, &[-1, p, c]);
        let mixed = graph.linear(&output, &mixed)?;
        let mixed = graph.transpose(&mixed, &[0, 2, 1]);
        let mixed = graph.reshape(&mixed, &[-1, c, size as i64, size as i64]);
        Ok(graph.node("Add", &[&x, &mixed], vec![]))
    }

    /// The normalisation before an attention; the middle may have its own, or none.
    fn attention_norm(
        &self,
        graph: &mut Graph,
        name: &str,
        x: &Value,
        size: usize,
    ) -> Result<Value, OnnxError> {
        let norm = format!("{name}.norm");
        let groups = match name {
            "middle.attention" => self.config.middle_attention_groups(),
            _ => Some(self.style.groups),
        };
        match groups {
            Some(groups) => graph.group_norm(
                &norm,
                x,
                size,
                Style {
                    groups,
                    ..self.style
                },
            ),
            None => Ok(x.clone()),
        }
    }
}
