//! A network as the list of its layers in the order of an evaluation.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::kernels::SameConv2d;
use crate::kernels::channels_last::{INPUTS, WeightShape, covers};
use crate::network::stages::{Block, UpStage};
use crate::network::{GroupNorm, Modulation, Resample, ResidualBlock, SelfAttention, UNet};

/// Pixels of the rows that go through all layers together, at most: weights are read from memory once for all of them.
const CHUNK_PIXELS: usize = 8192;
/// Chunks that there are at least, if there are as many rows, so that there is work for several threads.
const CHUNKS: usize = 4;
/// Tiles of 4×4 pixels of those rows for which the larger weights of minimal filtering pay.
const TILES: usize = 16;

/// The largest networks that go this way, by the bytes of their weights as they are read in both directions and of the sums of
/// one thread. Others are trained layer by layer, which takes less memory beside the weights.
const LARGEST: usize = 1 << 30;

/// A convolution or a linear layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    /// Its place among the layers.
    pub index: usize,
    /// Where its parameters begin among all.
    pub weight: usize,
    pub bias: Option<usize>,
    /// Where the gradient of its bias begins among the short sums.
    pub bias_sum: usize,
    pub shape: WeightShape,
    /// Whether the weights are `[inputs, outputs]`.
    pub linear: bool,
}

/// A group normalisation.
#[derive(Debug, Clone, Copy)]
pub(super) struct NormLayer {
    /// Where its parameters begin among all.
    pub weight: usize,
    pub bias: usize,
    /// Where the gradients of both begin among the short sums.
    pub sum: usize,
    pub channels: usize,
    pub groups: usize,
    pub epsilon: f32,
}

/// A residual block.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockLayers {
    pub norm_in: NormLayer,
    pub conv_in: Layer,
    pub how: Modulation,
    /// Where scales and shifts begin in a row's values, or what is added.
    pub column: usize,
    pub norm_out: NormLayer,
    pub conv_out: Layer,
    pub skip: Option<Layer>,
    pub resample: Resample,
    /// Probability and number of the layer of dropout.
    pub dropout: f64,
    pub dropout_layer: u32,
}

/// Self-attention.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionLayers {
    pub norm: Option<NormLayer>,
    pub qkv: Layer,
    pub output: Layer,
    pub heads: usize,
}

/// What follows one another between the first and the last layer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Block(BlockLayers),
    Attention(AttentionLayers),
    /// The activation is kept for the way up.
    Keep,
    /// The last that was kept is joined.
    Join,
    /// A convolution of the doubled image.
    Double(Layer),
}

/// All layers, and where their parameters and values of rows are.
#[derive(Debug)]
pub(super) struct Plan {
    pub input: Layer,
    pub steps: Vec<Step>,
    pub output_norm: NormLayer,
    pub output: Layer,
    /// Where the factors of z begin in a row's values.
    pub input_skip: Option<usize>,
    pub layers: Vec<Layer>,
    pub norms: Vec<NormLayer>,
    /// The number of all parameters.
    pub parameters: usize,
    /// The number of short sums.
    pub short_sums: usize,
    /// The number of a row's values.
    pub columns: usize,
    pub patch: usize,
    /// Rows that go through all layers together.
    pub chunk: usize,
}

/// A plan with the parameters, one after the other, and the values of every row.
pub(super) struct Planned {
    pub plan: Plan,
    /// `[parameters]`
    pub parameters: Tensor<1>,
    /// `[rows, columns]`
    pub values: Tensor<2>,
}

