//! The layers that work on images, with their weights, and what an evaluation of them shares.

use burn::tensor::{Int, Tensor};
use burn_cubecl::cubecl::server::Handle;

use super::super::super::options::GroupNormOptions;
use super::attention::{COMPONENTS, QUERIES, attention};
use super::convolution::{MovesLaunch, normalized_convolution, plain_convolution};
use super::packed::Packed;
use super::statistics::{ADD, NormedLaunch, PER_TILE, SCALE_SHIFT, UNMODULATED, tile_side, tiles};
use super::tile::{DOUBLED, HALVED, NOTHING, OUTPUTS, PLAIN, PROJECTED, SizesLaunch, THREADS};
use super::{Gpu, Layout, Matrix, buffer, handle, integers, launch};
use crate::network::{Modulation, Resample};

/// Channels that kernels have room for in a cube's memory: most networks need the first, and none may have more than the
/// last, with which the memory is full that every adapter has, 16 KiB.
const ROOM: [usize; 2] = [256, 1536];

/// Channels that a kernel has room for which are at least so many.
fn room(channels: usize) -> Option<usize> {
    ROOM.into_iter().find(|&room| channels <= room)
}

/// The code that kernels have for a resampling.
fn code(resample: Resample) -> usize {
    match resample {
        Resample::None => PLAIN,
        Resample::Down => HALVED,
        Resample::Up => DOUBLED,
    }
}

/// What the layers of one evaluation share.
pub(crate) struct Pass<'a> {
    pub gpu: &'a Gpu,
    pub rows: usize,
    /// Numbers of a row in the scratch memory.
    pub row: usize,
    pub scratch: Handle,
    /// The image of each row.
    pub images: Handle,
    /// The class of each row.
    pub classes: Handle,
    /// Which attributes each row has, 1 or 0 for each, and how many there are, where rows have attributes.
    pub attributes: Option<(Handle, usize)>,
    /// Where the modulations begin in a row.
    pub modulations: usize,
}

/// Which attributes each row has, `[rows, attributes]`, 1 or 0.
pub(crate) enum Attributes {
    /// In this memory, with their count.
    Here(Vec<f32>, usize),
    /// On the device.
    There(Tensor<2>),
}

/// The class of each row.
pub(crate) enum Classes<'a> {
    /// In this memory.
    Here(&'a [u32]),
    /// On the device, in 32-bit integers.
    There(Tensor<1, Int>),
}

impl<'a> Pass<'a> {
    /// Of rows that are each of an image and of a class; `row`: numbers of a row in the scratch memory; `modulations`: where
    /// they begin in it.
    pub(crate) fn new(
        gpu: &'a Gpu,
        images: &[u32],
        (classes, attributes): (Classes<'_>, Option<Attributes>),
        row: usize,
        modulations: usize,
    ) -> Self {
        let given = |ids: &[u32]| gpu.given(ids.iter().map(|id| id.to_le_bytes()));
        Self {
            images: given(images),
            classes: match classes {
                Classes::Here(classes) => given(classes),
                Classes::There(classes) => integers(classes),
            },
            attributes: attributes.map(|attributes| match attributes {
                Attributes::Here(flags, count) => {
                    let flags = flags.iter().map(|flag| flag.to_le_bytes());
                    (gpu.given(flags), count)
                }
                Attributes::There(flags) => {
                    let [_, count] = flags.dims();
                    (handle(flags), count)
                }
            }),
            scratch: gpu.numbers(images.len() * row),
            rows: images.len(),
            gpu,
            row,
            modulations,
        }
    }
}

/// An image of every row, with the statistics that its normalisation needs.
#[derive(Debug)]
pub(crate) struct Image {
    pub(super) values: Handle,
    pub(super) slot: usize,
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// A group normalisation.
#[derive(Debug)]
pub(crate) struct Norm {
    /// Scales and shifts.
    parameters: [Matrix; 2],
    channels: usize,
    options: GroupNormOptions,
}

impl Norm {
    /// `parameters`: scales and shifts, `[channels]`. `None` where a kernel has no room for so many.
    pub(crate) fn new(parameters: [Tensor<1>; 2], options: GroupNormOptions) -> Option<Self> {
        let [channels] = parameters[0].dims();
        room(channels)?;
        Some(Self {
            parameters: parameters.map(Matrix::row),
            channels,
            options,
        })
    }
}

/// Weights of a convolution and what is known of its result.
#[derive(Debug)]
struct Weights {
    values: Handle,
    /// Scales and shifts of the normalisation, and the bias.
    affine: Handle,
    inputs: usize,
    outputs: usize,
    /// Where the bias begins.
    bias: usize,
    /// Channels that a projection adds.
    projected: usize,
    slot: usize,
}

impl Weights {
    /// Of a convolution, and of the 1×1 convolution that it adds: each a weight and a bias, with an output for each column.
    fn new(
        gpu: &Gpu,
        layout: &mut Layout,
        norm: Option<&Norm>,
        [weight, bias]: &[Matrix; 2],
        rest: Option<&[Matrix; 2]>,
        taps: usize,
        [height, width]: [usize; 2],
    ) -> Self {
        let outputs = weight.columns;
        let projection = rest.map(|[weight, _]| weight);
        let projected = projection.map_or(0, |weight| weight.rows);
        let padded = outputs.div_ceil(OUTPUTS) * OUTPUTS;
        let mut values = Packed::new(gpu, weight.rows + projected, padded);
        values.append(weight);
        if let Some(weight) = projection {
            values.append(weight);
        }
        let channels = norm.map_or(0, |norm| norm.channels);
        let affine = Packed::new(gpu, 1, 2 * channels + outputs);
        for (part, parameter) in norm.iter().flat_map(|norm| &norm.parameters).enumerate() {
            affine.put(parameter, 0, part * channels, channels);
        }
        affine.put(bias, 0, 2 * channels, outputs);
        if let Some([_, more]) = rest {
            affine.add(more, 0, 2 * channels);
        }
        Self {
            values: values.values,
            affine: affine.values,
            inputs: weight.rows / (taps * taps),
            outputs,
            bias: 2 * channels,
            projected,
            slot: layout.take(outputs * tiles(height, width) * PER_TILE),
        }
    }

