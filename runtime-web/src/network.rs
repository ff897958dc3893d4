//! The network that this runtime draws with: the library's U-Net, or one that `cargo xtask
//! compile-onnx` has made of an ONNX file.

use freeguide::bundle::Model;

use crate::error::Failure;

#[cfg(not(feature = "compiled-network"))]
pub use freeguide::network::UNet as Network;

/// The network as it is drawn with.
#[cfg(feature = "compiled-network")]
pub type Drawing = Network;

/// The network as it is drawn with: nothing of burn's matrix products is linked.
#[cfg(all(feature = "webgpu", not(feature = "compiled-network")))]
pub type Drawing = freeguide::network::KernelUNet;

/// The network as it is drawn with: nothing of the kernels for whole batches is linked.
#[cfg(all(feature = "cpu", not(feature = "compiled-network")))]
pub type Drawing = freeguide::network::CpuUNet;

/// The model to draw with, of one that has been loaded.
#[cfg(feature = "compiled-network")]
pub fn drawing(model: Model<Network>) -> Result<Model<Drawing>, Failure> {
    Ok(model)
}

/// The model to draw with, of one that has been loaded.
///
/// # Errors
///
/// Code `device`, where the network's numbers are not 32-bit floats on the CPU.
#[cfg(all(feature = "cpu", not(feature = "compiled-network")))]
pub fn drawing(model: Model<Network>) -> Result<Model<Drawing>, Failure> {
    let drawn = model.with_network(|network, _| Drawing::new(network));
    drawn.ok_or_else(|| {
        Failure::device(
            "the CPU build draws with 32-bit floats, and this model was loaded in others",
        )
    })
}

/// The model to draw with, of one that has been loaded.
///
/// # Errors
///
/// Code `device`, where the network is larger than the kernels have room for.
#[cfg(all(feature = "webgpu", not(feature = "compiled-network")))]
pub fn drawing(model: Model<Network>) -> Result<Model<Drawing>, Failure> {
    let on_kernels = |network: Network, size| Drawing::new(&network, size);
    let drawn = model.with_network(|network, config| on_kernels(network, config.image.size));
    drawn.ok_or_else(|| {
        Failure::device(
            "a layer of this network has more than the 1536 channels that the kernels for GPUs have room \
             for: draw on the CPU",
        )
    })
}

#[cfg(feature = "compiled-network")]
pub use compiled::Network;

#[cfg(feature = "compiled-network")]
mod compiled {
    use burn::module::Module;
    use burn::tensor::{Device, Int, Tensor};
    use freeguide::bundle::{self, BundleError, Config, Loadable};
    use freeguide::denoiser::Denoiser;
    use freeguide::network::OtherInputs;

    /// What burn-onnx has generated: `Model` with `new` and `forward(z, log_snr, class)`.
    #[allow(warnings, clippy::all)]
    mod generated {
        include!(env!("FREEGUIDE_COMPILED_NETWORK"));
    }

    /// The SHA-256 of the ONNX file.
    const ONNX_SHA256: &str = env!("FREEGUIDE_COMPILED_ONNX_SHA256");

    /// The compiled network.
    #[derive(Module, Debug)]
    pub struct Network {
        network: generated::Model,
        classes: usize,
    }

    impl Denoiser for Network {
        fn classes(&self) -> usize {
            self.classes
        }

        fn predict_with(
            &self,
            z: Tensor<4>,
            log_snr: Tensor<1>,
            class: Tensor<1, Int>,
            _: OtherInputs,
        ) -> Tensor<4> {
            if z.dims()[0] > 1 {
                return self.network.forward(z, log_snr, class);
            }
            // Products of a single row run on other kernels, which in browsers may be wrong.
            let twice = self.network.forward(
                z.repeat_dim(0, 2),
                log_snr.repeat_dim(0, 2),
                class.repeat_dim(0, 2),
            );
            twice.narrow(0, 0, 1)
        }
    }

    impl Loadable for Network {
        fn from_config(config: &Config, device: &Device) -> Result<Self, BundleError> {
            let reason = match &config.network {
                bundle::Network::Compiled(compiled) if compiled.onnx_sha256 == ONNX_SHA256 => {
                    return Ok(Self {
                        network: generated::Model::new(device),
                        classes: config.classes.len(),
                    });
                }
                bundle::Network::Compiled(_) => "its network was compiled from another ONNX file",
                bundle::Network::UNet(_) => "this runtime was compiled for a network of its own",
            };
            Err(BundleError::OtherNetwork {
                reason: reason.to_owned(),
            })
        }
    }
}