/// The plan of a network for so many rows of so many pixels; `embedding`: `[at least rows, width]`. `None` where a layer is
/// not known, and of networks that are too large.
pub(super) fn planned(
    network: &UNet,
    embedding: &Tensor<2>,
    rows: usize,
    [height, width]: [usize; 2],
) -> Option<Planned> {
    if network
        .down
        .iter()
        .any(|stage| stage.downsample_conv.is_some())
    {
        return None;
    }
    // Weights change at every step: what sampling keeps of them is not needed any more.
    network.arenas.clear();
    network.input_skip_cache.clear();
    let size = [height / network.patch, width / network.patch];
    let most = rows.div_ceil(CHUNKS).max(1);
    let chunk = (CHUNK_PIXELS / (size[0] * size[1]).max(1)).clamp(1, most);
    let mut builder = Builder {
        embedding: embedding.clone().narrow(0, 0, rows),
        size,
        chunk,
        ..Builder::empty(embedding)
    };
    let input = builder.convolution(&network.input);
    builder.steps.push(Step::Keep);
    for stage in &network.down {
        for block in &stage.blocks {
            builder.block(block);
            builder.steps.push(Step::Keep);
        }
        if let Some(block) = &stage.downsample {
            builder.residual(block);
            builder.steps.push(Step::Keep);
        }
    }
    if let Some(middle) = &network.middle {
        builder.residual(&middle.first);
        if let Some(attention) = &middle.attention {
            builder.attention(attention);
        }
        builder.residual(&middle.second);
    }
    for stage in &network.up {
        builder.up(stage);
    }
    let output_norm = builder.norm(&network.output_norm);
    let output = builder.convolution(&network.output);
    let input_skip = network.input_skip.as_ref().map(|skip| {
        let scales = skip.forward(builder.embedding.clone());
        builder.values(scales)
    });
    // Before anything of that size is made: the parameters would be copied for nothing.
    let values: usize = builder.layers.iter().map(|l| l.shape.sums()).sum();
    if 3 * values * size_of::<f32>() > LARGEST {
        return None;
    }
    Some(builder.finish(network, input, output_norm, output, input_skip))
}

struct Builder {
    embedding: Tensor<2>,
    /// Of the image at this place of the network.
    size: [usize; 2],
    chunk: usize,
    steps: Vec<Step>,
    layers: Vec<Layer>,
    norms: Vec<NormLayer>,
    parameters: Vec<Tensor<1>>,
    length: usize,
    short_sums: usize,
    values: Vec<Tensor<2>>,
    columns: usize,
    dropout_layers: u32,
}

impl Builder {
    fn empty(embedding: &Tensor<2>) -> Self {
        Self {
            embedding: embedding.clone(),
            size: [0, 0],
            chunk: 1,
            steps: Vec::new(),
            layers: Vec::new(),
            norms: Vec::new(),
            parameters: Vec::new(),
            length: 0,
            short_sums: 0,
            values: Vec::new(),
            columns: 0,
            dropout_layers: 0,
        }
    }