    /// The sizes of the result, and what is added to it.
    fn sizes(
        &self,
        pass: &Pass<'_>,
        [height, width]: [usize; 2],
        rest: usize,
        of: [usize; 2],
    ) -> SizesLaunch {
        SizesLaunch::new(
            pass.rows,
            self.outputs,
            height,
            width,
            tile_side(height, width),
            pass.row,
            self.slot,
            self.bias,
            rest,
            of[0],
            of[1],
        )
    }

    fn cubes(&self, pass: &Pass<'_>, [height, width]: [usize; 2]) -> usize {
        pass.rows * self.outputs.div_ceil(OUTPUTS) * tiles(height, width)
    }

    /// An image for the result.
    fn image(&self, pass: &Pass<'_>, [height, width]: [usize; 2]) -> Image {
        Image {
            values: pass.gpu.values(pass.rows * self.outputs * height * width),
            slot: self.slot,
            channels: self.outputs,
            height,
            width,
        }
    }
}

/// What a kernel is told of the images that it reads, which may be normalised.
fn normed(x: &[&Image], norm: Option<&Norm>, modulated: usize, modulation: usize) -> NormedLaunch {
    let [first, second] = [x.first(), x.get(1)];
    let of = |image: Option<&&Image>| image.map_or((0, 0), |image| (image.channels, image.slot));
    let ((first_channels, first_slot), (second_channels, second_slot)) = (of(first), of(second));
    let (height, width) = first.map_or((1, 1), |image| (image.height, image.width));
    NormedLaunch::new(
        first_channels,
        second_channels,
        height,
        width,
        tile_side(height, width),
        norm.map_or(0, |norm| norm.channels / norm.options.groups),
        norm.map_or(1.0, |norm| norm.options.epsilon as f32),
        first_slot,
        second_slot,
        modulated,
        modulation,
    )
}

/// A 3×3 convolution of an image that is normalised, activated and resampled while it is read, and what is added.
#[derive(Debug)]
pub(crate) struct NormedConvolution {
    norm: Norm,
    weights: Weights,
    resample: Resample,
    modulated: usize,
    /// Where its modulation begins among all of them.
    modulation: usize,
}

impl NormedConvolution {
    /// `convolution`: its weight and bias; `projection`: of what is added, where that is a 1×1 convolution; `size`: height
    /// and width of the result; `modulation`: how and where among all of them.
    pub(crate) fn new(
        gpu: &Gpu,
        layout: &mut Layout,
        norm: Norm,
        convolution: &[Matrix; 2],
        projection: Option<&[Matrix; 2]>,
        size: [usize; 2],
    ) -> Self {
        Self {
            weights: Weights::new(gpu, layout, Some(&norm), convolution, projection, 3, size),
            norm,
            resample: Resample::None,
            modulated: UNMODULATED,
            modulation: 0,
        }
    }

    /// With this between the activation and the convolution.
    pub(crate) fn resampled(mut self, resample: Resample) -> Self {
        self.resample = resample;
        self
    }

    /// With the modulation that begins there among all of them.
    pub(crate) fn modulated(mut self, how: Modulation, at: usize) -> Self {
        self.modulated = match how {
            Modulation::ScaleShift => SCALE_SHIFT,
            Modulation::Add => ADD,
        };
        self.modulation = at;
        self
    }

