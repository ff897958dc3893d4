//! burn's tensors as slices, and slices as tensors.

use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

use super::super::options::GroupNormOptions;
use super::group_norm::GroupNorm;
use super::patches::Images;
use super::weights::Weights;

/// A tensor whose values lie in memory in the order of its indices.
pub(super) struct Values(FlexTensor);

impl Values {
    pub(super) fn of(tensor: FlexTensor) -> Self {
        Self(tensor.to_contiguous())
    }

    pub(super) fn get(&self) -> &[f32] {
        let (start, end) = self.0.layout().contiguous_offsets().unwrap_or_default();
        &self.0.storage()[start..end]
    }

    pub(super) fn tensor(&self) -> &FlexTensor {
        &self.0
    }

    /// The shape of four dimensions.
    pub(super) fn images(&self) -> Images {
        let [batch, channels, height, width] = self.0.shape().dims();
        Images {
            batch,
            channels,
            height,
            width,
        }
    }
}

pub(super) fn tensor(values: Vec<f32>, shape: Images) -> FlexTensor {
    let Images {
        batch,
        channels,
        height,
        width,
    } = shape;
    tensor_of(values, Shape::new([batch, channels, height, width]))
}

pub(super) fn tensor_of(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

pub(super) fn norm<'a>(
    shape: Images,
    options: GroupNormOptions,
    scale: &'a Values,
    shift: &'a Values,
) -> GroupNorm<'a> {
    GroupNorm {
        shape,
        groups: options.groups,
        epsilon: options.epsilon as f32,
        silu: options.silu,
        scale: scale.get(),
        shift: shift.get(),
    }
}

pub(super) fn weights<'a>(weight: &'a Values, bias: Option<&'a Values>) -> Weights<'a> {
    let shape = weight.images();
    Weights {
        values: weight.get(),
        bias: bias.map(Values::get),
        outputs: shape.batch,
        inputs: shape.channels,
        kernel: shape.height,
    }
}