    /// Where a parameter begins among all.
    fn parameter<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) -> usize {
        let tensor = parameter.val();
        let length = tensor.shape().num_elements();
        self.parameters.push(tensor.reshape([length]));
        self.length += length;
        self.length - length
    }

    /// Where so many short sums begin.
    fn sums(&mut self, count: usize) -> usize {
        self.short_sums += count;
        self.short_sums - count
    }

    /// Where these values of every row begin.
    fn values(&mut self, values: Tensor<2>) -> usize {
        let [_, columns] = values.dims();
        self.values.push(values);
        self.columns += columns;
        self.columns - columns
    }

    fn layer(&mut self, layer: Layer) -> Layer {
        let layer = Layer {
            index: self.layers.len(),
            ..layer
        };
        self.layers.push(layer);
        layer
    }

    fn convolution(&mut self, convolution: &SameConv2d) -> Layer {
        convolution.clear_rows();
        let [weight, bias] = [
            self.parameter(convolution.weight_parameter()),
            self.parameter(convolution.bias_parameter()),
        ];
        let [outputs, inputs, kernel, _] = convolution.weight_parameter().dims();
        let [height, width] = self.size;
        let filtered = covers(kernel, self.size)
            && inputs.min(outputs) >= INPUTS
            && self.chunk * height * width >= TILES * 16;
        let bias_sum = self.sums(outputs);
        self.layer(Layer {
            index: 0,
            weight,
            bias: Some(bias),
            bias_sum,
            shape: WeightShape {
                outputs,
                inputs,
                kernel,
                filtered,
            },
            linear: false,
        })
    }

    fn linear(&mut self, linear: &Linear) -> Layer {
        let weight = self.parameter(&linear.weight);
        let bias = linear.bias.as_ref().map(|bias| self.parameter(bias));
        let [inputs, outputs] = linear.weight.dims();
        let bias_sum = self.sums(outputs);
        self.layer(Layer {
            index: 0,
            weight,
            bias,
            bias_sum,
            shape: WeightShape {
                outputs,
                inputs,
                kernel: 1,
                filtered: false,
            },
            linear: true,
        })
    }

    fn norm(&mut self, norm: &GroupNorm) -> NormLayer {
        let options = norm.options(false);
        let [channels] = norm.weight.dims();
        let layer = NormLayer {
            weight: self.parameter(&norm.weight),
            bias: self.parameter(&norm.bias),
            sum: self.sums(2 * channels),
            channels,
            groups: options.groups,
            epsilon: options.epsilon as f32,
        };
        self.norms.push(layer);
        layer
    }

    fn residual(&mut self, block: &ResidualBlock) {
        let norm_in = self.norm(&block.norm_in);
        self.size = match block.resample {
            Resample::None => self.size,
            Resample::Down => self.size.map(|side| side / 2),
            Resample::Up => self.size.map(|side| 2 * side),
        };
        let conv_in = self.convolution(&block.conv_in);
        block.modulation_cache.clear();
        let modulation = block.modulation.forward(self.embedding.clone());
        let values = match block.how {
            Modulation::ScaleShift => {
                let [scale, shift] = block.norm_out.modulated(modulation);
                Tensor::cat(vec![scale, shift], 1)
            }
            Modulation::Add => modulation,
        };
        let column = self.values(values);
        let norm_out = match block.how {
            // Its parameters are in the values.
            Modulation::ScaleShift => NormLayer {
                weight: 0,
                bias: 0,
                sum: 0,
                channels: conv_in.shape.outputs,
                groups: block.norm_out.options(true).groups,
                epsilon: block.norm_out.options(true).epsilon as f32,
            },
            Modulation::Add => self.norm(&block.norm_out),
        };
        let layers = BlockLayers {
            norm_in,
            conv_in,
            how: block.how,
            column,
            norm_out,
            conv_out: self.convolution(&block.conv_out),
            skip: block.skip.as_ref().map(|skip| self.convolution(skip)),
            resample: block.resample,
            dropout: block.dropout(),
            dropout_layer: self.dropout_layers,
        };
        self.dropout_layers += 1;
        self.steps.push(Step::Block(layers));
    }

    fn attention(&mut self, attention: &SelfAttention) {
        attention.caches.iter().for_each(|cache| cache.clear());
        let layers = AttentionLayers {
            norm: attention.norm.as_ref().map(|norm| self.norm(norm)),
            qkv: self.linear(&attention.qkv),
            output: self.linear(&attention.output),
            heads: attention.heads,
        };
        self.steps.push(Step::Attention(layers));
    }

    fn block(&mut self, block: &Block) {
        self.residual(&block.residual);
        if let Some(attention) = &block.attention {
            self.attention(attention);
        }
    }

    fn up(&mut self, stage: &UpStage) {
        for block in &stage.blocks {
            self.steps.push(Step::Join);
            self.block(block);
        }
        match (&stage.upsample, &stage.upsample_conv) {
            (Some(block), _) => self.residual(block),
            (None, Some(convolution)) => {
                self.size = self.size.map(|side| 2 * side);
                let layer = self.convolution(convolution);
                self.steps.push(Step::Double(layer));
            }
            (None, None) => (),
        }
    }

    fn finish(
        self,
        network: &UNet,
        input: Layer,
        output_norm: NormLayer,
        output: Layer,
        input_skip: Option<usize>,
    ) -> Planned {
        Planned {
            parameters: Tensor::cat(self.parameters, 0),
            values: Tensor::cat(self.values, 1),
            plan: Plan {
                input,
                steps: self.steps,
                output_norm,
                output,
                input_skip,
                layers: self.layers,
                norms: self.norms,
                parameters: self.length,
                short_sums: self.short_sums,
                columns: self.columns,
                patch: network.patch,
                chunk: self.chunk,
            },
        }
    }
}