    /// The result for `x`, in one part or two whose channels follow each other. What is added: `rest`, resampled as `sized`
    /// says, or its projection, of which it may have two parts as well; nothing where it has none.
    pub(crate) fn run(
        &self,
        pass: &Pass<'_>,
        x: &[&Image],
        rest: &[&Image],
        sized: Resample,
    ) -> Image {
        let (height, width) = (x[0].height, x[0].width);
        let size = match self.resample {
            Resample::None => [height, width],
            Resample::Down => [height / 2, width / 2],
            Resample::Up => [2 * height, 2 * width],
        };
        let y = self.weights.image(pass, size);
        let added = match (rest, self.weights.projected) {
            ([], _) => NOTHING,
            (_, 0) => code(sized),
            _ => PROJECTED,
        };
        let of = match added {
            PROJECTED => [0, 1].map(|part| rest.get(part).map_or(0, |image| image.channels)),
            _ => [0, 0],
        };
        let other = x.get(1).or(rest.first()).unwrap_or(&x[0]);
        let third = rest.get(1).unwrap_or(other);
        let gpu = pass.gpu;
        let modulation = pass.modulations + self.modulation;
        launch!(
            gpu,
            normalized_convolution,
            self.weights.cubes(pass, size),
            THREADS,
            buffer(&x[0].values),
            buffer(&other.values),
            buffer(&third.values),
            buffer(&self.weights.affine),
            buffer(&self.weights.values),
            buffer(&pass.scratch),
            buffer(&y.values),
            normed(x, Some(&self.norm), self.modulated, modulation),
            self.weights.sizes(pass, size, added, of),
            code(self.resample),
            room(self.norm.channels).unwrap_or(ROOM[1]),
        );
        y
    }
}

/// How a convolution moves over its image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    /// Side of the kernel.
    pub taps: usize,
    /// Rows and columns of the image for one of the result.
    pub stride: usize,
    /// Zeros above and left of the image.
    pub border: usize,
    /// Whether the image is doubled first.
    pub doubled: bool,
}

impl Geometry {
    /// Of a convolution that keeps the image's size.
    pub(crate) const fn same(taps: usize) -> Self {
        Self {
            taps,
            stride: 1,
            border: taps / 2,
            doubled: false,
        }
    }

    fn size(&self, height: usize, width: usize) -> [usize; 2] {
        let times = if self.doubled { 2 } else { 1 };
        [height, width].map(|size| size * times / self.stride)
    }
}

/// A convolution of an image that may be normalised but is not activated, and the sum with another.
#[derive(Debug)]
pub(crate) struct Convolution {
    norm: Option<Norm>,
    weights: Weights,
    geometry: Geometry,
    room: usize,
}

impl Convolution {
    /// `parameters`: weight and bias; `size`: height and width of the result. `None` where a kernel has no room for so many
    /// channels.
    pub(crate) fn new(
        gpu: &Gpu,
        layout: &mut Layout,
        norm: Option<Norm>,
        parameters: &[Matrix; 2],
        geometry: Geometry,
        size: [usize; 2],
    ) -> Option<Self> {
        let weights = Weights::new(
            gpu,
            layout,
            norm.as_ref(),
            parameters,
            None,
            geometry.taps,
            size,
        );
        Some(Self {
            norm,
            room: room(weights.inputs)?,
            weights,
            geometry,
        })
    }

    pub(crate) fn run(&self, pass: &Pass<'_>, x: &Image, rest: Option<&Image>) -> Image {
        let size = self.geometry.size(x.height, x.width);
        let y = self.weights.image(pass, size);
        let gpu = pass.gpu;
        let added = rest.map_or(NOTHING, |_| PLAIN);
        let Geometry {
            taps,
            stride,
            border,
            doubled,
        } = self.geometry;
        launch!(
            gpu,
            plain_convolution,
            self.weights.cubes(pass, size),
            THREADS,
            buffer(&x.values),
            buffer(&rest.unwrap_or(x).values),
            buffer(&self.weights.affine),
            buffer(&self.weights.values),
            buffer(&pass.scratch),
            buffer(&y.values),
            normed(&[x], self.norm.as_ref(), UNMODULATED, 0),
            self.weights.sizes(pass, size, added, [0, 0]),
            MovesLaunch::new(taps, stride, border, if doubled { DOUBLED } else { PLAIN }),
            self.room,
        );
        y
    }
}

/// Self-attention with a residual connection.
#[derive(Debug)]
pub(crate) struct Attention {
    /// Queries, keys and values of the normalised image.
    pub(crate) qkv: Convolution,
    /// Of the heads' results.
    pub(crate) output: Convolution,
    pub(crate) heads: usize,
}

impl Attention {
    pub(crate) fn run(&self, pass: &Pass<'_>, x: &Image) -> Image {
        let qkv = self.qkv.run(pass, x, None);
        let (heads, pixels) = (self.heads, x.height * x.width);
        let depth = x.channels / heads;
        let mixed = Image {
            values: pass.gpu.values(pass.rows * x.channels * pixels),
            slot: 0,
            ..*x
        };
        let gpu = pass.gpu;
        let cubes = pass.rows * heads * pixels.div_ceil(QUERIES) * depth.div_ceil(COMPONENTS);
        launch!(
            gpu,
            attention,
            cubes,
            QUERIES,
            buffer(&qkv.values),
            buffer(&mixed.values),
            pass.rows,
            heads,
            depth,
            pixels,
            1.0 / (depth as f32).sqrt(),
        );
        self.output.run(pass, &mixed, Some(x))
    }
}
