//! The U-Net's evaluation on a GPU, in few kernels, outside of burn's tensors: what samples in browsers.
//!
//! A kernel costs a browser some time to start, however small it is, so each does all that it can. A convolution reads the
//! parts of a joined image where they are, normalises, activates and resamples what it reads, adds what a block adds, and
//! leaves behind the statistics that the next normalisation needs. Values are stored in the type of the network's weights,
//! 16 or 32 bits; sums, statistics and everything about the embedding are in 32.
//!
//! [`Gpu`] is the device; [`Layout`] is where in the scratch memory, which is one buffer, layers keep their small results.

mod attention;
mod convolution;
mod guided_step;
mod layers;
mod packed;
mod picture_layers;
mod pictures;
mod statistics;
mod tile;
mod vector_layers;
mod vectors;
mod weights;

#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests;

pub(crate) use guided_step::{Factors, GuidedImages, GuidedStep};
pub(crate) use layers::{
    Attention, Attributes, Classes, Convolution, Geometry, Image, Norm, NormedConvolution, Pass,
};
pub(crate) use packed::Matrix;
pub(crate) use picture_layers::Pictures;
pub(crate) use vector_layers::{Conditioned, Sinusoids};

use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::prelude::BufferArg;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// A device and the type that values are stored in on it.
#[derive(Clone)]
pub(crate) struct Gpu {
    client: Client,
    device: CubeDevice,
    dtype: DType,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in {:?}", self.device, self.dtype)
    }
}

/// Numbers that layers keep in a row of the scratch memory.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    numbers: usize,
}

impl Layout {
    /// Room for so many numbers; where it begins.
    pub(crate) fn take(&mut self, numbers: usize) -> usize {
        let begin = self.numbers;
        self.numbers += numbers;
        begin
    }

    /// Numbers of a row.
    pub(crate) fn row(&self) -> usize {
        self.numbers
    }
}

impl Gpu {
    /// The device of a tensor, with its type; `None` where that is not a GPU of burn's, or of another type than the kernels
    /// are made for.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let tensor = cube_tensor(tensor.clone())?;
        matches!(tensor.dtype, DType::F16 | DType::F32).then_some(Self {
            client: tensor.client,
            device: tensor.device,
            dtype: tensor.dtype,
        })
    }

    /// Bytes of a stored value.
    fn value_bytes(&self) -> usize {
        self.dtype.size()
    }

    /// Room for so many values, with whatever is there.
    fn values(&self, count: usize) -> Handle {
        self.client.empty(count.max(1) * self.value_bytes())
    }

    /// Room for so many numbers of 32 bits, with whatever is there.
    fn numbers(&self, count: usize) -> Handle {
        self.client.empty(count.max(1) * size_of::<f32>())
    }

    /// Numbers from here, of 32 bits.
    fn given(&self, numbers: impl Iterator<Item = [u8; 4]>) -> Handle {
        let bytes: Vec<u8> = numbers.flatten().collect();
        self.client.create_from_slice(&bytes)
    }

    /// A tensor of 32-bit floats.
    fn tensor<const D: usize>(&self, numbers: Handle, shape: [usize; D]) -> Tensor<D> {
        let (client, device) = (self.client.clone(), self.device.clone());
        let tensor = CubeTensor::new_contiguous(client, device, shape.into(), numbers, DType::F32);
        Tensor::from_dispatch(DispatchTensor {
            kind: DispatchTensorKind::Cube(BackendTensor::Float(tensor)),
            autodiff: Default::default(),
        })
    }
}

/// Launches a kernel for the type that values are stored in.
macro_rules! launch {
    ($gpu:expr, $kernel:ident, $cubes:expr, $threads:expr, $($argument:expr),* $(,)?) => {{
        let count = $crate::kernels::gpu::grid::cube_count($cubes);
        let dim = burn_cubecl::cubecl::prelude::CubeDim::new_1d($threads as u32);
        let client = &$gpu.client;
        // SAFETY: a kernel reads and writes within its buffers, whose sizes it is told.
        unsafe {
            match $gpu.dtype {
                burn::tensor::DType::F16 => {
                    $kernel::launch_unchecked::<half::f16>(client, count, dim, $($argument),*)
                }
                _ => $kernel::launch_unchecked::<f32>(client, count, dim, $($argument),*),
            }
        }
    }};
}
use launch;

/// What burn has of a tensor on a GPU, contiguous; `None` where it is elsewhere or belongs to a graph of gradients.
fn cube_tensor<const D: usize>(tensor: Tensor<D>) -> Option<CubeTensor> {
    match tensor.into_dispatch().kind {
        DispatchTensorKind::Cube(BackendTensor::Float(tensor)) => Some(into_contiguous(tensor)),
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

/// The handle of a tensor's values, on a GPU.
fn handle<const D: usize>(tensor: Tensor<D>) -> Handle {
    cube_tensor(tensor).expect("a tensor on a GPU").handle
}

/// The same of integers.
fn integers(tensor: Tensor<1, Int>) -> Handle {
    match tensor.into_dispatch().kind {
        DispatchTensorKind::Cube(BackendTensor::Int(tensor)) => into_contiguous(tensor).handle,
        _ => panic!("integers on a GPU"),
    }
}

/// A buffer as the argument of a kernel. Kernels are told how much they may read and write, so its length is not asked for.
fn buffer(handle: &Handle) -> BufferArg {
    // SAFETY: no kernel of this module asks for a buffer's length.
    unsafe { BufferArg::from_raw_parts(handle.clone(), handle.size_in_used() as usize) }
}
