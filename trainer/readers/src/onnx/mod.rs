//! ONNX files, read in place: nothing is allocated that grows with what a file claims.

pub mod claims;
mod signature;
pub mod wire;

pub use signature::Signature;
