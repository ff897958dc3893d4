//! The networks that a bundle can be loaded into.

use burn::module::Module;
use burn::tensor::Device;

use super::{BundleError, Config, Network};
use crate::denoiser::Denoiser;
use crate::network::UNet;

/// A network that can be built from a bundle's configuration and filled with its weights, which
/// stand in the files under the names of its parameters.
///
/// [`UNet`] is one; `cargo xtask compile-onnx` makes others for runtimes of their own.
pub trait Loadable: Module + Denoiser {
    /// The network with fresh weights, for a configuration that has been checked.
    ///
    /// # Errors
    ///
    /// [`BundleError::OtherNetwork`], where the bundle is of another network.
    fn from_config(config: &Config, device: &Device) -> Result<Self, BundleError>;
}

impl Loadable for UNet {
    fn from_config(config: &Config, device: &Device) -> Result<Self, BundleError> {
        match &config.network {
            Network::UNet(network) => {
                let image = config.image;
                Ok(network.init(image.size, image.channels, config.classes.len(), device))
            }
            Network::Compiled(_) => Err(BundleError::OtherNetwork {
                reason: "its network is compiled into a runtime of its own, the one that \
                         cargo xtask compile-onnx has written with it"
                    .to_owned(),
            }),
        }
    }
}
