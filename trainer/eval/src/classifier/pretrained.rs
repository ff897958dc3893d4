//! A classifier that comes with the program, as a file of its own.

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use freeguide::classifier::{Normalisation, ResNet};
use half::f16;
use safetensors::{Dtype, SafeTensors};

use super::average::Finished;
use super::network::NamedTensor;
use super::{Accuracy, Trained, file};
use crate::features;
use freeguide_data::Dataset;

/// Writes `resnet20` or `resnet56` in the form of `freeguide classifier`, in 16 bits, and tests it on all images of
/// `data`, which it should not have been trained on.
///
/// # Errors
///
/// If there is no such network, `data` has other classes or other sizes, or the device fails.
pub fn pretrained(spec: &str, data: &Dataset, device: &Device) -> Result<Trained> {
    let network = features::open(spec, Normalisation::IMAGENET, device)?;
    let bytes = features::built_in(spec)
        .context("only a network that is part of the program can be written")?;
    if !network.classes().iter().eq(data.classes.iter()) {
        bail!(
            "{} knows the classes {}, but the data set has {}",
            network.name(),
            network.classes().iter().collect::<Vec<_>>().join(", "),
            data.classes.join(", ")
        );
    }
    if data.size != network.input() {
        bail!(
            "{} needs images of {} pixels, not of {}",
            network.name(),
            network.input(),
            data.size
        );
    }
    let weights = rounded(bytes)?;
    let images: Vec<usize> = (0..data.len()).collect();
    let body = ResNet::load(&weights, device)?;
    let accuracy = Accuracy::new(&body, Normalisation::IMAGENET, data, &images, device)?;
    let largest = data.class_counts().into_iter().max().unwrap_or(0);
    Ok(Trained {
        file: file(
            &weights,
            network.name(),
            Normalisation::IMAGENET,
            data,
            &accuracy,
        )?,
        held_out: accuracy,
        baseline: largest as f64 / data.len() as f64,
    })
}

/// The weights rounded to 16-bit values.
fn rounded(bytes: &[u8]) -> Result<Finished> {
    let file = SafeTensors::deserialize(bytes)?;
    let float = |b: &[u8]| f16::from_f32(f32::from_le_bytes([b[0], b[1], b[2], b[3]])).to_f32();
    let floats = file.iter().filter(|(_, view)| view.dtype() == Dtype::F32);
    let tensors = floats.map(|(name, view)| NamedTensor {
        name: name.to_owned(),
        shape: view.shape().to_vec(),
        values: view.data().chunks_exact(4).map(float).collect(),
    });
    Ok(Finished(tensors.collect()))
}
