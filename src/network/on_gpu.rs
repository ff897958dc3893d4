//! The network on a GPU, evaluated as a whole by kernels of its own: what samples in browsers.
//!
//! It computes what the modules compute from burn's operations, which is what trains.

use std::sync::Arc;

use burn::nn::{Linear, conv::Conv2d};
use burn::tensor::{Int, Tensor};

use super::unet::{Block, DownStage, Middle, UpStage};
use super::{Conditioning, GroupNorm, OtherInputs, Resample, ResidualBlock, SelfAttention, UNet};
use crate::denoiser::{Denoiser, Rows, mixed};
use crate::kernels::SameConv2d;
use crate::kernels::unet::{
    Attention, Classes, Conditioned, Convolution, Geometry, Gpu, Image, Layout, Matrix, Norm,
    NormedConvolution, Pass, Pictures, Sinusoids,
};

/// The U-Net on a GPU, evaluated by kernels of its own in the type of its weights, 16 or 32 bits. A copy shares the weights.
#[derive(Debug, Clone)]
pub struct KernelUNet(Arc<Layers>);

/// The network's weights in the order in which the kernels read them, and where they keep what.
#[derive(Debug)]
struct Layers {
    gpu: Gpu,
    conditioning: Conditioning,
    classes: usize,
    /// Numbers of a row of the scratch memory.
    row: usize,
    pictures: Pictures,
    conditioned: Conditioned,
    input: Convolution,
    down: Vec<Down>,
    middle: Option<BetweenStages>,
    up: Vec<Up>,
    output: NormedConvolution,
}

impl KernelUNet {
    /// The network of these weights, for square images of `size` pixels; `None` where the weights are not on a GPU in 16 or 32
    /// bits, or a layer has more than 1536 channels.
    pub fn new(network: &UNet, size: usize) -> Option<Self> {
        Layers::new(network, size).map(|layers| Self(Arc::new(layers)))
    }

    /// One number, which is not 0 once an answer was not a finite number.
    pub fn overflow(&self) -> Tensor<1> {
        self.0.pictures.overflow(&self.0.gpu)
    }
}

impl Denoiser for KernelUNet {
    fn classes(&self) -> usize {
        self.0.classes
    }

    fn predict(&self, z: Tensor<4>, log_snr: Tensor<1>, class: Tensor<1, Int>) -> Tensor<4> {
        self.0
            .answer_each(&z, log_snr, class, OtherInputs::default())
    }

    fn predict_guided(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        guidance: Tensor<1>,
    ) -> Tensor<4> {
        match self.0.conditioning.takes_guidance() {
            true => {
                let others = OtherInputs {
                    guidance: Some(guidance),
                    next_log_snr: None,
                };
                self.0.answer_each(&z, log_snr, class, others)
            }
            false => mixed(self, z, log_snr, class, guidance),
        }
    }

    fn predict_jump(
        &self,
        z: Tensor<4>,
        [log_snr, next_log_snr]: [Tensor<1>; 2],
        class: Tensor<1, Int>,
        guidance: Tensor<1>,
    ) -> Tensor<4> {
        match self.0.conditioning.takes_next_level() {
            true => {
                let others = OtherInputs {
                    guidance: Some(guidance),
                    next_log_snr: Some(next_log_snr),
                };
                self.0.answer_each(&z, log_snr, class, others)
            }
            false => self.predict_guided(z, log_snr, class, guidance),
        }
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        self.0.answer_each(&z, log_snr, class, others)
    }

    fn predict_rows(&self, rows: &Rows<'_>) -> Option<Tensor<4>> {
        let conditioning = &self.0.conditioning;
        let of = |w| conditioning.sinusoids_of(rows.level, w, rows.next);
        let strengths = rows
            .guidance
            .filter(|_| conditioning.takes_guidance())
            .unwrap_or_default();
        let first = strengths.first().copied().unwrap_or(0.0);
        let sinusoids = match strengths.iter().all(|&w| w == first) {
            true => Sinusoids::All(of(first)),
            false => Sinusoids::Rows(strengths.iter().map(|&w| of(w)).collect()),
        };
        Some(
            self.0
                .answer(rows.z, rows.images, Classes::Here(rows.classes), sinusoids),
        )
    }
}

