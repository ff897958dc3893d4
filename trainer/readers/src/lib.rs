//! Readers of untrusted model files. Nothing that a file claims about itself is trusted.
//!
//! | module | reads |
//! |---|---|
//! | [`weights`] | tensors by name, from safetensors files and from files of PyTorch's `torch.save` |
//! | [`diffusers`] | the JSON files in a folder of diffusers |
//! | [`onnx`] | the claims of an ONNX file, which are checked before a larger library reads it |
//!
//! No reader executes anything from a file, panics, or takes more memory than twice the file's size plus a constant.
//! The test `fuzz` of the command and the targets in fuzz/ check this. The crate does not depend on burn, so it
//! compiles with sanitisers in seconds.
//!
//! ```no_run
//! use std::path::Path;
//! use freeguide_readers::weights::Weights;
//!
//! let mut weights = Weights::open(Path::new("model.pt"))?;
//! let bias = weights.values("out.2.bias")?;
//! println!("{:?}: {:?}", bias.shape, bias.values);
//! # Ok::<(), freeguide_readers::weights::WeightsError>(())
//! ```

pub mod diffusers;
pub mod onnx;
pub mod weights;
