//! The network on a GPU, evaluated as a whole by kernels of its own: what samples in browsers.
//!
//! It computes what the modules compute from burn's operations, which is what trains.

mod build;

use std::sync::Arc;

use burn::tensor::{Int, Tensor};

use super::conditioning::flags;
use super::{Conditioning, OtherInputs, Resample, TakenInputs, UNet};
use crate::denoiser::{Denoiser, Rows};
use crate::kernels::unet::{
    Attention, Attributes, Classes, Conditioned, Convolution, Gpu, Image, NormedConvolution, Pass,
    Pictures, Sinusoids,
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
    /// bits, a layer has more than 1536 channels, or it is one of super-resolution.
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

    fn takes(&self) -> TakenInputs {
        self.0.conditioning.takes()
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
        let takes = conditioning.takes();
        let of = |w, number| conditioning.sinusoids_of(rows.level, w, rows.next, number);
        let strengths = rows.guidance.filter(|_| takes.guidance).unwrap_or_default();
        let joints = rows.joints.unwrap_or_default();
        let first = strengths.first().copied().unwrap_or(0.0);
        let sinusoids = if takes.number && joints.iter().any(|joint| joint.number.is_some()) {
            Sinusoids::Rows(joints.iter().map(|joint| of(first, joint.number)).collect())
        } else if strengths.iter().all(|&w| w == first) {
            Sinusoids::All(of(first, None))
        } else {
            Sinusoids::Rows(strengths.iter().map(|&w| of(w, None)).collect())
        };
        let attributes = (takes.attributes && !joints.is_empty())
            .then(|| Attributes::Here(flags(joints, self.0.classes), self.0.classes));
        let labels = (Classes::Here(rows.classes), attributes);
        Some(self.0.answer(rows.z, rows.images, labels, sinusoids))
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
    /// The answer to each image of `z`, whose inputs are on its device.
    fn answer_each(
        &self,
        z: &Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let [batch, ..] = z.dims();
        let takes = self.conditioning.takes();
        let attributes = others.attributes.clone().filter(|_| takes.attributes);
        let sinusoids = Sinusoids::Each(self.conditioning.all_sinusoids(log_snr, others));
        let images: Vec<u32> = (0..batch as u32).collect();
        let labels = (Classes::There(class), attributes.map(Attributes::There));
        self.answer(z, &images, labels, sinusoids)
    }

    /// The answer to rows that are each of an image of `z` and of a class, or of attributes.
    fn answer(
        &self,
        z: &Tensor<4>,
        images: &[u32],
        labels: (Classes<'_>, Option<Attributes>),
        sinusoids: Sinusoids,
    ) -> Tensor<4> {
        let modulations = self.conditioned.modulations();
        let pass = Pass::new(&self.gpu, images, labels, self.row, modulations);
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