#[derive(Debug)]
struct Down {
    blocks: Vec<GpuBlock>,
    halving: Option<Halving>,
}

#[derive(Debug)]
enum Halving {
    Block(GpuResidual),
    Convolution(Convolution),
}

#[derive(Debug)]
struct BetweenStages {
    first: GpuResidual,
    attention: Option<Attention>,
    second: GpuResidual,
}

#[derive(Debug)]
struct Up {
    blocks: Vec<GpuBlock>,
    doubling: Option<Doubling>,
}

#[derive(Debug)]
enum Doubling {
    Block(GpuResidual),
    Convolution(Convolution),
}

#[derive(Debug)]
struct GpuBlock {
    residual: GpuResidual,
    attention: Option<Attention>,
}

#[derive(Debug)]
struct GpuResidual {
    first: NormedConvolution,
    second: NormedConvolution,
    resample: Resample,
}

impl Layers {
    fn new(network: &UNet, size: usize) -> Option<Self> {
        let gpu = Gpu::of(&network.input.weight())?;
        let [_, channels, ..] = network.input.weight().dims();
        let colors = channels / (network.patch * network.patch);
        let mut build = Build {
            gpu: &gpu,
            layout: Layout::default(),
            modulations: Vec::new(),
            modulated: 0,
            side: size / network.patch,
        };
        let input = build.same(&network.input)?;
        let down = network.down.iter().map(|stage| build.down(stage));
        let down = down.collect::<Option<Vec<_>>>()?;
        let middle = match &network.middle {
            Some(middle) => Some(build.middle(middle)?),
            None => None,
        };
        let up = network.up.iter().map(|stage| build.up(stage));
        let up = up.collect::<Option<Vec<_>>>()?;
        let norm = build.norm(&network.output_norm)?;
        let output = build.normed(norm, &network.output, None);
        let skip = match &network.input_skip {
            Some(layer) => Some(build.modulation(layer)?),
            None => None,
        };
        let Build {
            mut layout,
            modulations,
            ..
        } = build;
        let inputs = network.conditioning.layers();
        let [first, second] = [0, 1].map(|layer| {
            let layers = inputs.iter().map(|layers| Matrix::layer(layers[layer]));
            layers.collect::<Option<Vec<_>>>()
        });
        let conditioned = Conditioned::new(
            &gpu,
            &mut layout,
            [first?, second?],
            network.conditioning.classes(),
            &modulations,
        );
        Some(Self {
            row: layout.row(),
            pictures: Pictures::new(&gpu, [colors, size, size], network.patch, skip),
            conditioning: network.conditioning.clone(),
            classes: network.classes,
            conditioned,
            input,
            down,
            middle,
            up,
            output,
            gpu,
        })
    }

    /// The answer to each image of `z`, whose inputs are on its device.
    fn answer_each(
        &self,
        z: &Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let [batch, ..] = z.dims();
        let sinusoids = Sinusoids::Each(self.conditioning.all_sinusoids(log_snr, others));
        let images: Vec<u32> = (0..batch as u32).collect();
        self.answer(z, &images, Classes::There(class), sinusoids)
    }

    /// The answer to rows that are each of an image of `z` and of a class.
    fn answer(
        &self,
        z: &Tensor<4>,
        images: &[u32],
        classes: Classes<'_>,
        sinusoids: Sinusoids,
    ) -> Tensor<4> {
        let modulations = self.conditioned.modulations();
        let pass = Pass::new(&self.gpu, images, classes, self.row, modulations);
        self.conditioned.run(&pass, sinusoids);
        let folded = self.pictures.fold(&pass, z);
        let mut skips = vec![self.input.run(&pass, &folded, None)];
        drop(folded);
        for stage in &self.down {
            stage.run(&pass, &mut skips);
        }
        let mut x = self
            .middle
            .as_ref()
            .map(|middle| middle.run(&pass, last(&skips)));
        for stage in &self.up {
            x = Some(stage.run(&pass, x, &mut skips));
        }
        let x = x.unwrap_or_else(|| skips.remove(0));
        let y = self.output.run(&pass, &[&x], &[], Resample::None);
        self.pictures.unfold(&pass, &y, z)
    }
}

