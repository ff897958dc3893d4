//! Builds the layers of a network on a GPU from its modules, in the order of their evaluation.

use burn::nn::{Linear, conv::Conv2d};

use super::{BetweenStages, Doubling, Down, GpuBlock, GpuResidual, Halving, Layers, Up};
use crate::denoiser::Denoiser;
use crate::kernels::SameConv2d;
use crate::kernels::unet::{
    Attention, Conditioned, Convolution, Geometry, Gpu, Layout, Matrix, Norm, NormedConvolution,
    Pictures,
};
use crate::network::{
    Block, DownStage, GroupNorm, Middle, Resample, ResidualBlock, SelfAttention, UNet, UpStage,
    border_before,
};

impl Layers {
    /// The layers of a network for square images of `size` pixels; `None` as [`super::KernelUNet::new`].
    pub(super) fn new(network: &UNet, size: usize) -> Option<Self> {
        if network.takes().low_resolution {
            return None;
        }
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
        let skip = network.input_skip.as_ref();
        let skip = skip.map(|layer| build.modulation(layer));
        let Build {
            mut layout,
            modulations,
            ..
        } = build;
        let inputs = network.conditioning.layers();
        let [first, second] = [0, 1].map(|layer| {
            let layers = inputs.iter().map(|layers| Matrix::layer(layers[layer]));
            layers.collect::<Vec<_>>()
        });
        let conditioned = Conditioned::new(
            &gpu,
            &mut layout,
            [first, second],
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
    fn modulation(&mut self, layer: &Linear) -> usize {
        let begin = self.modulated;
        let [_, outputs] = layer.weight.dims();
        self.modulated += outputs;
        self.modulations.push(Matrix::layer(layer));
        begin
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
            border: border_before(layer),
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
        let modulation = self.modulation(&block.modulation);
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
        let qkv = self.plain(norm, &Matrix::layer(&attention.qkv), Geometry::same(1))?;
        let output = self.plain(None, &Matrix::layer(&attention.output), Geometry::same(1))?;
        Some(Attention {
            qkv,
            output,
            heads: attention.heads,
        })
    }
}
