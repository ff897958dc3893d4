//! Readers of model files that may be anyone's: nothing that a file says of itself is believed.
//!
//! | module | reads |
//! |---|---|
//! | [`weights`] | tensors by name from safetensors files and from what PyTorch's `torch.save` writes |
//! | [`diffusers`] | the JSON files in a folder of diffusers |
//! | [`onnx`] | what an ONNX file claims to hold, before a larger program reads it |
//!
//! No reader runs anything of a file, panics at one, or takes more memory than twice the file's size and a constant: the
//! test `fuzz` of the command and the targets in fuzz/ hold them to it. There is no burn in this crate, so that it is
//! compiled with sanitisers in seconds.
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
