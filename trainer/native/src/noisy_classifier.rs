//! Writes the files of classifiers of noisy images.

use std::collections::HashMap;

use anyhow::Result;
use burn::module::Param;
use burn::tensor::Tensor;
use freeguide::classifier::{NOISY_DESCRIPTION_KEY, NoisyDescription};
use freeguide::network::Encoder;
use freeguide::parameters::{ParameterVisitor, visit_parameters};
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A tensor of a file.
pub struct Written {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// The parameters of a network.
pub fn tensors(network: &Encoder) -> Vec<Written> {
    struct All(Vec<Written>);
    impl ParameterVisitor for All {
        fn visit<const D: usize>(&mut self, name: &str, parameter: &Param<Tensor<D>>) {
            self.0.push(Written {
                name: name.to_owned(),
                shape: parameter.lazy_shape().to_vec(),
                values: parameter.val().into_data().iter::<f32>().collect(),
            });
        }
    }
    let mut all = All(Vec::new());
    visit_parameters(network, &mut all);
    all.0
}

/// The file, safetensors in 16 bits.
///
/// # Errors
///
/// Where safetensors refuses a tensor.
pub fn to_bytes(description: &NoisyDescription, tensors: &[Written]) -> Result<Vec<u8>> {
    let half = |v: &f32| f16::from_f32(*v).to_le_bytes();
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|t| t.values.iter().flat_map(half).collect())
        .collect();
    let views = tensors.iter().zip(&bytes);
    let views = views
        .map(|(t, bytes)| {
            let view = TensorView::new(Dtype::F16, t.shape.clone(), bytes)?;
            Ok((t.name.clone(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    let says = serde_json::to_string(description)?;
    let metadata = HashMap::from([(NOISY_DESCRIPTION_KEY.to_owned(), says)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}
