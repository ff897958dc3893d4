//! The way from latents to the first layer, and from the last to the answer.

use burn::tensor::Tensor;
use burn_cubecl::cubecl::server::Handle;

use super::pictures::{PictureSizesLaunch, THREADS, fold, unfold};
use super::{Gpu, Image, Pass, buffer, handle, launch};

/// The pictures that a network reads and answers.
#[derive(Debug)]
pub(crate) struct Pictures {
    pub colors: usize,
    pub height: usize,
    pub width: usize,
    /// Side of the squares of pixels that become one pixel with more channels.
    pub patch: usize,
    /// Where the factors of the input that is added to the answer begin among the modulations.
    pub skip: Option<usize>,
    /// Not 0 once an answer was not a finite number.
    overflow: Handle,
}

impl Pictures {
    pub(crate) fn new(
        gpu: &Gpu,
        [colors, height, width]: [usize; 3],
        patch: usize,
        skip: Option<usize>,
    ) -> Self {
        Self {
            colors,
            height,
            width,
            patch,
            skip,
            overflow: gpu.given(std::iter::once(0f32.to_le_bytes())),
        }
    }

    /// One number: not 0 once an answer was not a finite one.
    pub(crate) fn overflow(&self, gpu: &Gpu) -> Tensor<1> {
        gpu.tensor(self.overflow.clone(), [1])
    }

    fn sizes(&self, pass: &Pass<'_>) -> PictureSizesLaunch {
        PictureSizesLaunch::new(
            pass.rows,
            self.colors,
            self.height,
            self.width,
            self.patch,
            pass.row,
            pass.modulations + self.skip.unwrap_or(0),
        )
    }

    fn values(&self, pass: &Pass<'_>) -> usize {
        pass.rows * self.colors * self.height * self.width
    }

    /// What the first layer reads, of each row's latents in `z`, `[images, colors, height, width]`.
    pub(crate) fn fold(&self, pass: &Pass<'_>, z: &Tensor<4>) -> Image {
        let side = self.patch;
        let x = Image {
            values: pass.gpu.values(self.values(pass)),
            slot: 0,
            channels: self.colors * side * side,
            height: self.height / side,
            width: self.width / side,
        };
        let (gpu, z) = (pass.gpu, handle(z.clone()));
        launch!(
            gpu,
            fold,
            self.values(pass).div_ceil(THREADS),
            THREADS,
            buffer(&z),
            buffer(&pass.images),
            buffer(&x.values),
            self.sizes(pass),
        );
        x
    }

    /// The answer, `[rows, colors, height, width]`, of what the last layer wrote.
    pub(crate) fn unfold(&self, pass: &Pass<'_>, x: &Image, z: &Tensor<4>) -> Tensor<4> {
        let (gpu, z) = (pass.gpu, handle(z.clone()));
        let answer = gpu.numbers(self.values(pass));
        launch!(
            gpu,
            unfold,
            self.values(pass).div_ceil(THREADS),
            THREADS,
            buffer(&x.values),
            buffer(&z),
            buffer(&pass.images),
            buffer(&pass.scratch),
            buffer(&answer),
            buffer(&self.overflow),
            self.sizes(pass),
            usize::from(self.skip.is_some()),
        );
        let shape = [pass.rows, self.colors, self.height, self.width];
        gpu.tensor(answer, shape)
    }
}
