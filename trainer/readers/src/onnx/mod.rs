//! Reads ONNX files in place: no allocation grows with what a file claims.

pub mod claims;
mod signature;
pub mod wire;

pub use signature::Signature;