/// The latest result of the way down.
fn last(skips: &[Image]) -> &Image {
    skips.last().expect("the first layer's result")
}

impl Down {
    /// Adds its results to `skips`, whose last is what it begins with.
    fn run(&self, pass: &Pass<'_>, skips: &mut Vec<Image>) {
        for block in &self.blocks {
            let y = block.run(pass, &[last(skips)]);
            skips.push(y);
        }
        let x = last(skips);
        let halved = match &self.halving {
            Some(Halving::Block(block)) => Some(block.run(pass, &[x])),
            Some(Halving::Convolution(convolution)) => Some(convolution.run(pass, x, None)),
            None => None,
        };
        skips.extend(halved);
    }
}

impl BetweenStages {
    fn run(&self, pass: &Pass<'_>, x: &Image) -> Image {
        let mut x = self.first.run(pass, &[x]);
        if let Some(attention) = &self.attention {
            x = attention.run(pass, &x);
        }
        self.second.run(pass, &[&x])
    }
}

impl Up {
    /// Takes its skips from the end of `skips`. Without a middle, the way up begins with the last of them twice.
    fn run(&self, pass: &Pass<'_>, mut x: Option<Image>, skips: &mut Vec<Image>) -> Image {
        for block in &self.blocks {
            let skip = skips.pop().expect("a skip for every block");
            let parts = [x.as_ref().unwrap_or(&skip), &skip];
            x = Some(block.run(pass, &parts));
        }
        let x = x.expect("at least one block");
        match &self.doubling {
            Some(Doubling::Block(block)) => block.run(pass, &[&x]),
            Some(Doubling::Convolution(convolution)) => convolution.run(pass, &x, None),
            None => x,
        }
    }
}

impl GpuBlock {
    fn run(&self, pass: &Pass<'_>, x: &[&Image]) -> Image {
        let x = self.residual.run(pass, x);
        match &self.attention {
            Some(attention) => attention.run(pass, &x),
            None => x,
        }
    }
}

impl GpuResidual {
    fn run(&self, pass: &Pass<'_>, x: &[&Image]) -> Image {
        let hidden = self.first.run(pass, x, &[], Resample::None);
        self.second.run(pass, &[&hidden], x, self.resample)
    }
}

/// The building of the layers, in the order of their evaluation.
struct Build<'a> {
    gpu: &'a Gpu,
    layout: Layout,
    /// The layers of the embedding, in the order of their places.
    modulations: Vec<[Matrix; 2]>,
    /// Their outputs so far.
    modulated: usize,
    /// Side of the feature maps.
    side: usize,
}

