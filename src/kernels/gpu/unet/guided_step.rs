//! Guidance and a solver's step, as one kernel.

use burn::tensor::Tensor;
use burn_cubecl::cubecl::{self, prelude::*, server::Handle};

use super::super::grid::{cube_count, cube_index};
use super::{Gpu, buffer, handle};
use crate::noise_level::LogSnr;
use crate::prediction::{Estimate, Target};

/// Threads of a cube, one for each value.
const THREADS: usize = 64;

/// The latent that a step leads to: what x̃, ε̃, z and another tensor are multiplied by in their sum.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Factors {
    pub x: f64,
    pub epsilon: f64,
    pub z: f64,
    pub other: f64,
}

/// Of each image w and its unconditional row, where it is guided, on the device: what is there already need not be sent
/// again, before which everything that waits would have to be submitted.
#[derive(Debug)]
pub(crate) struct GuidedImages {
    pub images: Vec<Option<(f64, usize)>>,
    numbers: Handle,
}

impl GuidedImages {
    /// On the device of a tensor; `None` where that is no GPU.
    pub(crate) fn new(z: &Tensor<4>, images: Vec<Option<(f64, usize)>>) -> Option<Self> {
        let gpu = Gpu::of(z)?;
        let numbers = images.iter().flat_map(|guided| match guided {
            Some((w, row)) => [*w as f32, *row as f32],
            None => [0.0, -1.0],
        });
        Some(Self {
            numbers: gpu.given(numbers.map(f32::to_le_bytes)),
            images,
        })
    }
}

/// One evaluation's answer and what is to be made of it.
#[derive(Debug)]
pub(crate) struct GuidedStep<'a> {
    /// The network's answer, `[rows, channels, height, width]`, of which the first rows are the images' own.
    pub output: &'a Tensor<4>,
    /// The latents, `[images, channels, height, width]`.
    pub z: &'a Tensor<4>,
    /// Another tensor of that shape, where the sum has one.
    pub other: Option<&'a Tensor<4>>,
    pub guided: &'a GuidedImages,
    pub level: LogSnr,
    pub target: Target,
    pub clip: bool,
    /// Whether ε̃ is that of the unconditional row.
    pub unconditional_noise: bool,
    pub factors: Factors,
}

#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct StepSizes {
    values: usize,
    images: usize,
    alpha: f32,
    sigma: f32,
    predicts_noise: usize,
    clips: usize,
    unconditional_noise: usize,
    by_x: f32,
    by_epsilon: f32,
    by_z: f32,
    by_other: f32,
}

impl GuidedStep<'_> {
    /// x̃ and ε̃ of every image, and the latents that the sum makes; `None` where the tensors are not on a GPU in 32 bits.
    pub(crate) fn run(&self) -> Option<(Estimate, Tensor<4>)> {
        let gpu = Gpu::of(self.z)?;
        if gpu.value_bytes() != size_of::<f32>() {
            return None;
        }
        let shape = self.z.dims();
        let [images, channels, height, width] = shape;
        let values = channels * height * width;
        let (output, z) = (handle(self.output.clone()), handle(self.z.clone()));
        let other = match self.other {
            Some(other) => handle(other.clone()),
            None => z.clone(),
        };
        let [next, x, epsilon] = [(); 3].map(|()| gpu.numbers(images * values));
        // SAFETY: the kernel reads and writes within its buffers, whose sizes it is told.
        unsafe {
            guided_step::launch_unchecked(
                &gpu.client,
                cube_count((images * values).div_ceil(THREADS)),
                CubeDim::new_1d(THREADS as u32),
                buffer(&output),
                buffer(&z),
                buffer(&other),
                buffer(&self.guided.numbers),
                buffer(&next),
                buffer(&x),
                buffer(&epsilon),
                self.sizes(images, values),
            );
        }
        let [next, x, epsilon] = [next, x, epsilon].map(|numbers| gpu.tensor(numbers, shape));
        Some((Estimate { x, epsilon }, next))
    }

    fn sizes(&self, images: usize, values: usize) -> StepSizesLaunch {
        let Factors {
            x,
            epsilon,
            z,
            other,
        } = self.factors;
        StepSizesLaunch::new(
            values,
            images,
            self.level.alpha() as f32,
            self.level.sigma() as f32,
            usize::from(self.target == Target::Epsilon),
            usize::from(self.clip),
            usize::from(self.unconditional_noise),
            x as f32,
            epsilon as f32,
            z as f32,
            other as f32,
        )
    }
}

/// `guided`: of each image w and the number of its unconditional row, −1 without one.
#[cube(launch_unchecked)]
fn guided_step(
    output: &[f32],
    z: &[f32],
    other: &[f32],
    guided: &[f32],
    next: &mut [f32],
    x: &mut [f32],
    epsilon: &mut [f32],
    sizes: StepSizes,
) {
    let at = cube_index() * THREADS + UNIT_POS as usize;
    if at < sizes.images * sizes.values {
        let (image, within) = (at / sizes.values, at % sizes.values);
        let own = output[at];
        let (mut mixed, mut noise) = (own, own);
        let row = guided[2 * image + 1];
        if row >= 0.0 {
            let unconditional = output[usize::cast_from(row) * sizes.values + within];
            mixed = own + (own - unconditional) * guided[2 * image];
            noise = unconditional;
        }
        if sizes.unconditional_noise == 0 {
            noise = mixed;
        }
        let latent = z[at];
        let clean = clean_of(mixed, latent, &sizes);
        let epsilon_of = noise_of(noise, latent, &sizes);
        x[at] = clean;
        epsilon[at] = epsilon_of;
        let mut sum = clean * sizes.by_x + epsilon_of * sizes.by_epsilon + latent * sizes.by_z;
        if sizes.by_other != 0.0 {
            sum += other[at] * sizes.by_other;
        }
        next[at] = sum;
    }
}

/// x̃ of a prediction, as [`Target::read`].
#[cube]
fn clean_of(prediction: f32, z: f32, sizes: &StepSizes) -> f32 {
    let mut x = z * sizes.alpha - prediction * sizes.sigma;
    if sizes.predicts_noise == 1 {
        x = (z - prediction * sizes.sigma) / sizes.alpha;
    }
    if sizes.clips == 1 {
        x = x.clamp(-1.0, 1.0);
    }
    x
}

/// ε̃ of a prediction, as [`Target::read`].
#[cube]
fn noise_of(prediction: f32, z: f32, sizes: &StepSizes) -> f32 {
    let mut epsilon = z * sizes.sigma + prediction * sizes.alpha;
    if sizes.predicts_noise == 1 {
        epsilon = prediction;
    }
    if sizes.clips == 1 {
        epsilon = (z - clean_of(prediction, z, sizes) * sizes.alpha) / sizes.sigma;
    }
    epsilon
}
