//! Weights by name, whatever file they came from.

use std::collections::BTreeMap;
use std::io::Cursor;

use freeguide::classifier::Tensors;
use safetensors::{Dtype, SafeTensors};

use crate::import;

/// Tensors in f32 by name.
#[derive(Debug, Default)]
pub struct Weights {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// The text that a safetensors file carries beside its tensors.
    metadata: BTreeMap<String, String>,
}

impl Weights {
    /// Reads a safetensors file of f32, f16 or bf16 tensors; others, such as counters of batches, are left out.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, in words.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let mut weights = Self {
            metadata: metadata.into_iter().collect(),
            ..Self::default()
        };
        for (name, view) in file.iter() {
            let data = view.data();
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 => data
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect(),
                Dtype::F16 => data
                    .chunks_exact(2)
                    .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
                    .collect(),
                Dtype::BF16 => data
                    .chunks_exact(2)
                    .map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32())
                    .collect(),
                _ => continue,
            };
            weights.insert(name, view.shape().to_vec(), values);
        }
        Ok(weights)
    }

    /// Reads a state dict as PyTorch saves it.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, in words.
    pub fn from_pytorch(bytes: &[u8]) -> Result<Self, String> {
        let mut file =
            import::weights::Weights::read(Cursor::new(bytes)).map_err(|e| e.to_string())?;
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        let mut weights = Self::default();
        // Batch normalisation counts its batches in integers, which nobody needs.
        for name in names.iter().filter(|n| !n.ends_with("num_batches_tracked")) {
            let tensor = file.values(name).map_err(|e| e.to_string())?;
            weights.insert(name, tensor.shape, tensor.values);
        }
        Ok(weights)
    }

    /// Adds a tensor.
    pub fn insert(&mut self, name: &str, shape: Vec<usize>, values: Vec<f32>) {
        self.tensors.insert(name.to_owned(), (shape, values));
    }

    /// What the file says of itself under `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }
}

impl Tensors for Weights {
    fn get(&self, name: &str) -> Option<(&[usize], &[f32])> {
        let (shape, values) = self.tensors.get(name)?;
        Some((shape, values))
    }
}