impl Build<'_> {
    fn size(&self) -> [usize; 2] {
        [self.side; 2]
    }

    /// The place of another layer's outputs among all modulations.
    fn modulation(&mut self, layer: &Linear) -> Option<usize> {
        let begin = self.modulated;
        let [_, outputs] = layer.weight.dims();
        self.modulated += outputs;
        self.modulations.push(Matrix::layer(layer)?);
        Some(begin)
    }

    fn norm(&self, norm: &GroupNorm) -> Option<Norm> {
        let parameters = [norm.weight.val(), norm.bias.val()];
        Norm::new(parameters, norm.options(false))
    }

    fn matrices(layer: &SameConv2d) -> [Matrix; 2] {
        [
            Matrix::convolution(layer.weight()),
            Matrix::row(layer.bias()),
        ]
    }

    fn normed(
        &mut self,
        norm: Norm,
        layer: &SameConv2d,
        projection: Option<&SameConv2d>,
    ) -> NormedConvolution {
        let projection = projection.map(Self::matrices);
        let (matrices, size) = (Self::matrices(layer), self.size());
        NormedConvolution::new(
            self.gpu,
            &mut self.layout,
            norm,
            &matrices,
            projection.as_ref(),
            size,
        )
    }

    /// A 3×3 convolution of the image as it is.
    fn same(&mut self, layer: &SameConv2d) -> Option<Convolution> {
        self.plain(None, &Self::matrices(layer), Geometry::same(3))
    }

    fn plain(
        &mut self,
        norm: Option<Norm>,
        parameters: &[Matrix; 2],
        geometry: Geometry,
    ) -> Option<Convolution> {
        let size = self.size();
        Convolution::new(self.gpu, &mut self.layout, norm, parameters, geometry, size)
    }

    fn down(&mut self, stage: &DownStage) -> Option<Down> {
        let blocks = stage.blocks.iter().map(|block| self.block(block));
        let blocks = blocks.collect::<Option<Vec<_>>>()?;
        let halving = match (&stage.downsample, &stage.downsample_conv) {
            (Some(block), _) => Some(Halving::Block(self.residual(block)?)),
            (None, Some(layer)) => Some(Halving::Convolution(self.halving(layer)?)),
            (None, None) => None,
        };
        Some(Down { blocks, halving })
    }

    /// A convolution of stride 2, with a border on all sides or at the right and at the bottom only.
    fn halving(&mut self, layer: &Conv2d) -> Option<Convolution> {
        self.side /= 2;
        let (weight, bias) = (layer.weight.val(), layer.bias.as_ref()?.val());
        let geometry = Geometry {
            stride: 2,
            border: super::border_before(layer),
            ..Geometry::same(3)
        };
        self.plain(
            None,
            &[Matrix::convolution(weight), Matrix::row(bias)],
            geometry,
        )
    }

    fn middle(&mut self, middle: &Middle) -> Option<BetweenStages> {
        Some(BetweenStages {
            first: self.residual(&middle.first)?,
            attention: match &middle.attention {
                Some(attention) => Some(self.attention(attention)?),
                None => None,
            },
            second: self.residual(&middle.second)?,
        })
    }

    fn up(&mut self, stage: &UpStage) -> Option<Up> {
        let blocks = stage.blocks.iter().map(|block| self.block(block));
        let blocks = blocks.collect::<Option<Vec<_>>>()?;
        let doubling = match (&stage.upsample, &stage.upsample_conv) {
            (Some(block), _) => Some(Doubling::Block(self.residual(block)?)),
            (None, Some(layer)) => {
                self.side *= 2;
                let geometry = Geometry {
                    doubled: true,
                    ..Geometry::same(3)
                };
                let parameters = Self::matrices(layer);
                Some(Doubling::Convolution(self.plain(
                    None,
                    &parameters,
                    geometry,
                )?))
            }
            (None, None) => None,
        };
        Some(Up { blocks, doubling })
    }

    fn block(&mut self, block: &Block) -> Option<GpuBlock> {
        Some(GpuBlock {
            residual: self.residual(&block.residual)?,
            attention: match &block.attention {
                Some(attention) => Some(self.attention(attention)?),
                None => None,
            },
        })
    }

    fn residual(&mut self, block: &ResidualBlock) -> Option<GpuResidual> {
        match block.resample {
            Resample::None => {}
            Resample::Down => self.side /= 2,
            Resample::Up => self.side *= 2,
        }
        let [norm_in, norm_out] = [self.norm(&block.norm_in)?, self.norm(&block.norm_out)?];
        let first = self.normed(norm_in, &block.conv_in, None);
        let modulation = self.modulation(&block.modulation)?;
        let second = self.normed(norm_out, &block.conv_out, block.skip.as_ref());
        Some(GpuResidual {
            first: first.resampled(block.resample),
            second: second.modulated(block.how, modulation),
            resample: block.resample,
        })
    }

    fn attention(&mut self, attention: &SelfAttention) -> Option<Attention> {
        let norm = match &attention.norm {
            Some(norm) => Some(self.norm(norm)?),
            None => None,
        };
        let qkv = self.plain(norm, &Matrix::layer(&attention.qkv)?, Geometry::same(1))?;
        let output = self.plain(None, &Matrix::layer(&attention.output)?, Geometry::same(1))?;
        Some(Attention {
            qkv,
            output,
            heads: attention.heads,
        })
    }
}
