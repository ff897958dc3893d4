//! Which network a safetensors file holds, by the names of its tensors and what it says of itself.

use burn::tensor::Device;
use freeguide::classifier::{
    ClassifierError, DESCRIPTION_KEY, Description, LayerError, ResNet, Tensors,
};
use thiserror::Error;

use super::Weights;
use super::efficientnet_lite0::EfficientNetLite0;
use freeguide_readers::weights::WeightsError;

/// A network of a safetensors file.
pub enum Recognised {
    /// EfficientNet-Lite0.
    EfficientNetLite0(Box<EfficientNetLite0>),
    /// A CIFAR-10 ResNet.
    ResNet(Box<ResNet>),
    /// A network of `freeguide classifier`, and what it says of itself.
    Described(Box<ResNet>, Description),
}

/// Why a file is no feature network; each is the end of a sentence that begins with the file's name.
#[derive(Debug, Error)]
pub enum Unrecognised {
    /// It is no file of weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// None of the networks that there are.
    #[error(
        "has other tensors than a freeguide classifier, a CIFAR-10 ResNet or EfficientNet-Lite0"
    )]
    Other,
    /// Its tensors do not make the network.
    #[error("does not fit its network: {0}")]
    Layers(#[from] LayerError),
    /// What it says of itself is not so.
    #[error("is not a classifier: {0}")]
    Description(#[from] ClassifierError),
}

/// Makes a network of what is in a file.
///
/// # Errors
///
/// [`Unrecognised`].
pub fn recognise(weights: &Weights, device: &Device) -> Result<Recognised, Unrecognised> {
    if weights.has("_conv_stem.weight") {
        let network = EfficientNetLite0::load(weights, device)?;
        return Ok(Recognised::EfficientNetLite0(Box::new(network)));
    }
    if !weights.has("linear.weight") {
        return Err(Unrecognised::Other);
    }
    let network = Box::new(ResNet::load(weights, device)?);
    let Some(json) = weights.text(DESCRIPTION_KEY)? else {
        return Ok(Recognised::ResNet(network));
    };
    let says = Description::parse(&json)?;
    says.check(network.classes())?;
    Ok(Recognised::Described(network, says))
}
